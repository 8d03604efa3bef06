"""A MRML scene of the slicer-core wheel for every test, as the application sets it up."""

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.segmentation import Segment
from Testing.scene.starting import started_scene

GRID = Geometry(
    (6, 7, 8), (3.0, 0.9, 0.7), (12.5, -40.0, 7.25), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)
)
"""Turned about the vertical by 36.9 degrees, and anisotropic."""

KIDNEY = (
    "Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left"
    "~Anatomic codes - DICOM master list~^^~^^"
)
SEGMENTS = (
    Segment("artery", 1, "Artery", (1.0, 0.25, 0.0)),
    Segment("vein", 5, "Véne 静脈", (0.0, 0.5, 1.0)),
    Segment("kidney", 200, "Kidney", (0.5, 0.5, 0.25), KIDNEY),
)


@pytest.fixture
def scene():
    """An empty scene; the tests' own, so clearing it is nobody's loss."""
    made = started_scene()
    yield made
    made.Clear(True)


@pytest.fixture
def labels():
    """Random values of the segments, artery, vein and kidney, on the oblique grid."""
    from ActiveSegLoopLib.images.volume import Volume

    array = np.random.default_rng(0).choice([0, 0, 1, 5, 200], GRID.shape).astype(np.uint8)
    return Volume(array, GRID)
