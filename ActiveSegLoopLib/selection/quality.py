"""How good the labels are, told from slices that were labeled twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.selection.pooling import PooledIoU, pooled_iou
from ActiveSegLoopLib.study.annotation import Annotation
from ActiveSegLoopLib.study.repeats import Repeat
from ActiveSegLoopLib.study.study import Study

GOOD_IOU = 0.90  # what to aim for before anything else (Zharov 2022, 3.2)
FEWEST_SLICES = 3


@dataclass(frozen=True)
class LabelQuality:
    """Agreement of second labelings with the first: the mean over the structures, and each by id.

    Each is the IoU over all repeated slices that show the structure in either labeling.
    """

    overall: PooledIoU
    structures: dict[str, PooledIoU]

    @property
    def is_measured(self) -> bool:
        """Whether enough slices were repeated to say anything."""
        return self.overall.slices >= FEWEST_SLICES

    @property
    def is_good(self) -> bool | None:
        """Whether the labels are good enough to go on; None where that isn't known."""
        return self.overall.iou >= GOOD_IOU if self.is_measured else None

    @property
    def worst(self) -> str | None:
        """Id of the structure with the lowest IoU, None without any."""
        known = {id: p.iou for id, p in self.structures.items() if p.slices}
        return min(known, key=known.get) if known else None


def label_quality(study: Study, seed: int = 0) -> LabelQuality:
    """The quality of today's labels by all repeats of the study; without any, everything is NaN.

    A slice's newest repeat counts, and none of a label that was changed there since. Excluded cases
    don't count.
    """
    ids = study.schema.ids
    excluded = study.excluded()
    common, union = np.zeros((0, len(ids))), np.zeros((0, len(ids)))
    told: set[tuple] = set()
    for repeat in reversed(study.repeats()):
        if repeat.case in excluded:
            continue
        here = _voxels_per_slice(study, repeat, told)
        common, union = np.concatenate([common, here[0]]), np.concatenate([union, here[1]])
    return LabelQuality(
        pooled_iou(common, union, seed),
        {id: pooled_iou(common[:, i], union[:, i], seed) for i, id in enumerate(ids)},
    )


def _voxels_per_slice(
    study: Study, repeat: Repeat, told: set[tuple]
) -> tuple[np.ndarray, np.ndarray]:
    """Common and united voxels (slices, labels) of one repeat, on the slices repeated.

    0 for those that `told` has, by case, axis, index and label, from newer ones: it takes these in.
    """
    first, second, known = study.repeated(repeat)
    counted = np.zeros(first.array.shape, bool)  # slices of two planes cross
    newest = study.latest(study.case(repeat.case))
    today = first.array
    if newest is not None and newest.number != repeat.revision:
        today = study.labelmap(newest).array
    places = _places(repeat.annotation, first.geometry)
    common = np.zeros((len(places), len(study.schema.labels)), int)
    union = common.copy()
    for row, place in enumerate(places):
        new = ~counted[place]
        counted[place] = True
        codes = known.codes[place]
        for column, label in enumerate(study.schema.labels):
            there = known.subsets[:, column][codes] & new
            one, other = first.array[place] == label.value, second.array[place] == label.value
            key = (repeat.case, len(place), place[-1], label.id)
            changed = ((today[place] == label.value) != one)[there].any()
            if key in told or changed or not there.any():
                continue
            told.add(key)
            common[row, column] = np.count_nonzero(one & other & there)
            union[row, column] = np.count_nonzero((one | other) & there)
    return common, union


def _places(annotation: Annotation, geometry) -> Sequence[tuple]:
    slices = annotation.slices
    if slices is None:
        slices = {"axial": range(geometry.shape[geometry.axis_of("axial")])}
    return [
        (slice(None),) * geometry.axis_of(plane) + (index,)
        for plane, indices in slices.items()
        for index in indices
    ]
