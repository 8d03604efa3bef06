"""The numbers that advice rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ActiveSegLoopLib.selection.between_slices import GapQuality
from ActiveSegLoopLib.selection.history import LearningCurve, Untrained
from ActiveSegLoopLib.selection.pace import Pace
from ActiveSegLoopLib.selection.quality import LabelQuality
from ActiveSegLoopLib.selection.saturation import Saturation
from ActiveSegLoopLib.selection.stopping import StopRule

VOLUMES, SLICES = UNITS = ("volumes", "slices")


@dataclass(frozen=True)
class PoolState:
    """How far the pool is labeled: its cases, those with labels, those labeled completely."""

    cases: int
    labeled: int
    complete: int


@dataclass(frozen=True)
class MeasuredGain:
    """What the rounds that added only one kind of labels brought together.

    steps: how many there were; dice: their gain; minutes: their labeling time, NaN where unknown.
    """

    steps: int = 0
    dice: float = 0.0
    minutes: float = math.nan

    @property
    def per_hour(self) -> float:
        """Dice per hour of labeling, NaN where the time isn't known."""
        return 60 * self.dice / self.minutes if self.minutes > 0 else math.nan


@dataclass(frozen=True)
class Target:
    """How far a Dice is away: whole units (volumes or slices) and minutes, each with an interval.

    Infinite where it isn't reached by the fit, NaN where that or the pace isn't known, 0 where it
    is reached already or by the fit with the labels that there are. untrained: how many units are
    labeled that no round was trained on, and so aren't counted in.
    """

    dice: float
    units: float
    interval: tuple[float, float]
    minutes: float
    minutes_interval: tuple[float, float]
    is_reached: bool = False
    untrained: int = 0


@dataclass(frozen=True)
class Measured:
    """All that the advice rests on.

    unit: "volumes" or "slices", what grew from round to round; step: how many of them are meant by
    the next k; usual: how many of each came with a round so far; fits: by unit, where anything was
    measured; gains: measured by unit; rules: what the stop rules say of the unit; untrained: labels
    made since the newest round.
    """

    pool: PoolState
    curve: LearningCurve
    unit: str
    step: int
    fits: Mapping[str, Saturation]
    gains: Mapping[str, MeasuredGain]
    rules: tuple[StopRule, ...]
    quality: LabelQuality
    gaps: tuple[GapQuality, ...]
    pace: Pace
    target: Target | None = None
    untrained: Untrained = field(default_factory=Untrained)
    usual: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def fit(self) -> Saturation | None:
        """The fit by the unit that grew."""
        return self.fits.get(self.unit)
