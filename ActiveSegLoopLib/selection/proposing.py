"""What to label next in a study: slices or volumes, by a strategy, under the rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ActiveSegLoopLib.errors import ActiveSegLoopError, SelectionError
from ActiveSegLoopLib.images.geometry import PLANES
from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.evidence import CaseEvidence, annotation_evidence
from ActiveSegLoopLib.selection.history import note_p_score
from ActiveSegLoopLib.selection.looking import Look
from ActiveSegLoopLib.selection.picking import Rules, pick
from ActiveSegLoopLib.selection.proposal import UNITS, Proposal
from ActiveSegLoopLib.selection.strategies import DEFAULTS, FIRST, Strategy, get_strategy
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Study

if TYPE_CHECKING:
    from ActiveSegLoopLib.model.prediction import Predictor


class NothingLeft(SelectionError):
    """All that the rules allow is labeled: there is nothing more to propose."""


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
    rounds: int = 10,
    report: Callable[..., None] = lambda kind, **data: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Proposal]:
    """The slices of a plane, or the volumes, of the pool's cases that are worth labeling next.

    The best first; fewer than `count` when fewer are left. strategy: None is the default, with a
    model or for the first picks without one. predictor: used in place of the current round's model.
    What is annotated for any label isn't proposed (with per_class: for the label whose turn it is),
    nor what was skipped or flagged, nor cases that the current round validates on while there are
    others. min_distance_mm, per_case and per_class as in picking.Rules. passes: of MC dropout,
    where the strategy needs them. round_index: which round of proposals this is, from 0 (default:
    the number of finished rounds), of about `rounds`. A case that can't be looked at is left out
    with a warning. Raises NothingLeft when nothing is left under the rules, SelectionError when the
    strategy needs a model and there is none; Stopped when should_stop() became true.
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
    if round_index is None:
        round_index = sum(item.state == "finished" for item in study.rounds())
    schema = study.schema
    cases = _pool(study, schema, unit, plane)
    cases = _worth_looking(study, cases, chosen, per_class)
    if predictor is None and current is not None and chosen.uses_model:
        from ActiveSegLoopLib.model.prediction import Predictor

        predictor = Predictor.load(current.folder, device, current.model_sha256)
    look = Look(chosen, schema, predictor, passes, seed)
    seen = _seen(study, cases, look, report, should_stop)
    agreements = [case.agreement for case in seen if case.agreement is not None]
    if current is not None and agreements:
        # For the sigma rule of the advice.
        mean = float(np.nanmean(np.concatenate(agreements)))
        note_p_score(study, current.number, mean, plane)
    labels = schema.labels
    candidates = Candidates(seen, labels, unit, count, seed, round_index, rounds)
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
            label=None if choice.focus is None else labels[choice.focus].id,
        )
        for choice in pick(candidates, chosen, Rules(min_distance_mm, per_case, per_class))
    ]
    for note in candidates.notes:
        report("message", text=note)
    if not found:
        raise _nothing_found(seen, chosen, unit, min_distance_mm, per_class)
    return found


def _check(unit, count, plane, min_distance_mm, per_case) -> None:
    if unit not in UNITS:
        raise SelectionError(f"'{unit}' can't be proposed: use one of {', '.join(UNITS)}.")
    if plane not in PLANES:
        raise SelectionError(f"'{plane}' isn't a plane: use one of {', '.join(PLANES)}.")
    if count < 1:
        raise SelectionError(f"{count} proposals can't be made: ask for 1 or more.")
    if per_case is not None and per_case < 1:
        raise SelectionError(f"At most {per_case} per volume leaves nothing: use 1 or more.")
    if min_distance_mm is not None and not 0 <= min_distance_mm < math.inf:
        raise SelectionError(
            f"The minimum distance between slices must be 0 mm or more, not {min_distance_mm}."
        )


def _pool(
    study: Study, schema: LabelSchema, unit: str, plane: str
) -> dict[str, CaseEvidence]:
    """What the annotations tell of every case of the pool."""
    cases = study.cases("pool")
    if not cases:
        raise SelectionError(
            f"The study {study.folder} has no case in its pool: add images to label first"
            + (", or include an excluded one again." if study.excluded() else ".")
        )
    plane = plane if unit == "slice" else None
    refused = _refused(study, plane)
    current = study.current_round()
    learned = {revision.case: revision.annotations for revision in current.revisions} if (
        current
    ) else {}
    found = {}
    for case in cases:
        revision = study.latest(case)
        found[case.name] = annotation_evidence(
            case.name, case.geometry, revision.annotations if revision else (), plane,
            schema, refused.get(case.name, ()), learned.get(case.name, ()),
        )
    return found


