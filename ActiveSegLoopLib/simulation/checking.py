"""Refuses what an experiment on strategies can't compare, before anything is labeled or trained."""

from __future__ import annotations

from collections.abc import Callable

from ActiveSegLoopLib.errors import SimulationError
from ActiveSegLoopLib.model.plan import PlanSettings
from ActiveSegLoopLib.model.presets import PRESETS, get_preset
from ActiveSegLoopLib.selection.registry import Strategy, measures_of
from ActiveSegLoopLib.selection.strategies import FIRST, get_strategy
from ActiveSegLoopLib.simulation.settings import ExperimentSettings

# What only passes that differ from one another tell.
_OF_PASSES = {"variance", "mutual_information"}


def require_possible(settings: ExperimentSettings) -> None:
    """Raise a sentence for a strategy that can't work as it should, and an option without effect.

    SelectionError for a strategy that there isn't, ModelError for such a preset, SimulationError
    for what doesn't fit together.
    """
    if get_strategy(settings.initial, settings.unit).needs_model:
        raise SimulationError(
            f"'{settings.initial}' can't pick the first labels, as it needs a model: use --initial "
            f"{FIRST[settings.unit]} or random."
        )
    for name in settings.strategies:
        _require_seen(get_strategy(name, settings.unit), settings)
    if settings.tolerance_mm is not None and not settings.corrected:
        raise SimulationError(
            "--tolerance is for corrections of the model's segmentation: give --corrected too."
        )
    for name, option in (("per_case", "--per-case"), ("min_distance_mm", "--min-distance")):
        if settings.unit == "volume" and getattr(settings, name) is not None:
            raise SimulationError(f"{option} is for slices: leave it out with --unit volume.")


def _require_seen(strategy: Strategy, settings: ExperimentSettings) -> None:
    """A strategy must see what it goes by: else it is another one, or none."""
    if "attention" in strategy.needs:
        _require_network(strategy, settings, "attention", lambda plan: plan.attention)
    measured = {measure for _, measure, _ in measures_of(strategy.needs)}
    if measured & _OF_PASSES:
        _require_network(
            strategy, settings, "dropout",
            lambda plan: plan.dropout > 0 and plan.dropout_at != "none",
        )
        if settings.passes < 2:
            raise SimulationError(
                f"The strategy '{strategy.name}' compares passes of Monte Carlo dropout: give "
                "--passes 2 or more, or choose another strategy."
            )


def _require_network(
    strategy: Strategy, settings: ExperimentSettings, what: str, has: Callable[[PlanSettings], bool]
) -> None:
    if has(get_preset(settings.preset, gpu=False).plan):
        return
    others = ", ".join(name for name in sorted(PRESETS) if has(get_preset(name, gpu=False).plan))
    raise SimulationError(
        f"The strategy '{strategy.name}' needs a network with {what}, which the preset "
        f"'{settings.preset}' doesn't have: choose a --preset that has it ({others}), or another "
        "strategy."
    )
