"""Where a learning curve is going: an exponential that saturates, fitted to what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.wording import counted

FEWEST_POINTS = 4  # three parameters, and one point to tell a misfit by
# A plateau whose interval is wider than this (in Dice) isn't in sight yet.
_WIDEST_PLATEAU = 0.1
_FLAT = 1e-6
# The Dice of rounds scatters at least so much, however well so few points happen to fit.
_LEAST_NOISE = 0.005
_RATES = 100  # that the search looks at; around the best it goes on by golden sections
_SECTIONS = 40
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Saturation:
    """Dice(n) = c - (c - y0) exp(-g (n - n0)), fitted to `count` measured points.

    c: plateau, 0 to 1; y0: Dice at n0, the smallest n measured; g: pace per unit of n; interval:
    of c, g_interval: of g, both by bootstrap; last: the largest n measured; noise: residual
    standard deviation. is_rising: the fit rises, so that g means something; is_identifiable: the
    plateau is known well enough to predict by. note: in words what can't be told, else "". All
    numbers are NaN where nothing could be fitted.
    """

    c: float
    y0: float
    n0: float
    g: float
    interval: tuple[float, float]
    g_interval: tuple[float, float]
    last: float
    count: int
    noise: float
    is_rising: bool
    is_identifiable: bool
    note: str
    level: float = 0.95
    # Rows of c, y0, g: the same fit to curves as they might have been measured.
    resampled: np.ndarray = field(
        default_factory=lambda: np.empty((0, 3)), repr=False, compare=False
    )

    def predict(self, x: float | Sequence[float]) -> np.ndarray | float:
        """The fitted Dice at n = x, of the same shape as x."""
        value = _model(self.c, self.y0, self.g, np.asarray(x, float) - self.n0)
        return float(value) if np.ndim(value) == 0 else value

    def predict_interval(self, x: float) -> tuple[float, float]:
        """Interval of the fitted curve at n = x; NaN without a bootstrap."""
        c, y0, g = self.resampled.T
        return _interval(_model(c, y0, g, x - self.n0), self.level)

    def gain(self, k: float) -> float:
        """How much the Dice is expected to rise by k more than the last n measured."""
        return self.predict(self.last + k) - self.predict(self.last)

    def gain_interval(self, k: float) -> tuple[float, float]:
        """Interval of gain(k); NaN without a bootstrap."""
        c, y0, g = self.resampled.T
        ahead = self.last - self.n0
        gains = _model(c, y0, g, ahead + k) - _model(c, y0, g, ahead)
        return _interval(gains, self.level)

    def reach(self, dice: float) -> float:
        """The n at which the fit reaches a Dice; infinite where it never does, NaN without a fit.

        At least n0.
        """
        if math.isnan(self.c):
            return math.nan
        if dice <= self.y0:
            return self.n0
        if not self.is_rising or dice >= self.c:
            return math.inf
        return self.n0 + math.log((self.c - self.y0) / (self.c - dice)) / self.g

    def reach_interval(self, dice: float) -> tuple[float, float]:
        """Interval of reach(dice), whose upper end may be infinite; NaN without a bootstrap."""
        if len(self.resampled) == 0:
            return math.nan, math.nan
        found = sorted(
            replace(self, c=c, y0=y0, g=g, is_rising=c > y0 + _FLAT).reach(dice)
            for c, y0, g in self.resampled.tolist()
        )
        tail = (1 - self.level) / 2
        return found[int(tail * (len(found) - 1))], found[math.ceil((1 - tail) * (len(found) - 1))]


def fit_saturation(
    x: Sequence[float],
    y: Sequence[float],
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 400,
) -> Saturation:
    """Fit the saturating exponential by least squares, c and y0 within 0 to 1.

    x: what the budget is counted in, in any order; y: Dice; points with NaN are left out. For each
    rate g the best c and y0 are a linear problem, so that the search over g alone can't end in a
    local minimum. The intervals are percentiles over fits to curves made of the fit and normal
    noise as large as the residuals (at least 0.005), enlarged as Student's t asks for so few points
    and three parameters. What is too little to tell comes back as a note, not as an error. Raises
    SelectionError for x and y of unequal length.
    """
    x, y = np.asarray(x, float).ravel(), np.asarray(y, float).ravel()
    if len(x) != len(y):
        raise SelectionError(
            f"There are {len(x)} budgets but {len(y)} Dice values: give as many of both."
        )
    known = np.isfinite(x) & np.isfinite(y)
    order = np.argsort(x[known], kind="stable")
    x, y = x[known][order], y[known][order]
    different = len(np.unique(x))
    if different < FEWEST_POINTS:
        return _nothing(x, level, _too_few(len(x), different))
    d = x - x[0]
    if np.ptp(y) < _FLAT:
        level_of_dice = float(np.median(y))
        return Saturation(
            level_of_dice, level_of_dice, float(x[0]), math.nan, (math.nan,) * 2, (math.nan,) * 2,
            float(x[-1]), len(x), 0.0, False, False,
            f"The Dice was {level_of_dice:.3f} all the time: how fast it rises can't be told.",
            level,
        )
    rates = _rates(d)
    c, y0, g = map(float, _fit(d, y[None], rates)[0])
    noise = float(np.sqrt(((y - _model(c, y0, g, d)) ** 2).sum() / (len(x) - 3)))
    samples = _resampled(d, (c, y0, g), noise, rates, seed, resamples)
    interval, g_interval = _interval(samples[:, 0], level), _interval(samples[:, 2], level)
    is_rising = c > y0 + _FLAT
    return Saturation(
        c, y0, float(x[0]), g, interval, g_interval, float(x[-1]), len(x),
        noise, is_rising, *_judged(is_rising, c, interval), level, samples,
    )


def _model(c, y0, g, d):
    # A flat curve has no pace, but it has a level everywhere.
    return c - (c - y0) * np.exp(-np.nan_to_num(g) * np.asarray(d, float))


def _rates(d: np.ndarray) -> np.ndarray:
    """Rates from a line within the range measured to a jump before the second point."""
    nearest = np.diff(np.unique(d)).min()
    return np.geomspace(0.01 / d[-1], 10 / nearest, _RATES)


def _linear(d: np.ndarray, curves: np.ndarray, g: np.ndarray | float) -> tuple[np.ndarray, ...]:
    """Best c and y0 within 0 to 1 at a rate (one each, or one for all), and the squared error.

    curves: (curves, points); returns three of (curves,).
    """
    g = np.broadcast_to(g, len(curves))
    b = np.exp(-g[:, None] * d)  # y = c (1 - b) + y0 b
    a = 1 - b
    aa, ab, bb = (a * a).sum(axis=1), (a * b).sum(axis=1), (b * b).sum(axis=1)
    ya, yb = (curves * a).sum(axis=1), (curves * b).sum(axis=1)
    determinant = aa * bb - ab**2
    candidates = [((ya * bb - yb * ab) / determinant, (yb * aa - ya * ab) / determinant)]
    # On the edges of the box: one of the two is 0 or 1, the other its best within.
    for edge in (0.0, 1.0):
        edges = np.full(len(curves), edge)
        candidates.append((edges, np.clip((yb - edge * ab) / bb, 0, 1)))
        candidates.append((np.clip((ya - edge * ab) / aa, 0, 1), edges))
    best_c, best_y0 = np.zeros(len(curves)), np.zeros(len(curves))
    best = np.full(len(curves), math.inf)
    for c, y0 in candidates:
        inside = (c >= 0) & (c <= 1) & (y0 >= 0) & (y0 <= 1)
        error = ((curves - c[:, None] * a - y0[:, None] * b) ** 2).sum(axis=1)
        better = inside & (error < best)
        best_c, best_y0 = np.where(better, c, best_c), np.where(better, y0, best_y0)
        best = np.where(better, error, best)
    return best_c, best_y0, best


def _fit(d: np.ndarray, curves: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Rows of c, y0, g for rows of Dice: the best of the rates, then golden sections around it."""
    errors = np.stack([_linear(d, curves, g)[2] for g in rates])
    at = errors.argmin(axis=0)
    low, high = rates[np.maximum(at - 1, 0)], rates[np.minimum(at + 1, len(rates) - 1)]
    for _ in range(_SECTIONS):
        step = _GOLDEN * (high - low)
        left, right = high - step, low + step
        falls = _linear(d, curves, left)[2] > _linear(d, curves, right)[2]
        low, high = np.where(falls, left, low), np.where(falls, high, right)
    g = (low + high) / 2
    c, y0, _ = _linear(d, curves, g)
    return np.stack([c, y0, g], axis=1)


