"""Small grids and volumes for the tests of images."""

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume

OBLIQUE = (
    (0.9995614909890236, -2.1e-05, 0.0296112),
    (0.0022, -0.99720, -0.07485),
    (-0.02953, -0.07488, 0.99675),
)


@pytest.fixture
def oblique_geometry() -> Geometry:
    """An anisotropic grid whose axes are turned by some degrees."""
    axes, _ = np.linalg.qr(np.array(OBLIQUE))
    axes *= np.sign(np.diag(axes)) * np.sign(np.diag(OBLIQUE))
    return Geometry((5, 9, 7), (17.0, 0.84, 0.9), (-10.5, 17.25, -25.0), axes.ravel())


@pytest.fixture
def a_volume() -> Volume:
    """A small 16-bit image on a regular grid."""
    geometry = Geometry((6, 7, 8), (3.0, 2.0, 1.5), (-10.0, 5.0, 100.0))
    values = np.random.default_rng(0).integers(-1000, 3000, geometry.shape)
    return Volume(values.astype(np.int16), geometry)
