"""Networks that others quantized, with the integers that ONNX Runtime computes for them.

    python quantized.py FOLDER [NAME…]            small files for the tests
    python quantized.py FOLDER --float MODEL.safetensors --images N.idx.gz    one model in all forms, with its pictures

writes FOLDER/NAME.onnx and FOLDER/NAME.case.safetensors: images x, logits y (of ONNX Runtime, before codes are made of
them where the graph does that), `codes.I` of every layer I but the last behind its pool, zero points subtracted, and `weight.I`,
`bias.I`, the file's integers. Needs onnx, onnxruntime and safetensors.
"""

import gzip
import json
import struct
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file

ort.set_default_logger_severity(3)
FORMS = {}


def form(function):
    FORMS[function.__name__] = function
    return function


# --- float networks


def small(rng, input=(3, 8, 8)):
    """conv, pool, conv, conv, pool, dense, dense."""
    spec, ci, layers = [(4, True), (6, False), (4, True)], input[0], []
    for co, pool in spec:
        w = rng.normal(size=(co, ci, 3, 3)) * np.sqrt(2 / (9 * ci)) * rng.uniform(0.3, 1.5, (co, 1, 1, 1))
        layers.append(dict(w=w, b=rng.normal(size=co) * 0.2, pool=pool))
        ci = co
    inputs = ci * (input[1] // 4) * (input[2] // 4)
    for co in (7, 5):
        layers.append(dict(w=rng.normal(size=(co, inputs)) * np.sqrt(2 / inputs), b=rng.normal(size=co) * 0.1, pool=False))
        inputs = co
    for l in layers:
        l["w"], l["b"] = l["w"].astype(np.float32), l["b"].astype(np.float32)
    return layers


def float_onnx(layers, input, mat_mul=False):
    """With `mat_mul`, dense layers are MatMul without bias."""
    g = Graph()
    value = "x"
    for i, l in enumerate(layers):
        last = i + 1 == len(layers)
        if l["w"].ndim == 2 and (i == 0 or layers[i - 1]["w"].ndim == 4):
            value = g.node("Flatten", [value], "flat", axis=1)
        output = "y" if last else f"sums{i}"
        if mat_mul and l["w"].ndim == 2:
            value = g.node("MatMul", [value, g.const(f"w{i}", np.ascontiguousarray(l["w"].T))], output)
        else:
            w, b = g.const(f"w{i}", l["w"]), g.const(f"b{i}", l["b"])
            value = g.sums(l, [value, w, b], output)
        if not last:
            value = g.node("Relu", [value], f"relu{i}")
        if l["pool"]:
            value = g.node("MaxPool", [value], f"pool{i}", kernel_shape=[2, 2], strides=[2, 2])
    return g.model(input, len(layers[-1]["b"]))


class Graph:
    def __init__(self):
        self.nodes, self.inits, self.domains = [], [], {}

    def const(self, name, array):
        self.inits.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op, inputs, output, domain="", **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output + "_node", domain=domain, **attributes))
        if domain:
            self.domains[domain] = 1
        return output

    def sums(self, layer, inputs, output):
        if layer["w"].ndim == 4:
            return self.node("Conv", inputs, output, kernel_shape=[3, 3], pads=[1] * 4)
        return self.node("Gemm", inputs, output, transB=1)

    def model(self, input, classes, opset=13, ir=8):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *input])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])
        graph = helper.make_graph(self.nodes, "net", [x], [y], self.inits)
        imports = [helper.make_opsetid(d, v) for d, v in {"": opset, **self.domains}.items()]
        return helper.make_model(graph, opset_imports=imports, ir_version=ir)


# --- quantizers of ONNX Runtime


class Reader:
    def __init__(self, x):
        self.batches = iter([{"x": x[i:i + 32]} for i in range(0, len(x), 32)])

    def get_next(self):
        return next(self.batches, None)


def static(float_model, x, **options):
    import tempfile

    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader

    reader = type("R", (Reader, CalibrationDataReader), {})(x)
    with tempfile.TemporaryDirectory() as folder:
        a, b = Path(folder) / "a.onnx", Path(folder) / "b.onnx"
        onnx.save(float_model, a)
        quantize_static(a, b, reader, **options)
        return onnx.load(b)


