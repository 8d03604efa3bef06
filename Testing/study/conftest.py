"""Small images on disk and studies that use them."""

import os
from pathlib import Path

import numpy as np
import pytest

from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import LabelSchema, Study, database
from Testing.study.samples import GRID


@pytest.fixture
def make_image(tmp_path):
    """A function that writes an image of its own and returns its path."""
    written = []

    def make(name="scan.nii.gz", grid=GRID) -> Path:
        rng = np.random.default_rng(len(written))
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, Volume(rng.integers(0, 2000, grid.shape).astype(np.int16), grid))
        written.append(path)
        return path

    return make


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Flushing takes most of the tests' time and only a power failure would show it."""
    monkeypatch.setattr(database, "SYNCHRONOUS", "OFF")
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def study(tmp_path) -> Study:
    """An empty study of two labels."""
    return Study.create(tmp_path / "study", LabelSchema.parse("1=artery,2=vein"))


@pytest.fixture
def case(study, make_image):
    """The only case of the study."""
    return study.add_case([make_image()])


@pytest.fixture
def make_labels():
    """A function that makes a label map of random values 0, 1, 2 on a grid, or of one value."""

    def make(seed=0, grid=GRID, value=None) -> Volume:
        rng = np.random.default_rng(seed)
        array = rng.integers(0, 3, grid.shape) if value is None else np.full(grid.shape, value)
        return Volume(array.astype(np.uint8), grid)

    return make
