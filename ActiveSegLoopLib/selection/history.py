"""The study's own learning curve: what each round was trained on, and how good it was."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ActiveSegLoopLib.evaluation.overlap import summarize
from ActiveSegLoopLib.images.geometry import PLANES, Geometry
from ActiveSegLoopLib.study.coverage import annotated_slices
from ActiveSegLoopLib.study.files import atomic_write
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.rounds import GROUPS_TO_HOLD_OUT, Round
from ActiveSegLoopLib.study.study import Study

P_SCORE = "p_score.json"


@dataclass(frozen=True)
class RoundPoint:
    """A finished round. dice: mean over the structures that all rounds of the curve have, NaN where
    it has none; structures: by name.

    volumes, slices: of the training labels; complete: volumes annotated as a whole. minutes:
    labeling time of all that they grew from; timed: volumes that have any. p_scores: the mean of
    Zhang's P-scores by plane of the slices ("" where a former version didn't note the plane), the
    one noted last at the end.
    """

    round: int
    dice: float
    volumes: int
    slices: int
    complete: int
    minutes: float
    timed: int
    structures: Mapping[str, float] = field(default_factory=dict)
    p_scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def has_dice(self) -> bool:
        """Whether the Dice is known."""
        return math.isfinite(self.dice)


@dataclass(frozen=True)
class LearningCurve:
    """The rounds that can be compared, the first one first.

    preset: of all of them. cases: on how many cases the Dice is measured, 0 if not known. notes: in
    words what was left out or doesn't compare.
    """

    points: tuple[RoundPoint, ...]
    preset: str | None = None
    cases: int = 0
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[RoundPoint, ...]:
        """The points with a Dice."""
        return tuple(point for point in self.points if point.has_dice)


@dataclass(frozen=True)
class Untrained:
    """Labels of the pool that the newest finished round wasn't trained on, nor validated on.

    cases: how many have newer labels; volumes: those of them that the round didn't know; slices:
    how many more are annotated. can_validate: the round was validated on nothing, and there is
    something to validate on by now.
    """

    cases: int = 0
    volumes: int = 0
    slices: int = 0
    can_validate: bool = False


def untrained(study: Study) -> Untrained:
    """What was labeled since the newest finished round; nothing where there is none."""
    finished = [item for item in study.rounds() if item.state == "finished"]
    if not finished:
        return Untrained()
    known = {revision.case: revision for revision in finished[-1].revisions}
    validating = {revision.case for revision in finished[-1].validation}
    cases = volumes = slices = 0
    for case in study.cases("pool"):
        newest, before = study.latest(case), known.get(case.name)
        if newest is None or case.name in validating or newest == before:
            continue
        cases += 1
        volumes += before is None
        old = labeled_slices(before, case.geometry) if before else 0
        slices += max(0, labeled_slices(newest, case.geometry) - old)
    return Untrained(
        cases, volumes, slices, not validating and _can_validate(study, cases > 0)
    )


def _can_validate(study: Study, has_new: bool) -> bool:
    """Whether a training now has cases to measure the Dice on, which none had before."""
    if any(study.latest(case) for case in study.cases("validation")):
        return True
    labeled = [case for case in study.cases() if case.role == "pool" and study.latest(case)]
    groups = {case.group for case in labeled}
    return has_new and len(groups) >= GROUPS_TO_HOLD_OUT


def learning_curve(study: Study) -> LearningCurve:
    """The study's finished rounds of the newest one's preset.

    Where the rounds were validated on different cases, the Dice is that on the cases that all of
    them share, if there are any.
    """
    finished = [item for item in study.rounds() if item.state == "finished"]
    if not finished:
        return LearningCurve(())
    notes = []
    preset = finished[-1].preset
    rounds = [item for item in finished if item.preset == preset]
    if len(rounds) < len(finished):
        notes.append(
            f"{len(finished) - len(rounds)} of {len(finished)} rounds were trained with another "
            f"preset than {preset} and are left out."
        )
    shared = _shared_cases(rounds, notes)
    points = _over_shared_structures([_point(study, item, shared) for item in rounds], notes)
    unknown = [str(point.round) for point in points if not point.has_dice]
    if unknown:
        notes.append(
            f"Round{'s' * (len(unknown) > 1)} {', '.join(unknown)} left no Dice behind: nothing "
            "was held out, or no structure was there to find."
        )
    return LearningCurve(points, preset, len(shared or ()), tuple(notes))


def _rows(item: Round) -> Mapping[str, Mapping[str, float | None]]:
    return (item.metrics or {}).get("validation") or {}


def _shared_cases(rounds: Sequence[Round], notes: list[str]) -> set[str] | None:
    """The cases that all rounds were validated on; None where they share none."""
    sets = [set(_rows(item)) for item in rounds if _rows(item)]
    if not sets:
        return None
    shared = set.intersection(*sets)
    if not shared:
        notes.append(
            "The rounds were validated on different cases, so that their Dice compares badly: add "
            "cases with the role validation."
        )
        return None
    if any(cases != shared for cases in sets):
        notes.append(
            f"Some rounds were validated on more cases than others: the Dice here is that on the "
            f"{len(shared)} that all share."
        )
    return shared


def _over_shared_structures(
    points: Sequence[RoundPoint], notes: list[str]
) -> tuple[RoundPoint, ...]:
    """The points with the mean over the structures that all rounds with a Dice have.

    A structure that a later round began with is learned from little, and would look like a loss.
    """
    known = [{n for n, v in p.structures.items() if math.isfinite(v)} for p in points]
    known = [names for names in known if names]
    shared = set.intersection(*known) if known else set()
    others = sorted(set().union(*known) - shared)
    if not others:
        return tuple(points)
    if not shared:
        notes.append(
            "No structure has a Dice in every round, so that the rounds compare badly."
        )
        return tuple(points)
    notes.append(
        "The Dice here is the mean over the structures that all rounds have: without "
        f"{', '.join(others)}."
    )
    return tuple(
        replace(point, dice=summarize(point.structures[name] for name in shared).mean)
        if shared <= point.structures.keys() else point
        for point in points
    )


def _point(study: Study, item: Round, shared: set[str] | None) -> RoundPoint:
    volumes = slices = complete = timed = 0
    seconds = 0.0
    for revision in item.revisions:
        geometry = study.case(revision.case).geometry
        spent = [
            r.total_seconds for r in study.revisions(study.case(revision.case))
            if r.number <= revision.number and r.seconds
        ]
        volumes += 1
        slices += labeled_slices(revision, geometry)
        complete += is_complete(revision, study)
        timed += bool(spent)
        seconds += math.fsum(spent)
    structures = _structures(item, shared)
    return RoundPoint(
        item.number, _mean(item, structures), volumes, slices, complete, seconds / 60, timed,
        structures, _noted_p_scores(item.folder),
    )


def _structures(item: Round, shared: set[str] | None) -> dict[str, float]:
    """Mean Dice by structure, over the cases shared by all rounds."""
    if not shared or not _rows(item):
        return {name: _number(v) for name, v in ((item.metrics or {}).get("dice") or {}).items()}
    rows = [row for case, row in _rows(item).items() if case in shared]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: summarize(_number(row.get(name)) for row in rows).mean for name in names}


def _mean(item: Round, structures: Mapping[str, float]) -> float:
    if structures:
        return summarize(structures.values()).mean
    return _number((item.metrics or {}).get("mean_dice"))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def note_p_score(study: Study, number: int, mean: float, plane: str) -> None:
    """Keep the mean P-score of all slices that a round's model was asked about, for the sigma rule.

    Of each plane the newest one is kept. Raises StudyError for an unknown round.
    """
    folder = study.round(number).folder
    noted = _noted_p_scores(folder)
    noted.pop(plane, None)
    with atomic_write(folder / P_SCORE) as path:
        path.write_text(json.dumps({"mean_p_scores": {**noted, plane: float(mean)}}) + "\n")


def _noted_p_scores(folder: Path) -> dict[str, float]:
    path = folder / P_SCORE
    if not path.is_file():
        return {}
    noted = json.loads(path.read_text())
    # Former versions kept a single one, and not of which plane.
    return noted["mean_p_scores"] if "mean_p_scores" in noted else {"": noted["mean_p_score"]}


def labeled_slices(revision: Revision, geometry: Geometry) -> int:
    """How many slices a revision annotates for some label; a whole volume has its axial ones.

    Slices of several planes are added up.
    """
    if any(entry.slices is None for entry in revision.annotations):
        return geometry.shape[geometry.axis_of("axial")]
    return sum(
        len({i for entry in revision.annotations for i in (entry.slices or {}).get(plane, ())})
        for plane in PLANES
    )


def is_complete(revision: Revision, study: Study) -> bool:
    """Whether every slice of a revision is annotated for every label."""
    geometry = study.case(revision.case).geometry
    return bool(
        annotated_slices(revision.annotations, geometry, PLANES[0], study.schema).all()
    )


def main_plane(study: Study) -> str:
    """The plane in which most slices were annotated; axial where whole volumes were."""
    counts = dict.fromkeys(PLANES, 0)
    for case in study.cases():
        newest = study.latest(case)
        for entry in newest.annotations if newest else ():
            if entry.slices is None:
                counts["axial"] += case.geometry.shape[case.geometry.axis_of("axial")]
            for plane, indices in (entry.slices or {}).items():
                counts[plane] += len(indices)
    return max(PLANES, key=counts.get)
