"""What a study holds, for the table of cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from ActiveSegLoopLib.study.revision import Revision
    from ActiveSegLoopLib.study.study import Study


@dataclass(frozen=True)
class CaseState:
    """A case as the table shows it.

    slices: how many are labeled, None when the whole volume is; is_in_work: it has a draft;
    is_predicted: the current model has segmented it; is_excluded: it takes no part for now.
    """

    name: str
    role: str
    group: str
    slices: int | None
    is_in_work: bool
    is_predicted: bool
    is_excluded: bool


@dataclass(frozen=True)
class Overview:
    """A study's folder, its cases and the number of the round in use, None without one."""

    folder: Path
    cases: list[CaseState]
    round: int | None


def overview(study: Study) -> Overview:
    """Look through the study; may take seconds, and nothing of Qt is in it: for a thread."""
    from ActiveSegLoopLib.study.drafts import drafts

    in_work = {draft.case for draft in drafts(study)}
    current = study.current_round()
    states = [
        CaseState(
            case.name,
            case.role,
            case.group,
            labeled_slices(study.latest(case)),
            case.name in in_work,
            current is not None and study.prediction(current, case) is not None,
            case.excluded,
        )
        for case in study.cases()
    ]
    return Overview(study.folder, states, None if current is None else current.number)


def labeled_slices(revision: Revision | None) -> int | None:
    """How many slices of a case are labeled for any label; None is the whole volume."""
    if revision is None:
        return 0
    if any(entry.slices is None for entry in revision.annotations):
        return None
    return len(
        {
            (plane, index)
            for entry in revision.annotations
            for plane, indices in entry.slices.items()
            for index in indices
        }
    )


def role_text(role: str) -> str:
    """A role as people read it."""
    return {"pool": _("pool"), "validation": _("validation"), "test": _("test")}[role]


def state_text(case: CaseState) -> str:
    """How far a case is labeled, in a word or two."""
    if case.is_excluded:
        return _("excluded")
    if case.slices is None:
        state = _("labeled")
    elif case.slices:
        state = _("1 slice") if case.slices == 1 else _("{n} slices").format(n=case.slices)
    else:
        state = _("model's labels") if case.is_predicted else ""
    if not case.is_in_work:
        return state
    return _("{state}, in work").format(state=state) if state else _("in work")


def study_text(found: Overview) -> str:
    """The study in one or two sentences."""
    if not found.cases:
        return _("The study has no images yet.")
    labeled = sum(case.slices != 0 for case in found.cases)
    counted = _("Images: {count}, with labels: {labeled}.").format(
        count=len(found.cases), labeled=labeled
    )
    if found.round is None:
        return f"{counted} " + _("No model has been trained yet.")
    return f"{counted} " + _("The current model is round {number}.").format(number=found.round)
