"""The true labels of an experiment's cases, and how much there is to label."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.errors import SimulationError
from ActiveSegLoopLib.images.labels import present_values
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.simulation.experiment import Experiment, SimulatedCase
from ActiveSegLoopLib.study.study import Study


@dataclass(frozen=True)
class PoolSize:
    """What all of the pool is: its volumes, its slices along a plane, its foreground voxels.

    per_slice: by case the foreground voxels of each slice along the plane.
    """

    volumes: int
    slices: int
    foreground: int
    per_slice: Mapping[str, np.ndarray]

    def units(self, unit: str) -> int:
        """How many units there are to label."""
        return self.slices if unit == "slice" else self.volumes


class Truth:
    """The true label maps by case name, on the grids that the study has for their images."""

    def __init__(self, experiment: Experiment) -> None:
        self._cases = {case.name: case for case in experiment.cases}
        self._values = np.array(sorted(experiment.schema.names))

    def labelmap(self, study: Study, name: str) -> Volume:
        """The true values of a case; those that no label of the experiment has become background.

        Raises SimulationError when the label file lies on another grid than the image.
        """
        case: SimulatedCase = self._cases[name]
        labels = read_labelmap(case.labels)
        geometry = study.case(name).geometry
        difference = geometry.difference(labels.geometry)
        if difference:
            raise SimulationError(
                f"{case.labels} doesn't lie on the grid of {case.images[0]} ({difference})."
            )
        known = np.isin(labels.array, self._values)
        return Volume(np.where(known, labels.array, 0).astype(np.uint8), geometry)

    def pool_size(self, study: Study, plane: str) -> PoolSize:
        """Count what there is to label in the pool of a study, slices along `plane`."""
        per_slice = {}
        for case in study.cases("pool"):
            labels = self.labelmap(study, case.name)
            axis = labels.geometry.axis_of(plane)
            others = tuple(a for a in range(3) if a != axis)
            per_slice[case.name] = np.count_nonzero(labels.array, axis=others)
        return PoolSize(
            len(per_slice),
            sum(len(counts) for counts in per_slice.values()),
            int(sum(counts.sum() for counts in per_slice.values())),
            per_slice,
        )


def values_in(
    cases: Sequence[SimulatedCase], wanted: Collection[int] | None = None
) -> list[int]:
    """All values but 0 that the label files of these cases hold, sorted.

    wanted: no more files are read once all of these are found.
    """
    found: set[int] = set()
    for case in cases:
        if wanted is not None and found.issuperset(wanted):
            break
        found.update(present_values(read_labelmap(case.labels).array))
    return sorted(found)