def kinds():
    from onnxruntime.quantization import QuantFormat, QuantType

    return QuantFormat, QuantType


@form
def ort_uint8(layers, input, x):
    _, t = kinds()
    return static(float_onnx(layers, input), x, activation_type=t.QUInt8, weight_type=t.QInt8)


@form
def ort_int8(layers, input, x):
    """Zero points −128 behind ReLUs, another one on the image."""
    _, t = kinds()
    return static(float_onnx(layers, input), x, activation_type=t.QInt8, weight_type=t.QInt8)


@form
def ort_symmetric(layers, input, x):
    _, t = kinds()
    return static(float_onnx(layers, input), x, activation_type=t.QInt8, weight_type=t.QInt8, extra_options={"ActivationSymmetric": True})


@form
def ort_channels(layers, input, x):
    """A scale a channel, but for the logits."""
    _, t = kinds()
    last = {f"w{len(layers) - 1}": [{"quant_type": t.QInt8, "symmetric": True}]}
    return static(float_onnx(layers, input), x, activation_type=t.QUInt8, weight_type=t.QInt8, per_channel=True, extra_options={"TensorQuantOverrides": last})


@form
def ort_all_channels(layers, input, x):
    _, t = kinds()
    return static(float_onnx(layers, input), x, activation_type=t.QUInt8, weight_type=t.QInt8, per_channel=True)


@form
def ort_uint8_weights(layers, input, x):
    """Zero points on weights."""
    _, t = kinds()
    return static(float_onnx(layers, input), x, activation_type=t.QUInt8, weight_type=t.QUInt8, extra_options={"WeightSymmetric": False})


@form
def ort_operators(layers, input, x):
    f, t = kinds()
    return static(float_onnx(layers, input), x, quant_format=f.QOperator, activation_type=t.QUInt8, weight_type=t.QInt8)


@form
def ort_operators_mat_mul(layers, input, x):
    f, t = kinds()
    return static(float_onnx(layers, input, True), x, quant_format=f.QOperator, activation_type=t.QUInt8, weight_type=t.QInt8)


@form
def ort_mat_mul(layers, input, x):
    """A scale a channel, along the second axis of a MatMul's weights, but for the logits."""
    _, t = kinds()
    last = {f"w{len(layers) - 1}": [{"quant_type": t.QInt8, "symmetric": True}]}
    options = {"TensorQuantOverrides": last}
    return static(float_onnx(layers, input, True), x, activation_type=t.QUInt8, weight_type=t.QInt8, per_channel=True, extra_options=options)


@form
def ort_operators_channels(layers, input, x):
    f, t = kinds()
    return static(float_onnx(layers, input), x, quant_format=f.QOperator, activation_type=t.QInt8, weight_type=t.QInt8, per_channel=True)


@form
def ort_16_bits(layers, input, x):
    _, t = kinds()
    return static(float_onnx(layers, input), x, activation_type=t.QInt16, weight_type=t.QInt8, extra_options={"ActivationSymmetric": True})


# --- own quantizers: any widths, steps that are powers of two


def steps(layers, x, act_bits, weight_bits, channels, power):
    """Steps of the image, of every layer's output and weights."""
    def step(most, levels):
        s = np.maximum(most / levels, 1e-8)
        return np.float32(2.0 ** np.ceil(np.log2(s)) if power else s)

    seen = run(float_taps(layers, x.shape[1:]), x)
    image = step(np.abs(x).max(), 127)
    acts = [step(seen[i].max(), 2**act_bits - 1) for i in range(len(layers) - 1)]
    weights = []
    for i, l in enumerate(layers):
        flat = np.abs(l["w"].reshape(len(l["w"]), -1))
        per = flat.max(1) if channels and i + 1 < len(layers) else flat.max()
        weights.append(step(per, 2 ** (weight_bits - 1) - 1))
    return image, acts, weights


def float_taps(layers, input):
    m = float_onnx(layers, input)
    for i in range(len(layers) - 1):
        m.graph.output.append(helper.make_tensor_value_info(f"relu{i}", TensorProto.FLOAT, None))
    return m


def run(model, x, names=None):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = names or [o.name for o in session.get_outputs()][1:]
    parts = [session.run(names, {"x": x[i:i + 64]}) for i in range(0, len(x), 64)]
    return [np.concatenate(p) for p in zip(*parts)]


