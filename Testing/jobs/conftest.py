"""Tiny images with two balls to find in them, a study trained on them, and real processes."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from Testing.jobs.running import call

SHAPE = (20, 24, 24)
# Not 1 and 2: the study's values are not the network's channels.
LIVER, SPLEEN = 3, 7


def balls(seed: int) -> tuple[Volume, Volume]:
    """An image and its labels: two balls of different brightness in noise."""
    random = np.random.default_rng(seed)
    geometry = Geometry(SHAPE, (1.5, 1.0, 1.0), (10.0, -20.0, 30.0))
    z, y, x = np.indices(SHAPE)
    image = random.normal(0, 5, SHAPE)
    labels = np.zeros(SHAPE, np.uint8)
    for value, brightness, column in ((LIVER, 100, 6), (SPLEEN, 50, 17)):
        center = (10, 12, column) + random.uniform(-1.5, 1.5, 3)
        inside = np.hypot(np.hypot(z - center[0], y - center[1]), x - center[2]) < 4
        image[inside] += brightness
        labels[inside] = value
    return Volume(image.astype(np.float32), geometry), Volume(labels, geometry)


@dataclass(frozen=True)
class Data:
    """Folders of images and labels with the same names: p0 to p5."""

    images: Path
    labels: Path

    def image(self, number: int) -> Path:
        return self.images / f"p{number}.nii.gz"

    def label(self, number: int) -> Path:
        return self.labels / f"p{number}.nii.gz"


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Data:
    """Six images with labels, on disk."""
    folder = tmp_path_factory.mktemp("data")
    made = Data(folder / "images", folder / "labels")
    made.images.mkdir()
    made.labels.mkdir()
    for number in range(6):
        image, labels = balls(number)
        write_volume(made.image(number), image)
        write_volume(made.label(number), labels)
        # Written an hour ago: a study notes the state of an image only once it has settled.
        an_hour_ago = time.time() - 3600
        os.utime(made.image(number), (an_hour_ago, an_hour_ago))
    return made


@pytest.fixture
def study(tmp_path, data) -> Path:
    """A study with two labeled cases, one unlabeled one and a test case; nothing trained."""
    folder = tmp_path / "study"
    assert call("init", folder, "--labels", f"{LIVER}=liver,{SPLEEN}=spleen") == 0
    assert call("add", folder, data.image(0), data.image(1), "--labels", data.labels) == 0
    assert call("add", folder, data.image(2)) == 0
    assert call("add", folder, data.image(5), "--role", "test", "--labels", data.labels) == 0
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory, data) -> Path:
    """A study with one short round of training; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("trained") / "study"
    assert call("init", folder, "--labels", f"{LIVER}=liver,{SPLEEN}=spleen") == 0
    assert call("add", folder, data.image(0), data.image(1), "--labels", data.labels) == 0
    assert call("add", folder, data.image(2)) == 0
    assert call("train", folder, "--preset", "fast", "--device", "cpu", "--iterations", 2) == 0
    return folder
