"""Small images and labels for the tests of the panel."""

import numpy as np

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume

GRID = Geometry((6, 10, 12), (3.0, 1.0, 1.0), (5.0, -20.0, 30.0))


def image(seed):
    """An image of noise."""
    return Volume(np.random.default_rng(seed).normal(100, 20, GRID.shape).astype(np.int16), GRID)


def labels(shift=0):
    """A block of label 1 and one of label 2."""
    array = np.zeros(GRID.shape, np.uint8)
    array[1:5, 2:6, 2 + shift : 6 + shift] = 1
    array[1:5, 6:9, 2:10] = 2
    return Volume(array, GRID)


def add_case(study, folder, name, role="pool"):
    """Add a case with an image of its own."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.nrrd"
    write_volume(path, image(int(name.lstrip("p"))))
    return study.add_case([path], role=role)