def codes_of(values, step, low, high):
    step = np.reshape(step, (-1,) + (1,) * (values.ndim - 1)) if np.ndim(step) else step
    return np.clip(np.rint(values / step), low, high)


def own(layers, input, x, spelling, act_bits=8, weight_bits=8, channels=False, power=True, bias_quant=False, **options):
    """QDQ with a ReLU and, where codes are narrower than their type, a Clip; or the same in another spelling."""
    image, acts, weights = steps(layers, x, act_bits, weight_bits, channels, power)
    g, value, read = Graph(), "x", image
    spell = SPELLINGS[spelling]
    value = spell(g, value, "image", image, 8, True, False)
    for i, l in enumerate(layers):
        last = i + 1 == len(layers)
        if l["w"].ndim == 2 and (i == 0 or layers[i - 1]["w"].ndim == 4):
            value = g.node("Flatten", [value], "flat", axis=1)
        w = spell(g, l["w"], f"w{i}", weights[i], weight_bits, True, True)
        unit = (weights[i] * read).astype(np.float32)
        if bias_quant:
            b = qonnx(g, l["b"], f"b{i}", unit, 32, True, False)
        else:
            b = g.const(f"b{i}_codes", np.rint(l["b"] / unit).astype(np.int32))
            b = g.node("DequantizeLinear", [b, g.const(f"b{i}_scale", unit)], f"b{i}", axis=0)
        value = g.sums(l, [value, w, b], "y" if last else f"sums{i}")
        if last:
            break
        value = spell(g, g.node("Relu", [value], f"relu{i}"), f"act{i}", acts[i], act_bits, False, False)
        if l["pool"]:
            value = g.node("MaxPool", [value], f"pool{i}", kernel_shape=[2, 2], strides=[2, 2])
        read = acts[i]
    return g.model(input, len(layers[-1]["b"]), **options)


