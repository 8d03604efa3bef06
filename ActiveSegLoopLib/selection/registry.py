"""The strategies by name: each is one small function that ranks the candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.proposal import UNITS

# What a strategy may ask to see. "foreground": voxels of each structure as the model sees them;
# "features": the network's; "images": features of the image alone; "labeled": also the cases in
# which nothing is left to label; the others are maps.
NEEDS = (
    "foreground", "entropy", "variance", "mutual_information", "features", "attention", "images",
    "labeled",
)
# Those for which a model must have been trained.
_OF_A_MODEL = frozenset(NEEDS) - {"images", "labeled"}


@dataclass(frozen=True, eq=False)
class Ranking:
    """How much each candidate is worth: the highest score first, -inf never.

    scores: (candidates,). reason: in words why candidate i is worth it, one text for all or a
    function of i.
    """

    scores: np.ndarray
    reason: str | Callable[[int], str]

    def reason_of(self, index: int) -> str:
        """The reason for one candidate."""
        return self.reason if isinstance(self.reason, str) else self.reason(index)


@dataclass(frozen=True)
class Strategy:
    """A ranking function, what it is for and what it needs to see.

    needs: of NEEDS. optional: needs that it does without when there is no model. sequential: it is
    asked again after every pick, because its scores depend on them. measure: the name of the score
    it goes by ("entropy" ...), None for those that don't go by any.
    """

    name: str
    units: tuple[str, ...]
    needs: tuple[str, ...]
    optional: bool
    sequential: bool
    measure: str | None
    rank: Callable[[Candidates], Ranking] = field(compare=False)

    @property
    def needs_model(self) -> bool:
        """Whether it can't do without a trained model."""
        return self.uses_model and not self.optional

    @property
    def uses_model(self) -> bool:
        """Whether it asks a trained model where there is one."""
        return not _OF_A_MODEL.isdisjoint(self.needs)


STRATEGIES: dict[str, Strategy] = {}


def strategy(
    name: str,
    units: Sequence[str] = UNITS,
    needs: Sequence[str] = (),
    optional: bool = False,
    sequential: bool = False,
    measure: str | None = None,
) -> Callable[[Callable[[Candidates], Ranking]], Callable[[Candidates], Ranking]]:
    """Decorator that adds a function `rank(candidates) -> Ranking` to the strategies.

        @strategy("largest", needs=("foreground",))
        def largest(candidates):
            return Ranking(candidates.foreground.sum(axis=1), "the largest cross-section")

    Raises SelectionError for a name that is taken and for units and needs that there aren't.
    """
    for given, known, what in ((units, UNITS, "unit"), (needs, NEEDS, "need")):
        strange = sorted(set(given) - set(known))
        if strange:
            raise SelectionError(
                f"The strategy '{name}' has the {what} '{strange[0]}'; there are "
                f"{', '.join(known)}."
            )
    if ":" in name:
        raise SelectionError(f"The strategy's name '{name}' must not hold ':'.")

    def add(rank: Callable[[Candidates], Ranking]) -> Callable[[Candidates], Ranking]:
        if name in STRATEGIES:
            raise SelectionError(f"There are two strategies '{name}': give one another name.")
        STRATEGIES[name] = Strategy(
            name, tuple(units), tuple(needs), optional, sequential, measure, rank
        )
        return rank

    return add
