"""Studies of small volumes to propose from."""

import os

import numpy as np
import pytest

from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import LabelSchema, Study, database
from Testing.selection.synthetic import History
from Testing.study.samples import GRID


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Flushing takes most of the tests' time and only a power failure would show it."""
    monkeypatch.setattr(database, "SYNCHRONOUS", "OFF")
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def pool(tmp_path) -> Study:
    """A study with the cases a, b and c, nothing labeled."""
    study = Study.create(tmp_path / "study", LabelSchema.parse("3=artery,7=vein"))
    for number, name in enumerate("abc"):
        random = np.random.default_rng(number)
        path = tmp_path / f"{name}.nrrd"
        write_volume(path, Volume(random.normal(size=GRID.shape).astype(np.float32), GRID))
        study.add_case([path])
    return study


@pytest.fixture
def history(tmp_path) -> History:
    """A study to which cases, labels and rounds are added without training."""
    return History(tmp_path)