def _resampled(
    d: np.ndarray,
    fit: tuple[float, float, float],
    noise: float,
    rates: np.ndarray,
    seed: int,
    resamples: int,
) -> np.ndarray:
    """Fits to curves as they might have been measured.

    The residuals of so few points are all of one shape, so that drawing them again would make
    curves that are too much alike: the noise is normal. How large it is they tell poorly as well,
    hence Student's t (its 95 % quantile against the normal one).
    """
    if resamples < 1:
        return np.empty((0, 3))
    from scipy.stats import norm, t

    spread = max(noise, _LEAST_NOISE) * t.ppf(0.975, len(d) - 3) / norm.ppf(0.975)
    drawn = np.random.default_rng(seed).normal(0, spread, (resamples, len(d)))
    return _fit(d, np.clip(_model(*fit, d) + drawn, 0, 1), rates)


def _interval(values: np.ndarray, level: float) -> tuple[float, float]:
    if len(values) == 0:
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _judged(is_rising: bool, c: float, interval: tuple[float, float]) -> tuple[bool, str]:
    """Whether the plateau is known well enough, and if not, why."""
    if not is_rising:
        return False, "The Dice doesn't rise with the labels: a plateau can't be told."
    if math.isnan(interval[0]):
        return False, "Without a bootstrap nothing says how sure the fit is."
    if interval[1] - interval[0] > _WIDEST_PLATEAU:
        return False, (
            f"The plateau isn't in sight: it may lie anywhere between {interval[0]:.3f} and "
            f"{interval[1]:.3f}."
        )
    return True, ""


def _too_few(points: int, different: int) -> str:
    """Why nothing can be fitted to so many points with so many different budgets."""
    known = f"{counted(points, 'point')} with a known Dice"
    if different < points:
        known += f" at only {counted(different, 'budget')}"
    return (
        f"{known} {'is' if points == 1 else 'are'} too few to fit a saturation: at least "
        f"{FEWEST_POINTS} with different budgets are needed."
    )


def _nothing(x: np.ndarray, level: float, note: str) -> Saturation:
    unknown = (math.nan, math.nan)
    first, last = (float(x[0]), float(x[-1])) if len(x) else unknown
    return Saturation(
        math.nan, math.nan, first, math.nan, unknown, unknown, last, len(x), math.nan, False,
        False, note, level,
    )
