"""How fast this study is labeled, and how many slices show its structures often enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ActiveSegLoopLib.images.geometry import PLANES, Geometry
from ActiveSegLoopLib.selection.history import labeled_slices
from ActiveSegLoopLib.study.annotation import Annotation
from ActiveSegLoopLib.study.coverage import annotated_slices
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.study import Study

MINIMUM_SLICES = 3  # of each structure in each volume
# So many of the newest revisions tell the pace; older ones were slower or without a model.
_NEWEST = 20
_FEWEST_CORRECTED = 3


@dataclass(frozen=True)
class Pace:
    """Measured labeling times in seconds; NaN or empty where nothing was timed.

    origin: "corrected" where at least three revisions began with the model's proposal (the next
    ones will too), else "all". revisions: how many were timed. structures: by label id, seconds per
    slice that shows the structure. per_slice, per_volume: of everything, as labeled so far.
    """

    origin: str
    revisions: int
    structures: Mapping[str, float] = field(default_factory=dict)
    per_slice: float = math.nan
    per_volume: float = math.nan

    @property
    def is_measured(self) -> bool:
        """Whether anything was timed."""
        return self.revisions > 0


def measure_pace(study: Study) -> Pace:
    """The pace of the newest timed revisions, of whichever role their cases have."""
    timed = [
        r for case in study.cases() for r in study.revisions(case)
        if r.seconds and r.origin != "model"
    ]
    timed.sort(key=lambda revision: revision.created)
    corrected = [revision for revision in timed if revision.origin == "corrected"]
    origin = "corrected" if len(corrected) >= _FEWEST_CORRECTED else "all"
    chosen = (corrected if origin == "corrected" else timed)[-_NEWEST:]
    if not chosen:
        return Pace(origin, 0)
    seconds = dict.fromkeys(study.schema.ids, 0.0)
    shown = dict.fromkeys(study.schema.ids, 0)
    slices = 0
    for revision in chosen:
        geometry = study.case(revision.case).geometry
        visible = _visible(study, revision, [revision.annotation], geometry)
        slices += len(visible)
        for column, id in enumerate(study.schema.ids):
            if id in revision.seconds:
                seconds[id] += revision.seconds[id]
                shown[id] += int(visible[:, column].sum())
    total = math.fsum(seconds.values())
    return Pace(
        origin, len(chosen), {id: seconds[id] / shown[id] for id in shown if shown[id]},
        total / slices if slices else math.nan, total / len({r.case for r in chosen}),
    )


@dataclass(frozen=True)
class Need:
    """How many well-chosen slices show each structure `minimum` times, where it is so large.

    slices: the median over `cases` labeled volumes; hits: on how many of them each structure (by
    label id) then lies, on average; shares: of the annotated slices that show it (0 to 1), and
    under "" that show any. Without labeled volumes as if no slice showed two structures. unknown:
    ids of those that count as on every slice, because no label says where they are.
    """

    minimum: int
    cases: int
    slices: int
    hits: Mapping[str, float]
    shares: Mapping[str, float]
    unknown: tuple[str, ...] = ()


def slices_needed(
    study: Study, plane: str = "axial", minimum: int = MINIMUM_SLICES, limit: int = 10
) -> Need:
    """The need by the newest labels of up to `limit` cases, in slices of a plane.

    A structure that no case has counts as in an unlabeled study, unless it was looked for in a
    whole volume: then none of it is expected.
    """
    ids = study.schema.ids
    newest = [study.latest(case) for role in ("pool", "validation") for case in study.cases(role)]
    newest = [revision for revision in newest if revision is not None and not revision.is_empty]
    newest.sort(key=lambda revision: labeled_slices(
        revision, study.case(revision.case).geometry
    ), reverse=True)
    counts, hits, shares = [], [], []
    sought = np.zeros(len(ids), bool)
    for revision in newest[:limit]:
        geometry = study.case(revision.case).geometry
        visible = _visible(study, revision, revision.annotations, geometry, plane)
        sought |= annotated_slices(
            revision.annotations, geometry, plane, study.schema
        ).all(axis=0)
        chosen = cover(visible, minimum)
        if chosen:
            counts.append(len(chosen))
            hits.append(visible[chosen].sum(axis=0))
            shares.append([*visible.mean(axis=0), visible.any(axis=1).mean()])
    if not counts:
        hits_each = dict.fromkeys(ids, float(minimum))
        shares_each = dict.fromkeys((*ids, ""), 1.0)
        return Need(minimum, 0, minimum * len(ids), hits_each, shares_each, tuple(ids))
    mean, share = np.array(hits).mean(axis=0), np.array(shares).mean(axis=0)
    unknown = (mean == 0) & ~sought
    share[:-1][unknown] = 1.0
    mean[unknown] = minimum
    slices = math.ceil(float(np.median(counts))) + minimum * int(unknown.sum())
    return Need(
        minimum, len(counts), slices, dict(zip(ids, mean.tolist())),
        dict(zip((*ids, ""), share.tolist())),
        tuple(id for id, each in zip(ids, unknown) if each),
    )


def cover(visible: np.ndarray, minimum: int) -> list[int]:
    """A small set of slices on which each structure lies `minimum` times, or as often as it can.

    visible: bool (slices, structures). Greedy, which comes close to the smallest set; of equally
    good slices the one farthest from those chosen is taken, so that they spread.
    """
    left = np.minimum(visible.sum(axis=0), minimum)
    free = np.ones(len(visible), bool)
    chosen: list[int] = []
    while left.any():
        worth = (visible[:, left > 0]).sum(axis=1) * free
        best = np.flatnonzero(worth == worth.max())
        index = int(best[_farthest(best, chosen)])
        chosen.append(index)
        free[index] = False
        left = np.maximum(0, left - visible[index])
    return sorted(chosen)


def _farthest(candidates: np.ndarray, chosen: Sequence[int]) -> int:
    if not chosen:
        return len(candidates) // 2
    return int(np.abs(candidates[:, None] - np.array(chosen)).min(axis=1).argmax())


def _visible(
    study: Study,
    revision: Revision,
    annotations: Sequence[Annotation],
    geometry: Geometry,
    plane: str | None = None,
) -> np.ndarray:
    """For each annotated slice whether it shows each label: bool (slices, labels).

    Of one plane, or of every plane in which slices were annotated (axial for a whole volume).
    """
    labels, schema = study.labelmap(revision).array, study.schema
    planes = (plane,) if plane else _planes(annotations)
    parts = []
    for each in planes:
        annotated = annotated_slices(annotations, geometry, each, schema)
        axis = geometry.axis_of(each)
        others = tuple(a for a in range(3) if a != axis)
        shown = np.stack(
            [(labels == label.value).any(axis=others) for label in schema.labels], axis=1
        )
        parts.append((shown & annotated)[annotated.any(axis=1)])
    return np.concatenate(parts)


def _planes(annotations: Sequence[Annotation]) -> tuple[str, ...]:
    if any(entry.slices is None for entry in annotations):
        return ("axial",)
    used = {plane for entry in annotations for plane in entry.slices}
    return tuple(plane for plane in PLANES if plane in used) or ("axial",)
