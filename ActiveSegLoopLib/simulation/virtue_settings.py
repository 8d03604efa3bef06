"""What Zharov's experiment varies: the quality, diversity and completeness of the labels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

from ActiveSegLoopLib.errors import SimulationError
from ActiveSegLoopLib.images.geometry import PLANES
from ActiveSegLoopLib.simulation.run_key import RunKey

INTERPOLATIONS = ("nearest", "shape")


@dataclass(frozen=True)
class Virtues:
    """One set of labels: what is drawn of the pool, and how well.

    interval: every so-many-th slice is drawn and the labels between are interpolated, which is what
    lowers the quality (1: nothing is). diversity: share of the volumes. completeness: share of the
    slices that are trained on, at equal distances.
    """

    interval: int
    diversity: float
    completeness: float

    @property
    def name(self) -> str:
        """The name of its runs."""
        return f"every-{self.interval}-of-{self.diversity:g}-at-{self.completeness:g}"


@dataclass(frozen=True)
class VirtueSettings:
    """Zharov 2022: quality against diversity with all slices, diversity against completeness.

    together: all three are varied with each other instead. interpolation: "nearest" repeats the
    nearest drawn slice (the paper), "shape" interpolates outlines.
    """

    intervals: tuple[int, ...] = (1, 2, 4, 8)
    diversities: tuple[float, ...] = (0.05, 0.1, 0.3, 1.0)
    completenesses: tuple[float, ...] = (0.1, 0.3, 1.0)
    together: bool = False
    interpolation: str = "nearest"
    plane: str = "axial"
    seeds: int = 4
    preset: str = "simulation"
    iterations: int | None = None

    KIND: ClassVar[str] = "virtues"
    resplit: ClassVar[bool] = False
    OPEN: ClassVar[tuple[str, ...]] = (
        "intervals", "diversities", "completenesses", "together", "seeds",
    )

    def __post_init__(self) -> None:
        if self.plane not in PLANES:
            raise SimulationError(f"'{self.plane}' isn't a plane: use one of {', '.join(PLANES)}.")
        if self.interpolation not in INTERPOLATIONS:
            raise SimulationError(
                f"'{self.interpolation}' isn't a way to interpolate: use nearest or shape."
            )
        if self.seeds < 1:
            raise SimulationError("An experiment needs at least 1 for seeds.")
        for name, values in (
            ("diversity", self.diversities), ("completeness", self.completenesses),
        ):
            wrong = [value for value in values if not 0 < value <= 1]
            if wrong or not values:
                raise SimulationError(f"{name.capitalize()} is a share over 0 up to 1: {wrong}.")
        if not self.intervals or min(self.intervals) < 1:
            raise SimulationError("Slices are drawn at intervals of 1 (every one) or more.")

    def virtues(self) -> list[Virtues]:
        """What is compared, the labels of everything always among it."""
        full = Virtues(1, 1.0, 1.0)
        if self.together:
            found = map(Virtues, *zip(
                *product(self.intervals, self.diversities, self.completenesses), strict=True
            ))
        else:
            found = [
                *(Virtues(i, d, 1.0) for i, d in product(self.intervals, self.diversities)),
                *(Virtues(1, d, c) for d, c in product(self.diversities, self.completenesses)),
            ]
        return list(dict.fromkeys([full, *found]))

    def runs(self) -> list[RunKey]:
        """All runs, in an order in which they can be done side by side: seeds change fastest."""
        return [RunKey(v.name, seed) for v in self.virtues() for seed in range(self.seeds)]

    def rounds_of(self, key: RunKey) -> int:
        """How many trainings a run has: one."""
        return 1
