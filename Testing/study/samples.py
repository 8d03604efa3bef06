"""What the tests of a study use: a grid, and what a training leaves."""

import json
from pathlib import Path

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.study.files import atomic_write, sha256_of
from ActiveSegLoopLib.study.model_folder import description_sha256

# Turned about the vertical by 36.9 degrees, and anisotropic: nothing lies along an axis by chance.
GRID = Geometry(
    (6, 7, 8), (3.0, 0.9, 0.7), (12.5, -40.0, 7.25), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)
)


def write_model(folder: Path, weights: bytes = b"weights") -> None:
    """Write a model's files as a training does; the weights are no network's."""
    file = folder / "segment.safetensors"
    with atomic_write(file) as path:
        path.write_bytes(weights)
    content = {"format": 1, "weights": {"segmenter": sha256_of(file)}}
    content["sha256"] = description_sha256(content)
    with atomic_write(folder / "model.json") as path:
        path.write_text(json.dumps(content))
