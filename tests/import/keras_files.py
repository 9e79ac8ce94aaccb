"""Makes small Keras files of random VGGs, with the logits that Keras computes.

    KERAS_BACKEND=jax python keras_files.py FOLDER

writes FOLDER/NAME and FOLDER/NAME.case.safetensors: images x (channels first), logits y, and in its metadata the
options that the import needs, or the words with which it must refuse. Needs keras 3, one of its backends, h5py and
safetensors.
"""

import json
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers as L
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
from safetensors.numpy import save_file

FOLDER = Path(sys.argv[1])
RANDOM = np.random.default_rng(1)
SHAPE = (16, 16, 3)


def randomised(model):
    """Keras starts batch norm as an identity and biases with 0."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            randomised(layer)
            continue
        weights = []
        for variable in layer.weights:
            spread = RANDOM.normal(0, 0.3, variable.shape)
            if variable.name in ("gamma", "moving_variance"):
                spread = np.abs(spread) + 0.3
            weights.append(spread.astype("float32"))
        layer.set_weights(weights)
    return model


def convolution(channels, bn=None, relu=None, **options):
    if bn is None:
        return [L.Conv2D(channels, 3, padding="same", activation="relu", **options)]
    return [L.Conv2D(channels, 3, padding="same", use_bias=False, **options), bn, relu or L.ReLU()]


def trunk(**options):
    return [*convolution(4, **options), L.MaxPooling2D(), *convolution(6), *convolution(8), L.MaxPooling2D()]


def head(softmax=True):
    return [L.Flatten(), L.Dense(7, activation="relu"), L.Dropout(0.5), L.Dense(5, activation="softmax" if softmax else None)]


def sequential(*parts, shape=SHAPE):
    return randomised(keras.Sequential([L.Input(shape), *parts]))


def functional(*parts, shape=SHAPE, name="functional"):
    x = first = L.Input(shape)
    for part in parts:
        x = part(x)
    return randomised(keras.Model(first, x, name=name))


def case(model, name, refused=None, shape=SHAPE, **options):
    """Images and logits beside the file NAME; a softmax at the end is left out."""
    x = RANDOM.normal(0, 1, (3, *shape)).astype("float32")
    last = model.layers[-1]
    if getattr(last, "activation", None) is keras.activations.softmax:
        last.activation = keras.activations.linear
    y = np.asarray(model(x, training=False))
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    metadata = {"options": json.dumps(options | ({"refused": refused} if refused else {}))}
    save_file({"x": x, "y": np.ascontiguousarray(y)}, FOLDER / f"{name}.case.safetensors", metadata)


def whole(model, name, **options):
    model.save(FOLDER / name)
    case(model, name, **options)


def compressed(source, name):
    """NAME is SOURCE with gzip and shuffle in every dataset."""
    with h5py.File(FOLDER / source) as old, h5py.File(FOLDER / name, "w") as new:
        for key, value in old.attrs.items():
            new.attrs[key] = value

        def copy(path, item):
            if isinstance(item, h5py.Dataset):
                there = new.create_dataset(path, data=item[()], compression="gzip", shuffle=True, chunks=True)
            else:
                there = new.require_group(path)
            for key, value in item.attrs.items():
                there.attrs[key] = value

        old.visititems(copy)


def lies(model):
    """A weight of 4 TiB that no chunk holds, and a group within itself."""
    model.save(FOLDER / "too_large.h5")
    with h5py.File(FOLDER / "too_large.h5", "a") as file:
        paths = []
        file.visit(paths.append)
        kernel = next(path for path in paths if path.endswith("kernel"))
        del file[kernel]
        file.create_dataset(kernel, (1 << 20, 1 << 20), "<f4", chunks=(1 << 10, 1 << 10))
    case(model, "too_large.h5", refused="more data than the file holds")
    model.save_weights(FOLDER / "cycle.weights.h5")
    with h5py.File(FOLDER / "cycle.weights.h5", "a") as file:
        file["layers/again"] = file["layers"]
        file["layers/more"] = file["layers"]
    case(model, "cycle.weights.h5", refused="in a cycle")


def main():
    FOLDER.mkdir(exist_ok=True)
    norm = lambda **options: L.BatchNormalization(epsilon=2e-3, **options)
    model = sequential(*trunk(bn=norm()), *head())
    model.save(FOLDER / "sequential.keras")
    whole(model, "sequential.h5")
    compressed("sequential.h5", "compressed.h5")
    for name in ("sequential.keras", "compressed.h5"):
        case(model, name)
    norms = [*convolution(4, norm()), L.MaxPooling2D(), *convolution(6, norm()), *convolution(8, norm()), L.MaxPooling2D()]
    model = sequential(*norms, *head())
    model.save_weights(FOLDER / "alone.weights.h5")
    with h5py.File(FOLDER / "alone_keras_2.h5", "w") as file:
        save_weights_to_hdf5_group(file, model)
    for name in ("alone.weights.h5", "alone_keras_2.h5"):
        case(model, name, input=[3, 16, 16], cfg=[4, None, 6, 8, None], bn_eps=2e-3)
    base = functional(*trunk(bn=norm(center=False)), name="base")
    nested = lambda: randomised(keras.Sequential([L.Input(SHAPE), base, *head(softmax=False)]))
    whole(nested(), "nested.keras")
    whole(nested(), "nested.h5")
    top = functional(L.Rescaling(1 / 127.5, -1), L.RandomFlip(), base, L.GlobalAveragePooling2D(), L.Dense(5), name="top")
    whole(top, "rescaled_average.keras")
    whole(functional(*trunk(bn=norm(scale=False)), L.GlobalAveragePooling2D(), L.Dense(9), norm(), L.Activation("relu"), L.Dense(4)), "dense_norm.h5")
    whole(sequential(*trunk(relu=L.LeakyReLU(0.1), bn=norm()), *head()), "leaky.keras", refused="only ReLU is supported")
    average = [*convolution(4), L.AveragePooling2D(2), *convolution(6), L.MaxPooling2D()]
    whole(sequential(*average, *head()), "average.keras", refused="average pool")
    strides = [*convolution(4), *convolution(6, strides=2), L.MaxPooling2D()]
    whole(sequential(*strides, *head()), "strides.h5", refused="conv2d")
    a, b = L.Conv2D(4, 3, padding="same", activation="relu"), L.Conv2D(4, 3, padding="same", activation="relu")
    x = L.Input(SHAPE)
    branches = L.Dense(3)(L.Flatten()(L.Add()([a(x), b(x)])))
    whole(randomised(keras.Model(x, branches)), "branches.keras", refused="branches")
    padded = [L.ZeroPadding2D(1), L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D()]
    whole(sequential(*padded, *head()), "padded.keras")
    x = L.Input(SHAPE)
    flat = L.Flatten()(a(x))
    several = randomised(keras.Model(x, [L.Dense(3)(flat), L.Dense(4)(flat)]))
    several.save(FOLDER / "several.keras")
    case(keras.Model(x, several.outputs[0]), "several.keras", refused="several outputs")
    lies(sequential(*trunk(), *head()))
    saturating = [L.Conv2D(4, 3, padding="same", activation="relu6"), *convolution(6, bn=norm(), relu=L.ReLU(max_value=0.5))]
    whole(sequential(*saturating, L.MaxPooling2D(), L.Flatten(), L.Dense(5)), "saturating.keras")


main()