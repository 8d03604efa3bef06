"""The oracle at work: it labels exactly what was proposed, and what that took is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.simulation.contours import contour_mm
from ActiveSegLoopLib.simulation.oracle import correct
from ActiveSegLoopLib.study.annotation import Annotation
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.study import Study

# A batch: by case the slices to label, or None for the whole volume.
Batch = Mapping[str, Sequence[int] | None]


@dataclass(frozen=True)
class LabelingEffort:
    """What labeling took, over cases.

    slices: looked at; slices_changed: drawn or corrected in; voxels_changed: given another label
    than the one they began with; voxels_foreground: labeled before or after; contour_mm: outlines
    drawn (see contours.contour_mm).
    """

    slices: int = 0
    slices_changed: int = 0
    voxels_changed: int = 0
    voxels_foreground: int = 0
    contour_mm: float = 0.0

    def __add__(self, other: LabelingEffort) -> LabelingEffort:
        mine, its = asdict(self), asdict(other)
        return LabelingEffort(**{name: mine[name] + its[name] for name in mine})


def label_case(
    study: Study,
    case: Case,
    truth: Volume,
    slices: Sequence[int] | None,
    plane: str,
    predictor: Predictor | None = None,
    model_round: int | None = None,
    tolerance_mm: float | None = None,
) -> LabelingEffort:
    """Label slices of a case (None: all of it) as a new revision; returns what it took.

    What is annotated already (before a kill in the middle of a batch) isn't labeled again. Without
    a predictor the truth is drawn; with one its segmentation is corrected (see oracle.correct),
    as a person would who isn't pedantic.
    """
    axis = truth.geometry.axis_of(plane)
    annotation = Annotation() if slices is None else Annotation({plane: tuple(slices)})
    indices = range(truth.array.shape[axis]) if slices is None else sorted(slices)
    if predictor is None:
        given = truth.with_array(np.zeros_like(truth.array))
        wanted, origin, model_round = truth, "manual", None
    else:
        given = predictor.segment(study.volumes(case)).labelmap
        wanted = correct(given, truth, study.schema.names, tolerance_mm).labelmap
        origin = "corrected"
    labels = given.array.copy()
    at = (slice(None),) * axis + (list(indices),)
    labels[at] = wanted.array[at]
    if not is_labeled(study, case, slices, plane):
        study.add_revision(
            case, truth.with_array(labels), annotation, origin=origin, model_round=model_round,
            annotator="oracle",
        )
    before, after = np.moveaxis(given.array[at], axis, 0), np.moveaxis(labels[at], axis, 0)
    changed = before != after
    return LabelingEffort(
        len(indices),
        int(changed.any(axis=(1, 2)).sum()),
        int(changed.sum()),
        int(((before != 0) | (after != 0)).sum()),
        contour_mm(wanted, plane, indices, given),
    )


def is_labeled(study: Study, case: Case, slices: Sequence[int] | None, plane: str) -> bool:
    """Whether all of this is annotated already, as after a kill in the middle of a batch."""
    newest = study.latest(case)
    if newest is None:
        return False
    for entry in newest.annotations:
        if entry.slices is None:
            return True
        if slices is not None and set(slices) <= set(entry.slices.get(plane, ())):
            return True
    return False


def labeled_slices(study: Study, case: Case, plane: str) -> list[int]:
    """The slices along a plane that are annotated, all of them where the whole volume is."""
    newest = study.latest(case)
    found: set[int] = set()
    for entry in newest.annotations if newest else ():
        if entry.slices is None:
            return list(range(case.geometry.shape[case.geometry.axis_of(plane)]))
        found |= set(entry.slices.get(plane, ()))
    return sorted(found)
