"""Studies with a history, made without training: cases, labels, times and rounds as told."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import Annotation, Case, LabelSchema, Revision, Study

GRID = Geometry((16, 12, 14), (4.0, 1.0, 1.0))


def structures(shift: int = 0, size: float = 4.0) -> Volume:
    """Labels: a ball of value 1 in slices 2 to 12, and a thin rod of value 2 in slices 9 to 13."""
    z, y, x = np.indices(GRID.shape)
    array = np.zeros(GRID.shape, np.uint8)
    reach = np.hypot(np.hypot((z - 7) * 0.7, y - 6), x - 5 - shift)
    array[reach <= size] = 1
    array[(9 <= z) & (z <= 13) & (np.hypot(y - 6, x - 11) <= 1)] = 2
    return Volume(array, GRID)


class History:
    """A study of the labels 1 ball and 2 rod, to which cases, labels and rounds are added."""

    def __init__(self, folder: Path) -> None:
        self.images = folder / "images"
        self.images.mkdir(parents=True, exist_ok=True)
        self.study = Study.create(folder / "study", LabelSchema.parse("1=ball,2=rod"))
        self.validation: list[Revision] = []

    def add(self, count: int, role: str = "pool", group: str | None = None) -> list[Case]:
        """So many more cases, unlabeled."""
        made = []
        for _ in range(count):
            number = len(self.study.cases())
            path = self.images / f"c{number:02d}.nii.gz"
            array = np.random.default_rng(number).normal(0, 100, GRID.shape).astype(np.int16)
            write_volume(path, Volume(array, GRID))
            made.append(self.study.add_case([path], role=role, group=group))
        return made

    def label(self, case: Case, slices=None, seconds=None, **more) -> Revision:
        """Label a case, or some axial slices of it."""
        annotation = Annotation(None if slices is None else {"axial": tuple(slices)})
        return self.study.add_revision(
            case, structures(), annotation, seconds=seconds or {}, **more
        )

    def train(self, dice, preset="fast", cases=("v1", "v2")):
        """A finished round on the newest labels of the pool; dice: of both structures."""
        newest = [self.study.latest(case) for case in self.study.cases("pool")]
        started = self.study.start_round(preset, {}, 0, [r for r in newest if r is not None])
        metrics = {}
        if dice is not None:
            row = {"ball": dice, "rod": dice}
            metrics = {
                "validation": dict.fromkeys(cases, row), "dice": row, "mean_dice": dice,
            }
        return self.study.finish_round(started, metrics, {})

    def grow(self, dices, per_round=2, slices=None, seconds=None) -> None:
        """Before each round label so many more cases, which are added."""
        for dice in dices:
            for case in self.add(per_round):
                self.label(case, slices, seconds)
            self.train(dice)
