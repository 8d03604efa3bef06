"""A MRML scene of the slicer-core wheel for every test, as the application sets it up."""

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.segmentation import Segment
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import Label, LabelSchema, Study
from Testing.scene.starting import add_slice_views, started_scene

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
    array = np.random.default_rng(0).choice([0, 0, 1, 5, 200], GRID.shape).astype(np.uint8)
    return Volume(array, GRID)


@pytest.fixture
def views(scene):
    """The scene with the window's three slice views."""
    add_slice_views(scene)
    return scene


@pytest.fixture
def study(tmp_path):
    """A study of the segments' labels with two cases on the oblique grid, p1 and p2."""
    made = Study.create(
        tmp_path / "study",
        LabelSchema(tuple(Label(s.id, s.value, s.name, s.color, s.terminology) for s in SEGMENTS)),
    )
    for number in (1, 2):
        random = np.random.default_rng(number)
        image = Volume(random.integers(-1000, 2000, GRID.shape).astype(np.int16), GRID)
        write_volume(tmp_path / f"p{number}.nii.gz", image)
        made.add_case([tmp_path / f"p{number}.nii.gz"])
    return made


@pytest.fixture
def with_model(study, labels):
    """The study after a round, p1 labeled; its model has random weights, which is enough here."""
    pytest.importorskip("torch")
    from ActiveSegLoopLib.model.model_files import Model, save_model
    from ActiveSegLoopLib.model.network import UNet
    from Testing.model.samples import cascade, stage

    plan = cascade(segmenter=stage((1.0, 1.0, 1.0), (16, 16, 16), 4), locator=None)
    revision = study.add_revision(study.case("p1"), labels)
    begun = study.start_round("fast", {}, 0, [revision])
    network = UNet(plan.segmenter.network)
    save_model(begun.folder, Model(study.schema, plan, network, None))
    study.finish_round(begun, {"training_cases": 1}, {})
    return study
