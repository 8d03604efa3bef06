"""How the runs of an experiment are named."""

from __future__ import annotations

from dataclasses import dataclass

from ActiveSegLoopLib.errors import SimulationError

# Two runs that are no strategy's: what every strategy starts from, and training on all labels.
START, FULL = "start", "full"


@dataclass(frozen=True)
class RunKey:
    """One run: a strategy or what else is compared (or "start", "full"), and a seed."""

    strategy: str
    seed: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.strategy}-seed-{self.seed}"

    @classmethod
    def parse(cls, name: str) -> RunKey:
        """The run of this name; raises SimulationError for what can't be one."""
        strategy, separator, seed = name.rpartition("-seed-")
        if not (separator and strategy and seed.isdigit()):
            raise SimulationError(f"'{name}' isn't a run: runs are called random-seed-0 and so on.")
        return cls(strategy, int(seed))
