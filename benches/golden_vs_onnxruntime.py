"""Times the golden model against ONNX Runtime's int8 on the same VGG16, in turns, on 1 and 2 threads.

    cargo build --release && python3 benches/golden_vs_onnxruntime.py [--rounds N] [--json]

Needs numpy, onnx, onnxruntime and safetensors. The network is the random W8A8 VGG16 of 224x224 that
`vgg2rtl bench golden --save` writes; ONNX Runtime gets it as QDQ: activations U8, weights S8 per channel, biases
S32. Each round times every contestant once, so that other load on the machine meets all of them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors import safe_open

PROGRAM = Path(__file__).parent.parent / "target/release/vgg2rtl"
THREADS = (1, 2)


class Qdq:
    """An ONNX graph under construction."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def quantize(self, x, step, zero):
        """QuantizeLinear, DequantizeLinear with one step."""
        names = [self.constant(f"{x}.step", np.float32(step)), self.constant(f"{x}.zero", np.uint8(zero))]
        codes = self.node("QuantizeLinear", [x, *names], f"{x}.codes")
        return self.node("DequantizeLinear", [codes, *names], f"{x}.real")

    def parameter(self, name, codes, steps):
        """Integers with one step an output channel."""
        self.constant(f"{name}.codes", codes)
        self.constant(f"{name}.steps", steps.astype(np.float32))
        self.constant(f"{name}.zeros", np.zeros(len(steps), codes.dtype))
        inputs = [f"{name}.codes", f"{name}.steps", f"{name}.zeros"]
        return self.node("DequantizeLinear", inputs, name, axis=0)


def read_model(path):
    with safe_open(path, framework="numpy") as file:
        network = json.loads(file.metadata()["vgg2rtl"])
        return network, {name: file.get_tensor(name) for name in file.keys()}


def steps_of_weights(layer, tensors, step_x):
    """The steps under which the layer's real multiplier is its m / 2^s."""
    output, name = layer["output_quantizer"], layer["name"]
    if output is None:
        return np.full(layer["co"], 1e-4)
    ratio = tensors[f"{name}.m"].astype(float) / 2.0 ** tensors[f"{name}.s"]
    return np.broadcast_to(ratio * output["step"] / step_x, layer["co"])


def add_layer(graph, x, layer, tensors, step_x):
    """The layer's output from its input `x` of step `step_x`."""
    name, output = layer["name"], layer["output_quantizer"]
    steps = steps_of_weights(layer, tensors, step_x)
    weight = graph.parameter(f"{name}.w", tensors[f"{name}.weight"].astype(np.int8), steps)
    bias = graph.parameter(f"{name}.b", tensors[f"{name}.bias"].astype(np.int32), steps * step_x)
    if layer["op"] == "conv":
        x = graph.node("Conv", [x, weight, bias], f"{name}.sum", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    else:
        x = graph.node("Gemm", [x, weight, bias], f"{name}.sum", transB=1)
    if output is None:
        return x
    x = graph.quantize(graph.node("Relu", [x], f"{name}.relu"), output["step"], 0)
    if layer.get("pool"):
        x = graph.node("MaxPool", [x], f"{name}.pool", kernel_shape=[2, 2], strides=[2, 2])
        x = graph.quantize(x, output["step"], 0)
    return x


def write_qdq(model_path, onnx_path):
    """Writes the QDQ form of an integer model file; returns an input of its."""
    network, tensors = read_model(model_path)
    graph = Qdq()
    step_x, previous = network["input_quantizer"]["step"], None
    x = graph.quantize("images", step_x, 128)
    for layer in network["layers"]:
        if (previous, layer["op"]) == ("conv", "dense"):
            x = graph.quantize(graph.node("Flatten", [x], "flat"), step_x, 0)
        x = add_layer(graph, x, layer, tensors, step_x)
        previous = layer["op"]
        if layer["output_quantizer"]:
            step_x = layer["output_quantizer"]["step"]
    shape = [1] + [network["input"][k] for k in "chw"]
    value = helper.make_tensor_value_info
    inputs, outputs = [value("images", TensorProto.FLOAT, shape)], [value(x, TensorProto.FLOAT, None)]
    body = helper.make_graph(graph.nodes, "vgg16", inputs, outputs, graph.constants)
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), onnx_path)
    codes = np.random.default_rng(1).integers(-128, 128, shape)
    return (codes * network["input_quantizer"]["step"]).astype(np.float32)


class OnnxRuntime:
    """One session."""

    def __init__(self, path, threads, images):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Idle threads that spin would take the processor from the other contestants.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.images = {"images": images}
        self.session.run(None, self.images)

    def time(self):
        start = time.perf_counter()
        self.session.run(None, self.images)
        return 1e3 * (time.perf_counter() - start)


class Golden:
    """One process, which runs once for each line that it is sent."""

    def __init__(self, path, threads, runs):
        options = ["--paced", "--json", f"--threads={threads}", f"--runs={runs}"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([PROGRAM, "bench", "golden", path, *options], stdin=pipe, stdout=pipe, text=True)
        self.report = None

    def time(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.report = json.loads(self.process.stdout.readline())
        return self.report["ms_per_image"]


def measure(rounds):
    """Milliseconds an image: {threads: {contestant: [round]}}, and the last report of the golden model."""
    with tempfile.TemporaryDirectory() as folder:
        model, qdq = f"{folder}/vgg16.safetensors", f"{folder}/vgg16.onnx"
        subprocess.run([PROGRAM, "bench", "golden", "--runs=0", f"--save={model}"], check=True)
        images = write_qdq(model, qdq)
        runners = {t: {"onnxruntime": OnnxRuntime(qdq, t, images), "golden": Golden(model, t, rounds + 1)} for t in THREADS}
        for t in THREADS:
            runners[t]["golden"].time()  # returns when it has loaded the model
        times = {t: {who: [] for who in runners[t]} for t in THREADS}
        for _ in range(rounds):
            for t in THREADS:
                for who, runner in runners[t].items():
                    times[t][who].append(runner.time())
        return times, runners[THREADS[-1]]["golden"].report


def summarize(times, golden):
    report = {"isa": golden["isa"], "onnxruntime": onnxruntime.__version__, "golden_peak_bytes": golden["peak_bytes"]}
    for t, of in times.items():
        summary = {who: {"min": min(ms), "median": float(np.median(ms))} for who, ms in of.items()}
        by_round = np.array(of["onnxruntime"]) / np.array(of["golden"])
        summary["speedup"] = {
            "min": summary["onnxruntime"]["min"] / summary["golden"]["min"],
            "median": float(np.median(by_round)),
        }
        report[f"{t} threads"] = summary
    return report


def show(report):
    peak = report["golden_peak_bytes"] // 1_000_000
    print(f"golden ({report['isa']}, peak memory {peak} MB), ONNX Runtime {report['onnxruntime']}; ms an image")
    for t in THREADS:
        summary = report[f"{t} threads"]
        for who, figures in summary.items():
            print(f"{t} threads  {who:12} min {figures['min']:8.2f}   median {figures['median']:8.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not PROGRAM.exists():
        sys.exit(f"{PROGRAM} is missing: cargo build --release")
    report = summarize(*measure(args.rounds))
    print(json.dumps(report)) if args.json else show(report)


if __name__ == "__main__":
    main()
