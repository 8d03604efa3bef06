"""Statistics of paired measurements: what changed on the same cases, and how sure that is.

A difference of means says little on the few cases of a study, so a comparison always carries its
n, an interval, an effect size and p-values, and says in words where n is too small for one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

LEAST_PAIRS = 3
_SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class PairedComparison:
    """What changed from a to b on the same n cases; differences are b - a.

    interval: bootstrap interval of the mean difference. t_p, wilcoxon_p: two-sided p-values of the
    paired t-test and Wilcoxon's signed-rank test. effect_size: Cohen's d_z, the mean difference
    over the differences' SD (Cohen 1988, section 2.3.5). note: in words what n doesn't allow, else
    empty. What is undefined is NaN.
    """

    n: int
    mean_difference: float
    interval: tuple[float, float]
    t_p: float
    wilcoxon_p: float
    effect_size: float
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None for NaN."""
        low, high = self.interval
        values = asdict(self) | {"interval_low": low, "interval_high": high}
        del values["interval"]
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in values.items()
        }


def paired_comparison(
    a: Sequence[float], b: Sequence[float], seed: int = 0, level: float = 0.95
) -> PairedComparison:
    """Compare values a with b of the same cases in the same order.

    Pairs in which one is NaN are left out. With fewer than 3 pairs there is no interval and no
    p-value. Raises ValueError when a and b aren't equally long.
    """
    first, second = np.asarray(a, float), np.asarray(b, float)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            f"Paired values must be two lists of one length, not of shapes {first.shape} and "
            f"{second.shape}."
        )
    differences = second - first
    differences = differences[np.isfinite(differences)]
    n = len(differences)
    if n == 0:
        return PairedComparison(0, *_undefined(), "No case has both values.")
    mean = float(differences.mean())
    if n < LEAST_PAIRS:
        _, *undefined = _undefined()
        cases = "1 case has" if n == 1 else f"{n} cases have"
        note = f"Only {cases} both values: too few for a test (at least {LEAST_PAIRS})."
        return PairedComparison(n, mean, *undefined, note)
    interval = bootstrap_interval(differences, level=level, seed=seed)
    if _without_spread(differences):
        note = "All differences are equal, so that no test applies."
        return PairedComparison(n, mean, interval, math.nan, math.nan, math.nan, note)
    from scipy import stats

    t_p = float(stats.ttest_1samp(differences, 0).pvalue)
    wilcoxon_p = float(stats.wilcoxon(differences).pvalue)
    effect = mean / float(differences.std(ddof=1))
    smallest = 2.0 ** (1 - np.count_nonzero(differences))
    note = ""
    if smallest > _SIGNIFICANCE:
        note = f"With so few cases Wilcoxon's p can't be under {smallest:.3g}."
    return PairedComparison(n, mean, interval, t_p, wilcoxon_p, effect, note)


def _undefined() -> tuple[float, tuple[float, float], float, float, float]:
    return math.nan, (math.nan, math.nan), math.nan, math.nan, math.nan


def _without_spread(values: np.ndarray) -> bool:
    """Whether values differ by no more than rounding."""
    return float(np.ptp(values)) <= 1e-12 * max(1.0, float(np.abs(values).max()))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979), in their order; NaN stays NaN.

    The k-th smallest of m is multiplied by m - k + 1, none is below a smaller one's, none above 1.
    """
    adjusted = [math.nan] * len(p_values)
    defined = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    least = 0.0
    for rank, index in enumerate(sorted(defined, key=lambda i: p_values[i])):
        least = max(least, min(1.0, (len(defined) - rank) * float(p_values[index])))
        adjusted[index] = least
    return adjusted


def bootstrap_interval(
    values: Sequence[float],
    statistic: Callable[[np.ndarray], float] = np.mean,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> tuple[float, float]:
    """The bootstrap interval (low, high) of a statistic of values; the same for the same seed.

    The percentile interval with the tails of expanded_tail. NaN values are left out; (NaN, NaN)
    for fewer than 3. statistic: of a 1D array, called once per resample.
    """
    array = np.asarray(values, float).ravel()
    array = array[np.isfinite(array)]
    n = len(array)
    if n < LEAST_PAIRS:
        return math.nan, math.nan
    drawn = array[np.random.default_rng(seed).integers(0, n, (resamples, n))]
    if statistic is np.mean:
        found = drawn.mean(axis=1)
    else:
        found = np.array([float(statistic(sample)) for sample in drawn])
    if not np.isfinite(found).any():
        return math.nan, math.nan
    tail = expanded_tail(n, level)
    low, high = np.nanquantile(found, (tail, 1 - tail))
    return float(low), float(high)


def expanded_tail(n: int, level: float = 0.95) -> float:
    """The share of resamples to leave out at each end of a bootstrap interval from n values.

    So much less than (1 - level) / 2 that the interval of a mean is about as wide as the t
    interval; the plain one covers too little for small n (Hesterberg 2015, What teachers should
    know about the bootstrap, The American Statistician 69:371, expanded percentile interval).
    """
    from scipy import stats

    return float(stats.norm.cdf(math.sqrt(n / (n - 1)) * stats.t.ppf((1 - level) / 2, n - 1)))
