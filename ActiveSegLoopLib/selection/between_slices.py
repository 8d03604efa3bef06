"""Whether labels may be interpolated between slices: offered only with its measured IoU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.images.interpolation import SliceShapes, interpolate_slices
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.selection.pooling import PooledIoU, pooled_iou
from ActiveSegLoopLib.selection.quality import FEWEST_SLICES, GOOD_IOU
from ActiveSegLoopLib.study.coverage import annotated_slices
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.study import Study

# Enough to tell 90 from 80 %; measuring more takes time and tells no more.
_SLICES_PER_VOLUME = 12
_STEPS = (1, 2, 4, 8)


@dataclass(frozen=True)
class GapQuality:
    """How well annotated slices are found again from neighbors `gap_mm` apart (on average)."""

    gap_mm: float
    measured: PooledIoU

    @property
    def is_good(self) -> bool:
        """Whether it is as good as a careful label; below that it may do harm (Zharov 2022)."""
        return self.measured.slices >= FEWEST_SLICES and self.measured.iou >= GOOD_IOU


@dataclass(frozen=True)
class LeftOut:
    """A slice that was interpolated as if it weren't annotated: voxels by label (labels,)."""

    gap_mm: float
    common: np.ndarray
    union: np.ndarray


def leave_slices_out(
    labels: np.ndarray,
    indices: Sequence[int],
    axis: int,
    spacing: tuple[float, float, float],
    values: Sequence[int],
) -> list[LeftOut]:
    """Annotated slices interpolated from annotated ones on both sides, at several distances.

    labels: (z, y, x); indices: annotated slices across `axis`; values: the labels to compare.
    """
    shapes = SliceShapes(labels, indices, axis, spacing)
    slices = np.moveaxis(labels, axis, 0)
    filled = slices.any(axis=(1, 2))
    found = []
    for step in _STEPS:
        inner = [
            at for at in range(step, len(shapes.indices) - step)
            if any(filled[shapes.indices[at + d]] for d in (-step, 0, step))
        ]
        for at in _spread(inner, _SLICES_PER_VOLUME):
            before, index, after = (shapes.indices[at + d] for d in (-step, 0, step))
            guess, truth = shapes.between(index, before, after), slices[index]
            pairs = [(guess == value, truth == value) for value in values]
            found.append(LeftOut(
                (after - before) * float(spacing[axis]),
                np.array([np.count_nonzero(a & b) for a, b in pairs]),
                np.array([np.count_nonzero(a | b) for a, b in pairs]),
            ))
    return found


def quality_by_gap(left_out: Sequence[LeftOut], seed: int = 0) -> list[GapQuality]:
    """The IoU for each size of the gap, doubled from one to the next, smallest first."""
    groups: dict[int, list[LeftOut]] = {}
    for item in left_out:
        groups.setdefault(round(math.log2(item.gap_mm)), []).append(item)
    found = []
    for _, group in sorted(groups.items()):
        measured = pooled_iou([g.common for g in group], [g.union for g in group], seed)
        if measured.slices:
            found.append(GapQuality(float(np.mean([g.gap_mm for g in group])), measured))
    return found


def measured_on(study: Study, plane: str = "axial", limit: int = 5) -> list[GapQuality]:
    """How well interpolation finds the study's own labels again, on the newest `limit` cases.

    Only slices of the plane annotated for every label take part; the labels of the test cases
    don't. Empty where no case has three such slices.
    """
    schema = study.schema
    newest = [study.latest(case) for role in ("pool", "validation") for case in study.cases(role)]
    newest = sorted((r for r in newest if r is not None), key=lambda r: r.created, reverse=True)
    left_out: list[LeftOut] = []
    cases = 0
    for revision in newest:
        indices, axis = _fully_annotated(study, revision, plane)
        if len(indices) < 3 or cases == limit:
            continue
        cases += 1
        volume = study.labelmap(revision)
        values = [label.value for label in schema.labels]
        left_out += leave_slices_out(
            volume.array, indices, axis, volume.geometry.spacing, values
        )
    return quality_by_gap(left_out)


def largest_good_gap(qualities: Sequence[GapQuality]) -> GapQuality | None:
    """The largest gap up to which all were good, None when not even the smallest was."""
    best = None
    for quality in qualities:
        if not quality.is_good:
            break
        best = quality
    return best


def interpolated(
    study: Study, revision: Revision, qualities: Sequence[GapQuality], plane: str = "axial"
) -> Volume:
    """A revision's label map with the slices between its annotated ones interpolated.

    qualities: from measured_on. What comes back is a proposal to look at, not an annotation. Raises
    SelectionError where there is no gap, or the largest is larger than those that were measured to
    be good.
    """
    indices, axis = _fully_annotated(study, revision, plane)
    if len(indices) < 2:
        raise SelectionError(
            f"Case '{revision.case}' has {len(indices)} {plane} slice(s) annotated for all labels: "
            "at least two are needed to interpolate between them."
        )
    if np.diff(indices).max() == 1:
        raise SelectionError(
            f"Between the annotated {plane} slices of case '{revision.case}' lies none that isn't: "
            "there is nothing to interpolate."
        )
    volume = study.labelmap(revision)
    gap = float(np.diff(indices).max() * volume.geometry.spacing[axis])
    best = largest_good_gap(qualities)
    if best is None or gap > best.gap_mm * math.sqrt(2):
        limit = "no gap" if best is None else f"gaps up to {best.gap_mm:.1f} mm only"
        raise SelectionError(
            f"The annotated {plane} slices of case '{revision.case}' are up to {gap:.1f} mm apart, "
            f"but interpolation was measured to be good ({GOOD_IOU:.0%} IoU) for {limit}: label "
            "slices in between."
        )
    return volume.with_array(
        interpolate_slices(volume.array, indices, axis, volume.geometry.spacing)
    )


def _fully_annotated(study: Study, revision: Revision, plane: str) -> tuple[list[int], int]:
    geometry = study.case(revision.case).geometry
    covered = annotated_slices(revision.annotations, geometry, plane, study.schema)
    return np.flatnonzero(covered.all(axis=1)).tolist(), geometry.axis_of(plane)


def _spread(numbers: Sequence[int], count: int) -> list[int]:
    """At most so many of the numbers, evenly spread."""
    if len(numbers) <= count:
        return list(numbers)
    return [numbers[round(i)] for i in np.linspace(0, len(numbers) - 1, count)]
