"""NNgen: the float network as ONNX, quantized by its own pass, written as Verilog in an IP-XACT package."""

import common
import nngen
import numpy as np
import torch

x, _ = common.pictures()
torch.onnx.export(common.network(), x[:1], "float.onnx", input_names=["x"], output_names=["y"])
pixels = {"x": nngen.int8}
outputs, placeholders, *_ = nngen.from_onnx(
    "float.onnx", value_dtypes={"x": nngen.int8}, default_placeholder_dtype=nngen.int8, default_variable_dtype=nngen.int8,
    default_constant_dtype=nngen.int8, default_operator_dtype=nngen.int8, default_scale_dtype=nngen.int32,
    default_bias_dtype=nngen.int32, disable_fusion=False,
)
