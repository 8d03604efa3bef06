"""What to label next in a study: slices or volumes, by a strategy, under the rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.images.geometry import PLANES
from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.evidence import CaseEvidence, annotation_evidence
from ActiveSegLoopLib.selection.picking import Rules, pick
from ActiveSegLoopLib.selection.proposal import Proposal
from ActiveSegLoopLib.selection.scores import count_foreground
from ActiveSegLoopLib.selection.strategies import DEFAULTS, FIRST, Strategy, get_strategy
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.rounds import Round
from ActiveSegLoopLib.study.study import Study

if TYPE_CHECKING:
    from ActiveSegLoopLib.model.prediction import Predictor


def propose(
    study: Study,
    unit: str = "slice",
    count: int = 10,
    strategy: str | None = None,
    plane: str = "axial",
    seed: int = 0,
    predictor: Predictor | None = None,
    device: str = "auto",
    min_distance_mm: float | None = None,
    per_case: int | None = None,
    per_class: bool = False,
    passes: int = 10,
    round_index: int | None = None,
    report: Callable[..., None] = lambda kind, **data: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Proposal]:
    """The slices of a plane, or the volumes, of the pool's cases that are worth labeling next.

    The best first; fewer than `count` when fewer are left. strategy: None is the default, with a
    model or for the first picks without one. predictor: used in place of the current round's model.
    Slices annotated for any label aren't proposed (with per_class: for the label whose turn it
    is), nor those that were skipped or flagged; min_distance_mm and per_case as in picking.Rules.
    passes: of MC dropout, where the strategy needs them. round_index: which round of proposals this
    is, from 0 (default: the number of finished rounds). Raises SelectionError when nothing is left
    or the strategy needs a model and there is none.
    """
    _check(unit, count, plane, min_distance_mm, per_case)
    current = study.current_round()
    has_model = predictor is not None or current is not None
    chosen = get_strategy(strategy or (DEFAULTS if has_model else FIRST)[unit], unit)
    if chosen.needs_model and not has_model:
        raise SelectionError(
            f"The strategy '{chosen.name}' needs a model and the study has none yet: train one, or "
            f"use {FIRST[unit]}."
        )
    cases = _pool(study, unit, plane if unit == "slice" else None)
    closed = _validating(current, cases)
    if round_index is None:
        round_index = sum(item.state == "finished" for item in study.rounds())
    candidates = Candidates(
        list(cases.values()), study.schema.labels, unit, count, seed, round_index, closed=closed
    )
    open_cases = _open_cases(candidates, per_class)
    if not open_cases and closed:
        closed = set()  # better than nothing
        candidates.available |= True
        open_cases = _open_cases(candidates, per_class)
    if not open_cases:
        raise SelectionError(_nothing_left(study, unit, candidates))
    if "labeled" not in chosen.needs:
        cases = {name: cases[name] for name in open_cases}
    if chosen.uses_model and has_model:
        if predictor is None:
            from ActiveSegLoopLib.model.prediction import Predictor

            predictor = Predictor.load(current.folder, device)
    seen = []
    for number, (name, evidence) in enumerate(cases.items()):
        if should_stop():
            from ActiveSegLoopLib.model.trainer import Stopped

            raise Stopped("Stopped; nothing was proposed.")
        seen.append(_look(study, study.case(name), evidence, chosen, predictor, has_model))
        if chosen.needs:
            report("progress", stage="looking", step=number + 1, total=len(cases))
    candidates = Candidates(
        seen, study.schema.labels, unit, count, seed, round_index, closed=closed
    )
    rules = Rules(min_distance_mm, per_case, per_class)
    asked = current.number if current is not None and chosen.uses_model else None
    found = [
        Proposal(
            case=candidates.cases[candidates.case[choice.number]].name,
            unit=unit,
            plane=plane if unit == "slice" else None,
            index=int(candidates.index[choice.number]) if unit == "slice" else None,
            score=choice.score,
            reason=choice.reason,
            strategy=chosen.name,
            round=asked,
            label=None if choice.focus is None else candidates.labels[choice.focus].id,
        )
        for choice in pick(candidates, chosen, rules)
    ]
    if not found:
        raise SelectionError(_nothing_left(study, unit, candidates, min_distance_mm))
    return found


def _check(unit, count, plane, min_distance_mm, per_case) -> None:
    if plane not in PLANES:
        raise SelectionError(f"'{plane}' isn't a plane: use one of {', '.join(PLANES)}.")
    if count < 1:
        raise SelectionError(f"{count} proposals can't be made: ask for 1 or more.")
    if per_case is not None and per_case < 1:
        raise SelectionError(f"At most {per_case} per volume leaves nothing: use 1 or more.")
    if min_distance_mm is not None and not (np.isfinite(min_distance_mm) and min_distance_mm >= 0):
        raise SelectionError(
            f"The minimum distance between slices must be 0 mm or more, not {min_distance_mm}."
        )


def _pool(study: Study, unit: str, plane: str | None) -> dict[str, CaseEvidence]:
    """What the annotations tell of every case of the pool."""
    cases = study.cases("pool")
    if not cases:
        raise SelectionError(
            f"The study {study.folder} has no case in its pool: add images to label first."
        )
    found = {}
    for case in cases:
        revision = study.latest(case)
        annotations = revision.annotations if revision is not None else ()
        found[case.name] = annotation_evidence(
            case.name, case.geometry, annotations, plane, study.schema
        )
    return found


def _validating(current: Round | None, cases: dict[str, CaseEvidence]) -> set[str]:
    """Cases of the pool that were held out to validate: their labels teach the model nothing."""
    return {r.case for r in current.validation if r.case in cases} if current is not None else set()


def _open_cases(candidates: Candidates, per_class: bool) -> list[str]:
    annotated = candidates.annotated
    left = candidates.available & ~(annotated.all(axis=1) if per_class else annotated.any(axis=1))
    return [candidates.cases[number].name for number in np.unique(candidates.case[left])]


def _look(
    study: Study,
    case: Case,
    evidence: CaseEvidence,
    strategy: Strategy,
    predictor: Predictor | None,
    has_model: bool,
) -> CaseEvidence:
    if strategy.uses_model and has_model:
        labelmap = predictor.segment(study.volumes(case)).labelmap
        evidence = replace(
            evidence, foreground=count_foreground(labelmap, evidence.plane, study.schema)
        )
    return evidence


def _nothing_left(study, unit, candidates, min_distance_mm=None) -> str:
    return f"Nothing is left to propose in the study {study.folder}."
