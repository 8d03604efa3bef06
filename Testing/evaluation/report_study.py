"""A small study with three rounds, made without training: images, labels, predictions, times."""

import os
from pathlib import Path

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import Annotation, Label, LabelSchema, Study, database

# Turned about the vertical by 36.9 degrees, and anisotropic.
GRID = Geometry(
    (14, 22, 24), (2.0, 1.1, 0.9), (12.5, -40.0, 7.25), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)
)
LIVER, VEIN, CYST = 3, 7, 9
NAMES = {"liver": "_liver $x$ 肝", "vein": "vein & <b>artery</b>", "cyst": 'cy"st\'s'}
SCHEMA = LabelSchema((
    Label("liver", LIVER, NAMES["liver"]), Label("vein", VEIN, NAMES["vein"]),
    Label("cyst", CYST, NAMES["cyst"]),
))
ANNOTATORS = ("Dr. <Ö>", "Nurse & B")
TESTS = ("t1", "t2", "t3l", "t3r", "t4")


def truth(seed: int, cyst: bool = False) -> Volume:
    """Two balls, and a third in some cases."""
    random = np.random.default_rng(seed)
    z, y, x = np.indices(GRID.shape)
    labels = np.zeros(GRID.shape, np.uint8)
    for value, column, radius in ((LIVER, 7, 4), (VEIN, 17, 3), (CYST, 12, 2))[: 2 + cyst]:
        center = (7, 11, column) + random.uniform(-1, 1, 3)
        labels[(z - center[0]) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2
               < radius**2] = value
    return Volume(labels, GRID)


def moved(labels: Volume, voxels: int) -> Volume:
    """The labels moved along the last axis: the more, the worse."""
    return labels.with_array(np.roll(labels.array, voxels, axis=2))


def write_image(folder: Path, name: str, labels: Volume, seed: int) -> Path:
    """An image in which the labels are bright."""
    noise = np.random.default_rng(seed).normal(0, 5, GRID.shape)
    path = folder / f"{name}.nii.gz"
    write_volume(path, labels.with_array((noise + 20 * (labels.array > 0)).astype(np.float32)))
    return path


def make_study(folder: Path) -> Study:
    """Five test cases of four patients, one validation case, four of the pool; rounds 1 to 3.

    Round 1 lacks the prediction of t4; two annotators labeled p1 and the vein of p2 in slices.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "SYNCHRONOUS", "OFF")
        patch.setattr(os, "fsync", lambda descriptor: None)
        return _filled(folder)


def _filled(folder: Path) -> Study:
    study = Study.create(folder / "study", SCHEMA)
    images = folder / "images"
    images.mkdir()
    one, other = ANNOTATORS
    labels, cases = {}, {}
    for seed, name in enumerate((*TESTS, "v1", "p1", "p2", "p3", "p4")):
        role = {"t": "test", "v": "validation", "p": "pool"}[name[0]]
        labels[name] = truth(seed, cyst=name in ("t1", "t2", "p1"))
        cases[name] = study.add_case(
            [write_image(images, name, labels[name], seed)], name, role, f"patient {name[:2]}"
        )
        if role != "pool" or name in ("p1", "p2"):
            study.add_revision(
                cases[name], labels[name], annotator=one,
                seconds={"liver": 600.0 + seed, "vein": 90.5},
            )
    study.add_revision(cases["p1"], moved(labels["p1"], 1), annotator=other)
    study.add_revision(
        cases["p2"], moved(labels["p2"], 1), Annotation({"axial": (6, 7)}, ("vein",)),
        annotator=other, seconds={"vein": 14.0},
    )
    for number, shift in enumerate((4, 2, 1), start=1):
        if number > 1:
            began, name = study.round(number - 1), f"p{number + 1}"
            study.save_prediction(began, cases[name], moved(labels[name], shift + 1))
            study.add_revision(
                cases[name], labels[name], origin="corrected", model_round=began.number,
                annotator=other, seconds={"liver": 100.0 + number, "vein": 41.0},
            )
        latest = [study.latest(c) for c in study.cases("pool")]
        current = study.start_round(
            "fast", {"recipe": {"rate": 0.5, "note": "</pre><b>"}}, number,
            [r for r in latest if r is not None], [study.latest(cases["v1"])],
        )
        study.finish_round(current, {"mean_dice": 0.25 * number}, {"torch": "2.13"})
        for index, name in enumerate(("v1", *TESTS)):
            if (number, name) != (1, "t4"):
                prediction = moved(labels[name], shift + index % 2)
                if (number, name) == (3, "t4"):
                    prediction.array[1:3, 1:3, 1:3] = CYST  # there is none
                study.save_prediction(current, cases[name], prediction)
    return study
