"""Runs an exported QDQ model in ONNX Runtime on given images, with every layer's codes.

    python qdq.py MODEL.onnx CASE.safetensors

CASE holds x (n, c, h, w) float, codes of every layer but the last before its pool as NAME (int), and logits (int).
Exits with 1 unless the arg-max of every image agrees; with --exact also every code.
"""

import sys

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

model, case = onnx.load(sys.argv[1]), load_file(sys.argv[2])
onnx.checker.check_model(model)
names = [n.output[0] for n in model.graph.node if n.op_type == "QuantizeLinear" and n.output[0] != "input_codes"]
types = {t.name: t.data_type for t in model.graph.initializer}
for n in names:
    zero = types[n.removesuffix("_codes") + "/zero"]
    model.graph.output.append(onnx.helper.make_tensor_value_info(n, zero, None))
options = onnxruntime.SessionOptions()
if "--plain" in sys.argv:
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
logits, *codes = session.run(["logits", *names], {"x": case["x"]})


def pooled(x, like):
    n, c, h, w = x.shape
    return x[:, :, : h // 2 * 2, : w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5)) if x.shape != like.shape else x


agree = (logits.argmax(1) == case["logits"].argmax(1)).mean()
print(f"arg-max agrees on {100 * agree:.2f} % of {len(logits)} images")
same = []
for name, found in zip(names, codes):
    want = case[name.removesuffix("_codes")]
    found = found.reshape(*found.shape, 1, 1) if found.ndim == 2 else pooled(found, want)
    same.append((found.astype(np.int64) == want).mean())
    print(f"{name}: {100 * same[-1]:.4f} % of the codes agree")
sys.exit(int(agree < 1 or ("--exact" in sys.argv and min(same) < 1)))
