"""NNgen: the float network as ONNX, quantized by its own pass, written as Verilog in an IP-XACT package."""

import common
import nngen
import numpy as np
import torch
from torch.ao.quantization.quantize_fx import fuse_fx

x, _ = common.pictures()
torch.onnx.export(fuse_fx(common.network()), x[:1], "float.onnx", input_names=["x"], output_names=["y"])
outputs, placeholders, *_ = nngen.from_onnx(
    "float.onnx",
    value_dtypes={"x": nngen.int8},
    default_placeholder_dtype=nngen.int8,
    default_variable_dtype=nngen.int8,
    default_constant_dtype=nngen.int8,
    default_operator_dtype=nngen.int8,
    default_scale_dtype=nngen.int32,
    default_bias_dtype=nngen.int32,
)
codes = np.clip(np.rint(x.numpy() * 127).transpose(0, 2, 3, 1), -127, 127).astype(np.int64)
real = lambda placeholder, count: codes[:count]
nngen.quantize([outputs["y"]], {"x": 127.0}, input_generators={"x": real}, num_samples=common.CALIBRATION)
logits = [nngen.eval([outputs["y"]], x=codes[i : i + 1])[0][0] for i in range(len(codes))]
nngen.to_ipxact([outputs["y"]], "vgg16_small", silent=True)
# report
print(f"NNgen {nngen.__version__}", common.lines(), common.right(logits), "vgg16_small_v1_0/", sep=" | ")
