"""hls4ml: the float network to C++ for a high-level synthesis, with 16 bits (8 need a network that was trained for them)."""

import common
import hls4ml
import numpy as np
from torch.ao.quantization.quantize_fx import fuse_fx

x, _ = common.pictures()
network = fuse_fx(common.network())
settings = hls4ml.utils.config_from_pytorch_model(
    network, tuple(x.shape[1:]), default_precision="ap_fixed<16,6>", granularity="name", backend="Vitis"
)
model = hls4ml.converters.convert_from_pytorch_model(
    network, hls_config=settings, output_dir="hls", backend="Vitis", io_type="io_stream"
)
model.compile()
logits = model.predict(np.ascontiguousarray(x.numpy().transpose(0, 2, 3, 1)))
# report
print(f"hls4ml {hls4ml.__version__}", common.lines(), common.right(logits), "hls/", sep=" | ")
