"""The strategies: every file in this folder, and those of other packages.

Another package adds its own by an entry point of the group "activesegloop.strategies" that names
a module (or anything in it); importing it must run the decorator `registry.strategy`.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.selection.registry import (
    STRATEGIES,
    Ranking,
    Strategy,
    measures_of,
    strategy,
)
from ActiveSegLoopLib.selection.scores import AGGREGATIONS

__all__ = [
    "DEFAULTS", "FIRST", "STRATEGIES", "Ranking", "Strategy", "get_strategy", "load_entry_points",
    "strategy",
]

GROUP = "activesegloop.strategies"
# With a model, and for the very first picks without one.
DEFAULTS = {"slice": "balanced", "volume": "representative"}
FIRST = {"slice": "typical_diverse", "volume": "typical_diverse"}

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def load_entry_points() -> None:
    """Import what other packages offer; raises SelectionError naming the one that fails."""
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:
            raise SelectionError(
                f"The strategies of '{point.name}' ({point.value}) can't be loaded ({error}): "
                "repair or remove that package."
            ) from error


def get_strategy(name: str, unit: str) -> Strategy:
    """The strategy of this name; "entropy.sum" is entropy with another aggregation.

    Raises SelectionError when there is none for this unit, or no such aggregation.
    """
    name, _, aggregation = name.partition(".")
    if name not in STRATEGIES:
        load_entry_points()
    fitting = sorted(known.name for known in STRATEGIES.values() if unit in known.units)
    if name not in fitting:
        what = f"isn't one for {unit}s" if name in STRATEGIES else "isn't a strategy"
        raise SelectionError(f"'{name}' {what}: use one of {', '.join(fitting)}.")
    found = STRATEGIES[name]
    if not aggregation:
        return found
    open_measures = [need for need, _, fixed in measures_of(found.needs) if not fixed]
    if not open_measures or aggregation not in AGGREGATIONS:
        raise SelectionError(
            f"'{name}.{aggregation}' isn't a strategy: after the dot stands how a score is "
            f"aggregated, {', '.join(AGGREGATIONS)}, where the strategy goes by one."
        )
    return replace(found, name=f"{name}.{aggregation}", aggregation=aggregation)
