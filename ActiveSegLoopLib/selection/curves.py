"""Learning curves: the area under one, and what several say of strategies and of effort."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ActiveSegLoopLib.errors import SelectionError

# Rates that the search for one looks at, first over all and then again and again around the best.
_RATES = 201
_REFINEMENTS = 4


def aubc(budgets: Sequence[float], dice: Sequence[float]) -> float:
    """Area under Dice over the budget by trapezoids, the budget scaled to [0, 1].

    The first budget becomes 0 and the last 1, so that a constant Dice is its own area. NaN when a
    Dice is NaN: areas with holes can't be compared. Raises SelectionError for fewer than two
    budgets or for budgets that don't grow.
    """
    x, y = _pair(budgets, dice, "budgets", "Dice values")
    if len(x) < 2:
        raise SelectionError(
            f"The area under a curve needs at least two budgets, not {len(x)}: run another round."
        )
    if not (np.isfinite(x).all() and (np.diff(x) > 0).all()):
        raise SelectionError(f"The budgets must grow from round to round: {_listed(x)} don't.")
    if not np.isfinite(y).all():
        return math.nan
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum() / (x[-1] - x[0]))


def fg_efficiency(
    foreground_shares: Sequence[float],
    dice: Sequence[float],
    full: float | None,
    start: float,
    start_share: float,
) -> float:
    """Foreground efficiency: how fast the Dice rises with the foreground annotated.

    It is g of Dice = full - (full - start) exp(-g (share - start_share)), fitted by least squares;
    share: that of all foreground voxels (0 to 1) that are annotated; full: Dice of full annotation;
    start: mean Dice at start_share, the smallest share of all runs that are compared. So it is in
    nnActive's DatasetBeta (nnactive/analyze/metrics.py), which fits all seeds of a strategy at
    once. NaN where g can't be told: without `full` or not above `start`, with fewer than two
    different shares, and where the best g lies at an end of the search (the Dice falls, or is that
    of full annotation at once). Raises SelectionError for shares outside start_share to 1.
    """
    x, y = _pair(foreground_shares, dice, "shares", "Dice values")
    if ((x < max(0.0, start_share)) | (x > 1)).any():
        raise SelectionError(
            f"Shares of the foreground lie between that of the start ({start_share:g}) and 1; "
            f"{_listed(x)} don't all."
        )
    known = np.isfinite(x) & np.isfinite(y)
    d, y = x[known] - start_share, y[known]
    if full is None or not full > start or len(np.unique(d)) < 2:
        return math.nan

    def error(rates: np.ndarray) -> np.ndarray:
        fits = full - (full - start) * np.exp(-np.outer(rates, d))
        return ((fits - y) ** 2).sum(axis=1)

    # From hardly a rise within the range measured to a jump before the second share.
    rates = np.geomspace(0.01 / d.max(), 10 / np.diff(np.unique([0.0, *d])).min(), _RATES)
    best = int(error(rates).argmin())
    if best in (0, _RATES - 1):
        return math.nan
    for _ in range(_REFINEMENTS):
        rates = np.geomspace(rates[best - 1], rates[best + 1], _RATES)
        # At the end all are as good but for rounding.
        best = int(np.clip(error(rates).argmin(), 1, _RATES - 2))
    return float(rates[best])


def upper_concave_hull(effort: Sequence[float], performance: Sequence[float]) -> np.ndarray:
    """Indices of the points on the best trajectory, by increasing effort (Zharov 2022, 2.2).

    It is the polyline without a point above it, from the least effort to the best performance; what
    costs more than that and gives less isn't on it. Of equal points the first is taken. Points with
    NaN are left out; without any other the result is empty.
    """
    x, y = _pair(effort, performance, "efforts", "performances")
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    order = known[np.lexsort((known, -y[known], x[known]))]
    hull: list[int] = []
    for index in order:
        if hull and y[index] <= y[hull[-1]]:
            continue  # more effort for no more: also everything else of the same effort
        while len(hull) > 1 and _is_below(x, y, hull[-2], hull[-1], index):
            hull.pop()
        hull.append(int(index))
    return np.array(hull, int)


def _is_below(x: np.ndarray, y: np.ndarray, first: int, middle: int, last: int) -> bool:
    """Whether the middle point lies on or below the line between its neighbors."""
    rise = (y[middle] - y[first]) * (x[last] - x[first])
    return rise <= (y[last] - y[first]) * (x[middle] - x[first])


def pairwise_penalties(
    dice: Mapping[str, Sequence[Sequence[float]]], level: float = 0.95
) -> tuple[list[str], np.ndarray]:
    """The pairwise penalty matrix (PPM; Ash et al. 2020): how often a strategy beats another.

    dice: for each strategy (seeds, budgets), the same seeds and budgets in the same order. Returns
    the names and a matrix whose (i, j) is the share of the budgets (0 to 1) at which i is better
    than j by a two-sided paired t-test over the seeds; a budget where fewer than three seeds have
    both values counts as no win. Raises SelectionError when the shapes differ.
    """
    names = list(dict.fromkeys(dice))
    arrays = [np.atleast_2d(np.asarray(dice[name], float)) for name in names]
    for name, array in zip(names, arrays):
        if array.ndim != 2 or array.shape != arrays[0].shape:
            raise SelectionError(
                f"The results of '{name}' are {array.shape} (seeds, budgets) and those of "
                f"'{names[0]}' {arrays[0].shape}: compare runs of the same seeds and budgets."
            )
    matrix = np.zeros((len(names), len(names)))
    for i in range(len(names)):
        for j in range(i):
            budgets = arrays[i].shape[1]
            for better in _winners(arrays[i] - arrays[j], level):
                winner, loser = (i, j) if better > 0 else (j, i)
                matrix[winner, loser] += abs(better) / budgets
    return names, matrix


def _winners(differences: np.ndarray, level: float) -> list[int]:
    """Per budget 1 where the first is significantly better, -1 where the second is, else 0."""
    from scipy.stats import t

    found = []
    for column in differences.T:
        known = column[np.isfinite(column)]
        mean = known.mean() if len(known) else 0.0
        if len(known) < 3 or mean == 0:
            found.append(0)
            continue
        error = known.std(ddof=1) / math.sqrt(len(known))
        # The same difference with every seed is as significant as can be.
        statistic = math.inf if error == 0 else abs(mean) / error
        significant = 2 * t.sf(statistic, len(known) - 1) < 1 - level
        found.append(int(np.sign(mean)) if significant else 0)
    return found


def _pair(
    first: Sequence[float], second: Sequence[float], first_name: str, second_name: str
) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(first, float).ravel(), np.asarray(second, float).ravel()
    if len(x) != len(y):
        raise SelectionError(
            f"There are {len(x)} {first_name} but {len(y)} {second_name}: give as many of both."
        )
    return x, y


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values)
