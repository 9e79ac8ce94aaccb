"""hls4ml: the float network as ONNX, converted to C++ for a high-level synthesis, which is compiled for a processor here."""

import common
import hls4ml
import numpy as np
import torch
from torch.ao.quantization.quantize_fx import fuse_fx

x, _ = common.pictures()
torch.onnx.export(fuse_fx(common.network()), x[:1], "float.onnx", input_names=["x"], output_names=["y"])
