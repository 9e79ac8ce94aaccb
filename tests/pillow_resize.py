"""What Pillow's resize makes of small pictures: writes tests/fixtures/resize.json.

python3 tests/pillow_resize.py        # needs numpy and Pillow below 13

torchvision's antialiased resize of bytes and Pillow below 13 resize rows before columns. Pillow 13 begins with what is
cheaper; bicubic, which is clipped in between, then differs by up to 23 of 255.
"""

import json
import pathlib

import numpy
from PIL import Image

SIZES = [  # from (height, width, channels) to (height, width)
    ((12, 17, 3), (5, 6)),
    ((9, 8, 3), (7, 15)),
    ((5, 4, 1), (13, 9)),
    ((31, 3, 1), (4, 3)),
    ((16, 16, 1), (1, 1)),
    ((2, 2, 3), (2, 7)),
]
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def cases():
    random = numpy.random.default_rng(17)
    for (h, w, c), (rows, columns) in SIZES:
        for sharp in [False, True]:  # noise, and edges from black to white, where bicubic overshoots
            picture = random.integers(0, 2 if sharp else 256, (h, w, c), numpy.uint8) * (255 if sharp else 1)
            image = Image.fromarray(picture[:, :, 0] if c == 1 else picture)
            for name, resampling in FILTERS.items():
                resized = numpy.asarray(image.resize((columns, rows), resampling))
                yield {
                    "filter": name,
                    "from": [h, w, c],
                    "to": [rows, columns],
                    "picture": picture.ravel().tolist(),
                    "resized": resized.ravel().tolist(),
                }


if __name__ == "__main__":
    path = pathlib.Path(__file__).parent / "fixtures" / "resize.json"
    path.write_text("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases()) + "\n]\n")
