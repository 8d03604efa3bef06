"""How far two labelings of the same slices of the same case agree: of two annotators, or of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ActiveSegLoopLib.evaluation.overlap import Overlap, count_overlap
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.annotation import Annotated, annotated_voxels
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.repeats import Repeat
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.study import Study


@dataclass(frozen=True)
class Agreement:
    """Two labelings of one label of one case, counted where both annotated it.

    first, second: who made them; None where that isn't known. share: of the volume that both
    annotated; volumes: both label maps where it is all of it, so that their surfaces can be
    compared, else None. origins: "manual", "corrected" or, of a second labeling that was meant to
    be drawn without the first, "repeated"; any other may have been drawn with the first in sight.
    """

    case: str
    label: str
    first: str | None
    second: str | None
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
    earlier ones. Revisions without an annotator are left out. Then every second labeling against
    the labels that it repeats, by whomever. Excluded cases don't count. go_on is called before each
    case and raises to stop.
    """
    excluded = study.excluded()
    for case in study.cases():
        go_on()
        revisions: dict[str, list[Revision]] = {}
        for revision in study.revisions(case):
            if revision.annotator is not None and revision.origin != "model":
                revisions.setdefault(revision.annotator, []).append(revision)
        if len(revisions) < 2 or case.excluded:
            continue
        labelings = {name: _labeling(study, case, own) for name, own in revisions.items()}
        for first, second in combinations(labelings, 2):
            yield from _agreements(
                study, case, (first, second), (labelings[first], labelings[second])
            )
    for repeat in study.repeats():
        go_on()
        if repeat.case in excluded:
            continue
        yield from _repeated(study, repeat)


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
    for position in range(len(study.schema.labels)):
        both = one.known.label(position) & other.known.label(position)
        yield from _agreement(study, case.name, position, both, names, origins, volumes)


def _repeated(study: Study, repeat: Repeat) -> Iterator[Agreement]:
    *volumes, known = study.repeated(repeat)
    before = [
        revision for revision in study.revisions(study.case(repeat.case))
        if revision.number <= repeat.revision
    ]
    labelers = {revision.annotator for revision in before if revision.origin != "model"}
    first = " and ".join(sorted(labelers)) if labelers and None not in labelers else None
    names = first, repeat.annotator
    origins = before[-1].origin, "repeated"
    for position in range(len(study.schema.labels)):
        both = known.label(position)
        yield from _agreement(study, repeat.case, position, both, names, origins, tuple(volumes))


def _agreement(
    study: Study,
    case: str,
    position: int,
    both: np.ndarray,
    names: tuple[str | None, str | None],
    origins: tuple[str, str],
    volumes: tuple[Volume, Volume],
) -> Iterator[Agreement]:
    """The agreement on one label where both annotated it; none if they did nowhere."""
    if not both.any():
        return
    label = study.schema.labels[position]
    one, other = (volume.array for volume in volumes)
    overlap = count_overlap(one, other, label.value, both, volumes[0].geometry.voxel_volume)
    yield Agreement(
        case, label.id, *names, origins, overlap, float(both.mean()),
        volumes if both.all() else None,
    )
