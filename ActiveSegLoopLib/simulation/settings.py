"""What an experiment on strategies compares, and how large it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ActiveSegLoopLib.errors import SimulationError
from ActiveSegLoopLib.images.geometry import PLANES
from ActiveSegLoopLib.model.presets import get_preset
from ActiveSegLoopLib.simulation import preset  # noqa: F401 - registers the recipe
from ActiveSegLoopLib.simulation.run_key import FULL, START, RunKey

UNITS = ("slice", "volume")


@dataclass(frozen=True)
class ExperimentSettings:
    """What is simulated; budgets are in units (slices of `plane`, or volumes).

    rounds: trainings of a run, the first on the `start` labels, each later one on `step` more.
    seeds: so many of them, from first_seed on.
    initial: the strategy that picks the start labels, the same for all strategies of a seed.
    corrected: from the second round on the model's segmentation is corrected (with `tolerance_mm`,
    see oracle.correct) instead of labels being drawn. full: train on all labels too, once per seed.
    preset: the recipe, but for what it holds out: all that is labeled is trained on, and without
    validation the last weights are kept. passes, min_distance_mm, per_case, per_class: see
    selection.proposing.propose. score_pool: the model is scored on all volumes of the pool, too,
    those that slices are drawn from (part A of Zhang 2020). resplit: each seed has other pool and
    test cases, so that a difference over the seeds also holds for other patients.
    """

    unit: str = "slice"
    plane: str = "axial"
    strategies: tuple[str, ...] = ("random", "equal_interval")
    start: int = 8
    step: int = 8
    rounds: int = 5
    seeds: int = 4
    first_seed: int = 0
    initial: str = "random"
    preset: str = "simulation"
    iterations: int | None = None
    corrected: bool = False
    tolerance_mm: float | None = None
    passes: int = 10
    min_distance_mm: float | None = None
    per_case: int | None = None
    per_class: bool = False
    full: bool = True
    correlations: bool = True
    score_pool: bool = False
    resplit: bool = False

    KIND: ClassVar[str] = "strategies"
    # What a later call may change: what was done stays valid, there is only more or less to do.
    OPEN: ClassVar[tuple[str, ...]] = ("strategies", "rounds", "seeds", "first_seed", "full")

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise SimulationError(f"'{self.unit}' isn't a unit: use slice or volume.")
        if self.plane not in PLANES:
            raise SimulationError(f"'{self.plane}' isn't a plane: use one of {', '.join(PLANES)}.")
        for name in ("start", "step", "rounds", "seeds"):
            if getattr(self, name) < 1:
                raise SimulationError(f"An experiment needs at least 1 for {name}.")
        if self.first_seed < 0:
            raise SimulationError(f"The first seed must be 0 or more, not {self.first_seed}.")
        for name in ("min_distance_mm", "tolerance_mm"):
            distance = getattr(self, name)
            if distance is not None and not 0 <= distance < math.inf:
                raise SimulationError(f"The {name} must be 0 mm or more, not {distance}.")
        if self.score_pool and self.unit == "volume":
            raise SimulationError(
                "Scoring the pool is for slices: a volume that is labeled is labeled as a whole."
            )
        if not self.strategies:
            raise SimulationError("An experiment needs at least one strategy.")
        reserved = sorted({START, FULL} & set(self.strategies))
        if reserved:
            raise SimulationError(f"'{reserved[0]}' is the name of a run, not a strategy.")
        object.__setattr__(self, "strategies", tuple(dict.fromkeys(self.strategies)))

    def runs(self) -> list[RunKey]:
        """All runs, in an order in which they can be done side by side: seeds change fastest.

        The start of a seed comes before everything that begins with it.
        """
        names = [START, *([FULL] if self.full else []), *self.strategies]
        return [RunKey(name, seed) for name in names for seed in self.seed_numbers()]

    def seed_numbers(self) -> range:
        """The seeds: `seeds` of them from `first_seed` on."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def rounds_of(self, key: RunKey) -> int:
        """How many trainings a run has.

        Full annotation is trained as long as the strategies: with warm starts, as many rounds.
        """
        if key.strategy == START or (key.strategy == FULL and not self._goes_on()):
            return 1
        return self.rounds

    def _goes_on(self) -> bool:
        return get_preset(self.preset, gpu=False).warm_start
