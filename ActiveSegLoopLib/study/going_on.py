"""Which interrupted round a training takes up: one rule for the training and for who offers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.study.learning import select
from ActiveSegLoopLib.study.rounds import ASKED, Round

if TYPE_CHECKING:
    from ActiveSegLoopLib.study.study import Study


def round_to_go_on_with(
    study: Study, preset: str, device: str = "auto", iterations: int | None = None, seed: int = 0
) -> Round | None:
    """The round that a training with these options takes up, None when it begins a new one.

    Without PyTorch, which alone knows the recipes: a round notes what was asked for when it began.
    One of an earlier version, which noted nothing, isn't named.
    """
    asked = {"iterations": iterations, "hold_out": None}
    alike = [
        round for round in study.unfinished_rounds()
        if (round.preset, round.seed) == (preset, seed)
        and asked.items() <= round.settings.get(ASKED, {}).items()
        and _would_be_alike(study, round.settings, device)
        and not excluded_cases(study, round)
    ]
    for round in alike:
        recipe = round.settings["recipe"]
        try:
            begun = started_from(study, recipe["warm_start"], recipe["hold_out"])
        except ModelError:
            return None  # nothing can be trained now
        if _began_from_what_is_used(study, round, begun):
            return round
    return None


def excluded_cases(study: Study, round: Round) -> list[str]:
    """The cases of a round that are excluded now: it waits for their return."""
    used = {revision.case for revision in (*round.revisions, *round.validation)}
    return sorted(used & set(study.excluded()))


def lasting(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the same command has whatever was trained meanwhile."""
    return {key: value for key, value in settings.items() if key not in ("warm_start_from", ASKED)}


def started_from(study: Study, warm_start: bool, hold_out: bool) -> int | None:
    """The round whose weights a training starts with, None for fresh ones.

    Weights that have seen a case that is validated on now would know it by heart.
    """
    current = study.current_round() if warm_start else None
    if current is None:
        return None
    validating = {revision.case for revision in select(study, hold_out)[1]}
    ancestor: int | None = current.number
    while ancestor is not None:
        begun = study.round(ancestor)
        if validating & {revision.case for revision in begun.revisions}:
            return None
        ancestor = begun.settings.get("warm_start_from")
    return current.number


def newest_from_what_is_used(
    study: Study, alike: Sequence[Round], begun: int | None
) -> Round | None:
    """The first of these unfinished rounds that can go on; begun: what a new one starts from."""
    return next((r for r in alike if _began_from_what_is_used(study, r, begun)), None)


def _began_from_what_is_used(study: Study, unfinished: Round, begun: int | None) -> bool:
    """Whether a round began with the weights of the current round, or that one came after it.

    After a rollback it didn't: what it learned goes on from weights that were given up.
    """
    current = study.current_round()
    return unfinished.settings.get("warm_start_from") == begun or (
        current is not None and current.number > unfinished.number
    )


def _would_be_alike(study: Study, settings: Mapping[str, Any], device: str) -> bool:
    """Whether a training on this device, in one process, has a round's labels and recipe now."""
    used, recipe = settings["device"], settings["recipe"]
    # Automatic is the graphics card if there is one: what it was then.
    is_automatic = device == "auto" and (used == "cuda" or settings[ASKED]["device"] == "auto")
    later = recipe["later_epochs"] if study.current_round() is not None else 0
    return (
        (is_automatic or device == used)
        and settings["processes"] == 1
        and tuple(settings["labels"]) == study.schema.ids
        and later in (0, recipe["segmenter"]["epochs"])
    )
