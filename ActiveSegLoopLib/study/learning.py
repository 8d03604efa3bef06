"""Which labels a training learns from and which it validates on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.revisions import Revision
from ActiveSegLoopLib.study.rounds import GROUPS_TO_HOLD_OUT

if TYPE_CHECKING:
    from ActiveSegLoopLib.study.study import Study

# More than so many held-out groups would cost training more than they tell.
_MOST_HELD_OUT = 8


def silent(kind: str, **data) -> None:
    """A report that nobody is to hear."""


def select(
    study: Study, hold_out: bool, report: Callable[..., None] = silent
) -> tuple[tuple[Revision, ...], tuple[Revision, ...]]:
    """The newest revision of each labeled case, for training and for validation.

    Raises ModelError when there is nothing to train on.
    """
    newest = {case.name: study.latest(case) for case in study.cases()}
    pool = [c for c in study.cases("pool") if newest[c.name] is not None]
    validation = [c for c in study.cases("validation") if newest[c.name] is not None]
    if not pool:
        excluded = [c for c in study.cases() if c.excluded and newest[c.name] is not None]
        raise ModelError(
            f"No pool case of the study {study.folder} is labeled yet; label at least one first"
            + (", or include an excluded one again." if excluded else ".")
        )
    _require_as_many_channels([*pool, *validation])
    if hold_out and not validation:
        # Those that are excluded now keep their place: the others stay what they were.
        labeled = [c for c in study.cases() if c.role == "pool" and newest[c.name] is not None]
        held_out = _held_out(study, labeled)
        validation = [c for c in pool if c.group in held_out]
        pool = [c for c in pool if c.group not in held_out]
        if not pool:
            raise ModelError(
                "All labeled cases that aren't excluded are held out to validate: label another "
                "one, or include one again."
            )
        if validation:
            report(
                "message",
                text=f"No validation cases: {len(validation)} of the labeled pool cases (every "
                "fifth group, always the same) are held out to validate.",
            )
        else:
            report(
                "warning",
                text="Too few labeled cases to hold any out: the model is trained without "
                "validation and the last weights are kept.",
            )
    return tuple(newest[c.name] for c in pool), tuple(newest[c.name] for c in validation)


def _held_out(study: Study, pool: Sequence[Case]) -> set[str]:
    """Every fifth group in the order of their first labels.

    What is labeled later comes behind, so that no case that was held out is ever trained on.
    """
    in_order = sorted(pool, key=lambda case: study.revisions(case)[0].created)
    groups = list(dict.fromkeys(case.group for case in in_order))
    return set(groups[GROUPS_TO_HOLD_OUT - 1 :: GROUPS_TO_HOLD_OUT][:_MOST_HELD_OUT])


def _require_as_many_channels(cases: Sequence[Case]) -> None:
    first = cases[0]
    for case in cases[1:]:
        if len(case.channels) != len(first.channels):
            raise ModelError(
                f"Case '{first.name}' has {len(first.channels)} image(s) and case '{case.name}' "
                f"{len(case.channels)}; a model needs as many for every case."
            )
