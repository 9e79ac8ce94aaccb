"""Brevitas: quantized by its graph passes, calibrated, written as QONNX, which FINN reads."""

import brevitas
import common
import torch
from brevitas.export import export_qonnx
from brevitas.graph.calibrate import calibration_mode
from brevitas.graph.quantize import preprocess_for_quantize, quantize

x, _ = common.pictures()
model = quantize(preprocess_for_quantize(common.network(), trace_model=True)).eval()
with torch.no_grad():
    with calibration_mode(model):
        model(x[: common.CALIBRATION])
    logits = model(x)
    export_qonnx(model, x[:1], "w8a8.onnx")
# report
print(f"Brevitas {brevitas.__version__}", common.lines(), common.right(getattr(logits, "value", logits)), "w8a8.onnx", sep=" | ")
