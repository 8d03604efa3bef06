"""The grid of the images that the tests of a study use."""

from ActiveSegLoopLib.images.geometry import Geometry

# Turned about the vertical by 36.9 degrees, and anisotropic: nothing lies along an axis by chance.
GRID = Geometry(
    (6, 7, 8), (3.0, 0.9, 0.7), (12.5, -40.0, 7.25), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)
)