def _refused(study: Study, plane: str | None) -> dict[str, set[int] | None]:
    """What a person skipped or flagged: items by case; None is all, of a volume that was flagged.
    """
    found: dict[str, set[int] | None] = {}
    for proposal in study.proposals(every_batch=True):
        if proposal.state not in ("skipped", "flagged"):
            continue
        if proposal.unit == "volume" and (plane is None or proposal.state == "flagged"):
            found[proposal.case] = None
        elif proposal.plane == plane and found.get(proposal.case, ()) is not None:
            found.setdefault(proposal.case, set()).add(proposal.index)
    return found


def _worth_looking(
    study: Study, cases: dict[str, CaseEvidence], strategy: Strategy, per_class: bool
) -> dict[str, CaseEvidence]:
    """The cases that have something to propose, and those that the strategy needs to see besides.

    Labels of cases that the current round validates on would teach the next model nothing, as long
    as they validate: those cases are left out.
    """
    current = study.current_round()
    validating = {revision.case for revision in current.validation} if current else set()

    def is_open(case: CaseEvidence) -> bool:
        return _is_open(case, per_class)

    training = {name: case for name, case in cases.items() if name not in validating}
    for some in (training, cases):
        if any(map(is_open, some.values())):
            if "labeled" in strategy.needs:
                return some
            return {name: case for name, case in some.items() if is_open(case)}
    raise NothingLeft(_nothing_left(study, cases))


def _is_open(case: CaseEvidence, per_class: bool) -> bool:
    """Whether something of a case may still be proposed."""
    labeled = case.annotated.all(axis=1) if per_class else case.annotated.any(axis=1)
    return bool((~labeled & ~case.refused).any())


def _nothing_found(
    seen: list[CaseEvidence], chosen: Strategy, unit: str, min_distance_mm: float | None,
    per_class: bool,
) -> SelectionError:
    """Why nothing was picked of cases that were looked at."""
    if not any(_is_open(case, per_class) for case in seen):
        return SelectionError("No case with anything left to propose could be looked at.")
    if unit == "slice" and min_distance_mm is not None:
        return NothingLeft(
            f"No slice is left that is {min_distance_mm:g} mm from the labeled ones: allow a "
            "smaller distance."
        )
    return SelectionError(
        f"The strategy '{chosen.name}' finds no {unit} worth labeling in what is left: use another "
        "strategy."
    )


def _nothing_left(study: Study, cases: dict[str, CaseEvidence]) -> str:
    unit = "volume" if next(iter(cases.values())).plane is None else "slice"
    text = f"Nothing is left to propose in the study {study.folder}: every {unit} of its pool "
    if any(case.refused.any() for case in cases.values()):
        text += "was labeled, skipped or flagged"
    else:
        text += "is labeled"
    annotated = np.concatenate([case.annotated for case in cases.values()])
    lacking = [
        label.name for label, whole in zip(study.schema.labels, annotated.all(axis=0)) if not whole
    ]
    if lacking and not annotated.all():
        return f"{text} for some label; propose per class to go on with {', '.join(lacking)}."
    return f"{text}; add images to go on."


def _seen(
    study: Study,
    cases: dict[str, CaseEvidence],
    look: Look,
    report: Callable[..., None],
    should_stop: Callable[[], bool],
) -> list[CaseEvidence]:
    """The cases with what the strategy needs to see; those that can't be seen are left out."""
    seen = []
    problem = None
    for number, (name, case) in enumerate(cases.items(), start=1):
        if should_stop():
            from ActiveSegLoopLib.model.trainer import Stopped

            raise Stopped("Stopped; nothing was proposed.")
        try:
            seen.append(look.at(study, study.case(name), case))
        except ActiveSegLoopError as error:
            problem = error
            report("warning", text=f"Case '{name}' is left out: {error}")
        if look.strategy.needs:
            report("progress", stage="looking", step=number, total=len(cases))
    if problem is not None and not seen:
        raise problem
    return seen
