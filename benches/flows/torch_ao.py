"""torch.ao: the graph is traced, observed on the calibration pictures and converted to int8 for a processor."""

import common
import torch
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

x, _ = common.pictures()
observed = prepare_fx(common.network(), get_default_qconfig_mapping("fbgemm"), (x[:1],))
with torch.no_grad():
    observed(x[: common.CALIBRATION])
    quantized = convert_fx(observed)
    logits = quantized(x)
torch.save(quantized.state_dict(), "int8.pth")
# report
print(f"torch.ao {torch.__version__.split('+')[0]}", common.lines(), common.right(logits), "int8.pth", sep=" | ")
