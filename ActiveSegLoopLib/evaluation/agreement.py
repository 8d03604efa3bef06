"""How far two annotators agree where both labeled the same slices of the same case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ActiveSegLoopLib.evaluation.overlap import Overlap, count_overlap
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.annotation import Annotated, annotated_voxels
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.study import Study


@dataclass(frozen=True)
class Agreement:
    """Two annotators on one label of one case, counted where both annotated it.

    share: of the volume that both annotated; volumes: both label maps where it is all of it, so
    that their surfaces can be compared, else None. Whoever labeled second may have seen what the
    first one drew: the study can't tell.
    """

    case: str
    label: str
    first: str
    second: str
    origins: tuple[str, str]
    overlap: Overlap
    share: float
    volumes: tuple[Volume, Volume] | None


@dataclass(frozen=True)
class _Labeling:
    """All that one annotator labeled of a case: the values, and where they are known."""

    values: np.ndarray
    known: Annotated
    origins: tuple[str, ...]


def annotator_agreement(
    study: Study, go_on: Callable[[], None] = lambda: None
) -> Iterator[Agreement]:
    """Every pair of annotators on every label that both annotated somewhere in a case.

    Each annotator's own revisions count, only in what that revision annotated; later ones replace
    earlier ones. Revisions without an annotator are left out. go_on is called before each case
    and raises to stop.
    """
    for case in study.cases():
        go_on()
        revisions: dict[str, list[Revision]] = {}
        for revision in study.revisions(case):
            if revision.annotator is not None and revision.origin != "model":
                revisions.setdefault(revision.annotator, []).append(revision)
        if len(revisions) < 2:
            continue
        labelings = {name: _labeling(study, case, own) for name, own in revisions.items()}
        for first, second in combinations(labelings, 2):
            yield from _agreements(
                study, case, (first, second), (labelings[first], labelings[second])
            )


def _labeling(study: Study, case: Case, revisions: list[Revision]) -> _Labeling:
    schema = study.schema
    values = np.zeros(case.geometry.shape, np.uint8)
    for revision in revisions:
        annotated = annotated_voxels([revision.annotation], case.geometry, schema)
        labelmap = study.labelmap(revision).array
        for position, label in enumerate(schema.labels):
            here = annotated.label(position)
            # Only this label's voxels: another one there may never have been looked at.
            values[here & (values == label.value)] = 0
            values[here & (labelmap == label.value)] = label.value
    known = annotated_voxels([r.annotation for r in revisions], case.geometry, schema)
    return _Labeling(values, known, tuple(dict.fromkeys(r.origin for r in revisions)))


def _agreements(
    study: Study, case: Case, names: tuple[str, str], pair: tuple[_Labeling, _Labeling]
) -> Iterator[Agreement]:
    one, other = pair
    volumes = tuple(Volume(labeling.values, case.geometry) for labeling in pair)
    origins = tuple("corrected" if "corrected" in p.origins else "manual" for p in pair)
    for position, label in enumerate(study.schema.labels):
        both = one.known.label(position) & other.known.label(position)
        if not both.any():
            continue
        overlap = count_overlap(
            one.values, other.values, label.value, both, case.geometry.voxel_volume
        )
        yield Agreement(
            case.name, label.id, *names, origins, overlap, float(both.mean()),
            volumes if both.all() else None,
        )
