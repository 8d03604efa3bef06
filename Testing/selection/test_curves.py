"""Areas, hulls, penalties: against closed forms, and their properties at random."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.selection.curves import (
    aubc,
    fg_efficiency,
    pairwise_penalties,
    upper_concave_hull,
)

share = st.floats(0, 1, allow_subnormal=False)


@st.composite
def curves(draw):
    """Growing budgets and as many Dice values."""
    steps = draw(st.lists(st.integers(1, 50), min_size=1, max_size=8))
    budgets = np.cumsum([draw(st.integers(0, 20)), *steps])
    return budgets, draw(st.lists(share, min_size=len(budgets), max_size=len(budgets)))


def test_the_area_under_a_line_is_its_middle_and_under_a_jump_the_share_after_it():
    assert aubc([10, 20, 40], [0.2, 0.4, 0.8]) == pytest.approx(0.5)
    assert aubc([0, 1, 1.001, 4], [0, 0, 1, 1]) == pytest.approx(0.75, abs=1e-3)


@given(curves(), st.floats(0.1, 10), st.floats(0, 100))
def test_the_area_is_between_the_least_and_the_largest_dice_whatever_the_unit(curve, scale, shift):
    budgets, dice = curve
    area = aubc(budgets, dice)
    assert min(dice) - 1e-9 <= area <= max(dice) + 1e-9
    assert aubc(budgets * scale + shift, dice) == pytest.approx(area)


def test_an_area_that_cannot_be_told_is_undefined_or_refused():
    assert math.isnan(aubc([1, 2, 3], [0.1, math.nan, 0.3]))
    with pytest.raises(SelectionError, match="at least two budgets, not 1"):
        aubc([5], [0.5])
    for budgets in ([1, 1, 2], [2, 1, 3], [1, math.nan, 3]):
        with pytest.raises(SelectionError, match="must grow"):
            aubc(budgets, [0.1, 0.2, 0.3])
    with pytest.raises(SelectionError, match="3 budgets but 2 Dice"):
        aubc([1, 2, 3], [0.1, 0.2])


SHARES = np.array([0.02, 0.05, 0.1, 0.2, 0.4])


def rising(shares, g, full=0.9, start=0.4, start_share=0.02):
    return full - (full - start) * np.exp(-g * (shares - start_share))


@given(st.floats(0.5, 80), st.floats(0.5, 1), st.floats(0, 0.45), st.integers(2, 5))
def test_foreground_efficiency_is_the_pace_from_the_start_to_full_annotation(g, full, start, count):
    shares = SHARES[:count]
    dice = rising(shares, g, full, start)
    assert fg_efficiency(shares, dice, full, start, 0.02) == pytest.approx(g, rel=1e-5)


def test_foreground_efficiency_has_the_plateau_of_full_annotation_not_its_own():
    from scipy.optimize import curve_fit

    # A curve that levels off below full annotation: as nnActive fits it, with one parameter.
    dice = rising(SHARES, 40, full=0.8, start=0.42)
    (expected,), _ = curve_fit(rising, SHARES, dice, 10)
    assert expected < 30
    assert fg_efficiency(SHARES, dice, 0.9, 0.4, 0.02) == pytest.approx(expected, rel=1e-4)


def test_a_run_that_starts_with_more_foreground_is_as_far_along_the_same_curve():
    assert fg_efficiency(SHARES[1:], rising(SHARES[1:], 12), 0.9, 0.4, 0.02) == pytest.approx(12)


def test_where_nothing_tells_the_pace_there_is_no_foreground_efficiency():
    dice = rising(SHARES, 12)

    def found(shares=SHARES, dice=dice, full=0.9, start=0.4):
        return fg_efficiency(shares, dice, full, start, 0.02)

    assert found() == pytest.approx(12)
    assert math.isnan(found(full=None)) and math.isnan(found(full=math.nan))
    assert math.isnan(found(full=0.4)), "full annotation isn't better than the start"
    assert math.isnan(found(dice=dice[::-1] - 0.4)), "the curve is below the start and falls"
    assert math.isnan(found(dice=np.array([0.4, 0.91, 0.91, 0.91, 0.91]))), "at once beyond full"
    assert math.isnan(found(shares=SHARES[:1], dice=dice[:1]))
    holes = np.array([dice[0], *[math.nan] * 4])
    assert math.isnan(found(dice=holes)), "a single known Dice"
    with pytest.raises(SelectionError, match=r"of the start \(0.02\) and 1; 2, 5"):
        found(shares=100 * SHARES)
    with pytest.raises(SelectionError, match="0.01"):
        found(shares=SHARES - 0.01)


def test_the_hull_is_the_best_trajectory():
    effort = [1, 2, 3, 4, 5, 1, 2.5]
    performance = [0.10, 0.55, 0.60, 0.90, 0.85, 0.30, math.nan]
    assert upper_concave_hull(effort, performance).tolist() == [5, 1, 3]
    assert upper_concave_hull([2, 1], [0.5, 0.5]).tolist() == [1]
    assert upper_concave_hull([math.nan], [0.5]).tolist() == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=30))
def test_no_point_lies_above_the_hull_and_it_is_concave(points):
    x, y = np.array(points, float).T
    hull = upper_concave_hull(x, y)
    assert (np.diff(x[hull]) > 0).all() and (np.diff(y[hull]) > 0).all()
    assert x[hull[0]] == x.min() and y[hull[-1]] == y.max()
    slopes = np.diff(y[hull]) / np.diff(x[hull])
    assert (np.diff(slopes) < 0).all()
    above = y - np.interp(x, x[hull], y[hull])
    assert above.max() <= 1e-9


def test_penalties_are_the_share_of_budgets_with_a_significant_win():
    random = np.random.default_rng(0)
    base = random.normal(0.7, 0.02, (5, 4))
    better = base + 0.05 + random.normal(0, 0.005, (5, 4))
    better[:, 3] = base[:, 3] - 0.05 + random.normal(0, 0.005, 5)
    names, matrix = pairwise_penalties({"new": better, "old": base, "same": base})
    assert names == ["new", "old", "same"]
    assert matrix[0, 1] == matrix[0, 2] == 0.75 and matrix[1, 0] == matrix[2, 0] == 0.25
    assert matrix[1, 2] == matrix[2, 1] == 0 and not matrix.diagonal().any()


def test_penalties_agree_with_the_paired_t_test():
    from scipy.stats import ttest_rel

    random = np.random.default_rng(3)
    one, other = random.normal(0.5, 0.1, (2, 4, 60)) + np.array([0.06, 0])[:, None, None]
    p = ttest_rel(one, other).pvalue
    wins = (p < 0.05) & (one.mean(axis=0) > other.mean(axis=0))
    assert 0 < wins.sum() < 60
    _, matrix = pairwise_penalties({"one": one, "other": other})
    assert matrix[0, 1] == pytest.approx(wins.sum() / 60)


def test_too_few_seeds_win_nothing_and_other_shapes_are_refused():
    _, matrix = pairwise_penalties({"a": [[0.9, 0.9]] * 2, "b": [[0.1, 0.1]] * 2})
    assert not matrix.any()
    _, matrix = pairwise_penalties({"a": [[0.9, math.nan]] * 3, "b": [[0.1, 0.1]] * 3})
    assert matrix[0, 1] == 0.5, "the same difference with each of three seeds is a win"
    with pytest.raises(SelectionError, match="same seeds and budgets"):
        pairwise_penalties({"a": [[0.9, 0.9]], "b": [[0.1, 0.1]] * 2})
