"""Labeled cases in memory, with two organs far apart, as training reads them."""

import numpy as np

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.preparing import LabeledCase
from ActiveSegLoopLib.study import Annotated

GRID = Geometry((24, 30, 60), (1.0, 1.0, 1.0))
EVERYTHING = np.array([[False, False], [True, True]])


class Loaded(LabeledCase):
    """A case in memory that counts how often it is loaded."""

    def __init__(self, channels, codes=None, subsets=EVERYTHING, grid=GRID, key="key"):
        codes = np.ones(grid.shape, np.uint8) if codes is None else codes
        image = np.random.default_rng(0).normal(100, 20, grid.shape).astype(np.float32)

        def load():
            object.__setattr__(self, "times", self.times + 1)
            return [Volume(image, grid)], Volume(channels, grid), Annotated(codes, subsets)

        super().__init__("c0", key, load)
        object.__setattr__(self, "times", 0)


def two_organs() -> np.ndarray:
    """Channels: two organs far apart (1), one with a tumor (2)."""
    channels = np.zeros(GRID.shape, np.uint8)
    channels[6:18, 8:20, 6:16] = 1
    channels[6:18, 8:20, 44:54] = 1
    channels[9:13, 11:15, 46:50] = 2
    return channels


def only_slices(indices, axis=0) -> np.ndarray:
    codes = np.zeros(GRID.shape, np.uint8)
    np.moveaxis(codes, axis, 0)[list(indices)] = 1
    return codes


def opened(cases) -> list:
    """Prepared cases as they are read from the disk."""
    return [case.open() for case in cases]