def limits(bits, signed, narrow):
    return (-(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def qdq(g, value, name, step, bits, signed, constant):
    """Weights as integers; activations clipped before QuantizeLinear."""
    low, high = limits(bits, signed, constant)
    kind = np.dtype(f"{'' if signed else 'u'}int{8 if bits <= 8 else 16}")
    scale, zero = g.const(f"{name}_scale", step), g.const(f"{name}_zero", np.zeros(np.shape(step), kind))
    if constant:
        codes = g.const(f"{name}_codes", codes_of(value, step, low, high).astype(kind))
        return g.node("DequantizeLinear", [codes, scale, zero], name, axis=0)
    if (low, high) != limits(kind.itemsize * 8, signed, False):
        bounds = [g.const(f"{name}_{k}", np.float32(v) * step) for k, v in (("low", low), ("high", high))]
        value = g.node("Clip", [value, *bounds], f"{name}_clipped")
    codes = g.node("QuantizeLinear", [value, scale, zero], f"{name}_codes")
    return g.node("DequantizeLinear", [codes, scale, zero], name)


def qcdq(g, value, name, step, bits, signed, constant):
    """Brevitas: float weights too, and codes clipped behind QuantizeLinear."""
    low, high = limits(bits, signed, constant)
    kind = np.dtype(f"{'' if signed else 'u'}int8")
    value = g.const(f"{name}_float", value) if constant else value
    scale, zero = g.const(f"{name}_scale", step), g.const(f"{name}_zero", np.zeros(np.shape(step), kind))
    codes = g.node("QuantizeLinear", [value, scale, zero], f"{name}_all", axis=0)
    bounds = [g.const(f"{name}_{k}", kind.type(v)) for k, v in (("low", low), ("high", high))]
    codes = g.node("Clip", [codes, *bounds], f"{name}_codes")
    return g.node("DequantizeLinear", [codes, scale, zero], name, axis=0)


def qonnx(g, value, name, step, bits, signed, constant):
    tensor = isinstance(value, np.ndarray)
    value_name = g.const(f"{name}_float", value) if tensor else value
    step = np.reshape(step, (-1,) + (1,) * (value.ndim - 1)) if tensor and np.ndim(step) else step
    inputs = [value_name, g.const(f"{name}_scale", step), g.const(f"{name}_zero", np.float32(0)), g.const(f"{name}_bits", np.float32(bits))]
    return g.node("Quant", inputs, name, domain="qonnx.custom_op.general", signed=int(signed), narrow=int(constant), rounding_mode="ROUND")


def int4(g, value, name, step, bits, signed, constant):
    if not constant:
        return qdq(g, value, name, step, bits, signed, constant)
    codes = codes_of(value, step, -7, 7).astype(np.int8)
    g.inits.append(helper.make_tensor(f"{name}_codes", TensorProto.INT4, codes.shape, codes.flatten()))
    return g.node("DequantizeLinear", [f"{name}_codes", g.const(f"{name}_scale", step)], name, axis=0)


SPELLINGS = dict(qdq=qdq, qcdq=qcdq, qonnx=qonnx, int4=int4)


@form
def pow2_8(layers, input, x):
    return own(layers, input, x, "qdq")


@form
def pow2_4(layers, input, x):
    return own(layers, input, x, "qdq", act_bits=4, weight_bits=3, channels=True)


@form
def pow2_12(layers, input, x):
    return own(layers, input, x, "qdq", act_bits=9, weight_bits=10, opset=21, ir=10)


@form
def brevitas_qcdq(layers, input, x):
    return own(layers, input, x, "qcdq", act_bits=5, weight_bits=4, channels=True)


@form
def qonnx_quant(layers, input, x):
    """ONNX Runtime cannot run it: its integers are those of the same network in QDQ."""
    kind = dict(act_bits=6, weight_bits=5, channels=True)
    return own(layers, input, x, "qonnx", **kind), own(layers, input, x, "qdq", **kind)


@form
def qonnx_bias(layers, input, x):
    """Brevitas with Int32Bias: biases are Quant nodes of 32 bits, of the sums' step."""
    kind = dict(act_bits=6, weight_bits=5, channels=True)
    return own(layers, input, x, "qonnx", bias_quant=True, **kind), own(layers, input, x, "qdq", **kind)


@form
def int4_weights(layers, input, x):
    return own(layers, input, x, "int4", act_bits=8, weight_bits=4, power=False, opset=21, ir=10)


# --- what ONNX Runtime computes


LAYERS = ("Conv", "Gemm", "MatMul", "QLinearConv", "QLinearMatMul", "QGemm")


def taps(model, count):
    """For layers 1 …: the codes that the layer before makes, the node that makes them, and whether a pool follows."""
    graph = model.graph
    makers = {o: n for n in graph.node for o in n.output}
    layers = [n for n in graph.node if n.op_type in LAYERS]
    assert len(layers) == count, [n.op_type for n in layers]
    reads = []
    for n in layers[1:]:
        at, pool = n.input[0], False
        while makers[at].op_type in ("DequantizeLinear", "Flatten", "Reshape", "MaxPool") or (
            makers[at].op_type == "QuantizeLinear" and makers[makers[at].input[0]].op_type in ("MaxPool", "Flatten", "Reshape")
        ):
            pool |= makers[at].op_type == "MaxPool"
            at = makers[at].input[0]
        node = makers[at]
        reads.append((at, makers[node.input[0]] if node.op_type == "Clip" else node, pool))
    last = layers[-1].output[0]
    return reads, last if not layers[-1].op_type.startswith("Q") else graph.output[0].name


def answers(model, x, count):
    reads, sums = taps(model, count)
    model = onnx.ModelProto.FromString(model.SerializeToString())
    inits = {t.name: t for t in model.graph.initializer}
    names = [name for name, _, _ in reads] + [sums]
    for name in names:
        if name not in [o.name for o in model.graph.output]:
            model.graph.output.append(helper.ValueInfoProto(name=name))
    *found, y = run(model, x, names)
    codes = []
    for (_, node, pool), values in zip(reads, found):
        zero = {"QuantizeLinear": 2, "QLinearConv": 7, "QGemm": 8, "QLinearMatMul": 7}[node.op_type]
        values = values.astype(np.int32) - int(numpy_helper.to_array(inits[node.input[zero]]).flatten()[0])
        if pool:
            n, c, h, w = values.shape
            values = values[:, :, : h // 2 * 2, : w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
        codes.append(values)
    return codes, y.astype(np.float32)


def integers(model):
    """Codes and biases of every layer, as the file has them, zero points subtracted."""
    graph = model.graph
    inits = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    makers = {o: n for n in graph.node for o in n.output}

    def codes(name, zero, axis):
        values = inits[name] if name in inits else evaluated(model, name)
        zero = inits[zero].astype(np.int32) if zero else np.int32(0)
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        return values.astype(np.int32) - (zero.reshape(shape) if zero.ndim else zero)

    found = {}
    layers = [n for n in graph.node if n.op_type in LAYERS]
    for i, n in enumerate(layers):
        plain, axis = not n.op_type.startswith("Q"), int(n.op_type.endswith("MatMul"))
        dq = makers[n.input[1]].input if plain else n.input[3:6]
        weight = codes(dq[0], dq[2] if len(dq) > 2 else None, axis)
        found[f"weight.{i}"] = weight.T if axis else weight
        at = {"QLinearConv": 8, "QGemm": 6}.get(n.op_type, 2)
        bias = None if axis else makers[n.input[at]].input[0] if plain else n.input[at]
        found[f"bias.{i}"] = inits[bias].astype(np.int32) if bias else np.zeros(len(found[f"weight.{i}"]), np.int32)
    return found


def evaluated(model, name):
    """The constant `name`, which the graph computes."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    model.graph.output.append(helper.ValueInfoProto(name=name))
    x = model.graph.input[0].type.tensor_type.shape.dim
    return run(model, np.zeros([1, *[d.dim_value for d in x[1:]]], np.float32), [name])[0]


def write(folder, name, layers, input, x, calibration):
    model = FORMS[name](layers, input, calibration)
    model, runs = model if isinstance(model, tuple) else (model, model)
    onnx.save(model, folder / f"{name}.onnx")
    codes, y = answers(runs, x, len(layers))
    # What the file itself says in the end, with codes made of the logits where it does that.
    case = {"x": x, "y": y, "final": run(runs, x, [runs.graph.output[0].name])[0]}
    case |= integers(runs)
    case |= {f"codes.{i}": c.reshape(len(c), -1) for i, c in enumerate(codes)}
    save_file({k: np.ascontiguousarray(v) for k, v in case.items()}, folder / f"{name}.case.safetensors", {"options": json.dumps({})})


def model_file(path):
    """Layers of a float model file of this program."""
    from safetensors import safe_open

    f = safe_open(path, "np")
    d = json.loads(f.metadata()["vgg2rtl"])
    layers = [dict(w=f.get_tensor(l["name"] + ".weight"), b=f.get_tensor(l["name"] + ".bias"), pool=l.get("pool", False)) for l in d["layers"]]
    i = d["input"]
    p = d["preprocessing"]
    return layers, (i["c"], i["h"], i["w"]), p


def pictures(path, input, p):
    raw = gzip.open(path).read()
    _, n, h, w = struct.unpack(">4i", raw[:16])
    x = np.frombuffer(raw[16:], np.uint8).reshape(n, 1, h, w)
    x = np.concatenate([x, x[:, :, :, ::-1]])
    top, left = (input[1] - h) // 2, (input[2] - w) // 2
    x = np.pad(x, ((0, 0), (0, 0), (top, input[1] - h - top), (left, input[2] - w - left)))
    return ((x.astype(np.float32) * np.float32(p["scale"]) - np.float32(p["mean"][0])) / np.float32(p["std"][0])).astype(np.float32)


def main():
    arguments = sys.argv[1:]
    folder = Path(arguments.pop(0))
    folder.mkdir(parents=True, exist_ok=True)
    if "--float" in arguments:
        at = arguments.index("--float")
        layers, input, p = model_file(arguments[at + 1])
        x = pictures(arguments[at + 3], input, p)
        names = arguments[at + 4:] or list(FORMS)
        for name in names:
            write(folder, name, layers, input, x, x[:128])
        return
    rng = np.random.default_rng(7)
    layers, input = small(rng), (3, 8, 8)
    x = (rng.normal(size=(40, *input)) + 0.4).astype(np.float32)
    for name in arguments or FORMS:
        write(folder, name, layers, input, x[:6], x)


if __name__ == "__main__":
    main()
