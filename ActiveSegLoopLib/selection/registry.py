"""The strategies by name: each is one small function that ranks the candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.proposal import UNITS
from ActiveSegLoopLib.selection.scores import AGGREGATIONS, MEASURES

# What a strategy may ask to see besides measures (see scores.MEASURES): "foreground": voxels of
# each label as the model sees them, which come with every measure too; "features": the network's;
# "attention": Zhang's agreement; "images": features of the image alone; "labeled": also the cases
# in which nothing is left to label.
NEEDS = ("foreground", "features", "attention", "images", "labeled")
_WITHOUT_MODEL = {"images", "labeled"}


@dataclass(frozen=True, eq=False)
class Ranking:
    """How much each candidate is worth: the highest score first, -inf never.

    scores: (candidates,). reason: in words why candidate i is worth it, one text for all or a
    function of i. note: a sentence for the person who asked, "" for none.
    """

    scores: np.ndarray
    reason: str | Callable[[int], str]
    note: str = ""

    def reason_of(self, index: int) -> str:
        """The reason for one candidate."""
        return self.reason if isinstance(self.reason, str) else self.reason(index)


@dataclass(frozen=True)
class Strategy:
    """A ranking function, what it is for and what it needs to see.

    needs: of NEEDS, and measures: "entropy", aggregated as `aggregation` says, or with an
    aggregation of its own, "entropy.sum". optional: it does without the model where there is none.
    sequential: it is asked again after every pick, because its scores depend on them.
    volumes_first: slices come from the volumes with the fewest labeled and picked ones. measure:
    what of its needs tells how well an item is segmented (high: badly), None if nothing does.
    """

    name: str
    units: tuple[str, ...]
    needs: tuple[str, ...]
    optional: bool
    sequential: bool
    volumes_first: bool
    measure: str | None
    rank: Callable[[Candidates], Ranking] = field(compare=False)
    aggregation: str = AGGREGATIONS[0]

    @property
    def needs_model(self) -> bool:
        """Whether it can't do without a trained model."""
        return self.uses_model and not self.optional

    @property
    def uses_model(self) -> bool:
        """Whether it asks a trained model where there is one."""
        return not set(self.needs) <= _WITHOUT_MODEL


STRATEGIES: dict[str, Strategy] = {}


def strategy(
    name: str,
    units: Sequence[str] = UNITS,
    needs: Sequence[str] = (),
    optional: bool = False,
    sequential: bool = False,
    volumes_first: bool = False,
    measure: str | None = None,
) -> Callable[[Callable[[Candidates], Ranking]], Callable[[Candidates], Ranking]]:
    """Decorator that adds a function `rank(candidates) -> Ranking` to the strategies.

        @strategy("largest", needs=("foreground",))
        def largest(candidates):
            return Ranking(candidates.foreground.sum(axis=1), "the largest cross-section")

    Raises SelectionError for a name that is taken and for units and needs that there aren't.
    """
    plain = [need for need in needs if not _is_measure(need)]
    for given, known, what in ((units, UNITS, "unit"), (plain, NEEDS, "need")):
        strange = sorted(set(given) - set(known))
        if strange:
            raise SelectionError(
                f"The strategy '{name}' has the {what} '{strange[0]}'; there are "
                f"{', '.join(known)}{', and measures' if what == 'need' else ''}."
            )
    if "." in name:
        raise SelectionError(f"The strategy's name '{name}' must not hold a dot.")

    def add(rank: Callable[[Candidates], Ranking]) -> Callable[[Candidates], Ranking]:
        if name in STRATEGIES:
            raise SelectionError(f"There are two strategies '{name}': give one another name.")
        STRATEGIES[name] = Strategy(
            name, tuple(units), tuple(needs), optional, sequential, volumes_first, measure, rank
        )
        return rank

    return add


def measures_of(needs: Sequence[str]) -> list[tuple[str, str, str]]:
    """The measures among needs: (need, measure, aggregation, "" where it has none of its own)."""
    return [(need, *need.partition(".")[::2]) for need in needs if _is_measure(need)]


def _is_measure(need: str) -> bool:
    name, _, aggregation = need.partition(".")
    return name in MEASURES and aggregation in ("", *AGGREGATIONS)
