"""The fit of a saturating curve: exact on exact curves, honest on poor ones."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.selection.saturation import fit_saturation

X = np.array([8, 12, 16, 24, 32, 48, 64])


def curve(x, c, y0, g, n0=8):
    return c - (c - y0) * np.exp(-g * (np.asarray(x) - n0))


@settings(deadline=None, max_examples=40)
@given(st.floats(0.5, 1), st.floats(0.05, 0.4), st.floats(0.01, 0.3))
def test_an_exact_curve_is_found_again(c, y0, g):
    fit = fit_saturation(X, curve(X, c, y0, g), resamples=0)
    assert (fit.c, fit.y0, fit.n0) == pytest.approx((c, y0, 8), abs=1e-4)
    assert fit.g == pytest.approx(g, rel=1e-3) and fit.is_rising
    assert fit.predict([8, 100]) == pytest.approx(curve([8, 100], c, y0, g), abs=1e-4)
    assert fit.gain(10) == pytest.approx(curve(74, c, y0, g) - curve(64, c, y0, g), abs=1e-4)
    assert fit.predict(fit.reach(y0 + 0.9 * (c - y0))) == pytest.approx(y0 + 0.9 * (c - y0))


def test_the_fit_is_the_least_squares_of_scipy():
    from scipy.optimize import curve_fit

    random = np.random.default_rng(4)
    y = curve(X, 0.85, 0.5, 0.06) + random.normal(0, 0.01, len(X))
    (c, y0, g), _ = curve_fit(lambda x, c, y0, g: curve(x, c, y0, g), X, y, (0.8, 0.5, 0.1))
    fit = fit_saturation(X[::-1], y[::-1])
    assert (fit.c, fit.y0, fit.g) == pytest.approx((c, y0, g), rel=1e-4)


@pytest.mark.parametrize("points", [4, 5, 7])
def test_the_interval_covers_the_true_plateau_about_as_often_as_it_says(points):
    random = np.random.default_rng(0)
    x = X[:points]
    covered, ahead, wrong = 0, 0, 0
    for seed in range(30):
        y = curve(x, 0.85, 0.5, 0.06) + random.normal(0, 0.01, points)
        fit = fit_saturation(x, y, seed, resamples=100)
        holds = fit.interval[0] <= 0.85 <= fit.interval[1]
        low, high = fit.predict_interval(x[-1] + 4)
        covered += holds
        ahead += low <= curve(x[-1] + 4, 0.85, 0.5, 0.06) <= high
        wrong += fit.is_identifiable and not holds
    assert covered >= 27 and ahead >= 27, "of 30"
    assert wrong <= (3 if points == 7 else 1), "few plateaus are called known and aren't"


def test_points_that_happen_to_fit_exactly_are_not_known_exactly():
    fit = fit_saturation([2, 4, 6, 8], [0.5, 0.6, 0.65, 0.675])
    assert fit.c == pytest.approx(0.7, abs=1e-4) and not fit.is_identifiable
    assert fit.interval[0] < 0.69 and fit.interval[1] > 0.75
    low, high = fit.predict_interval(10)
    assert high - low > 0.02


def test_the_same_seed_gives_the_same_interval():
    y = curve(X, 0.85, 0.5, 0.06) + np.random.default_rng(5).normal(0, 0.01, len(X))
    one, again, other = (fit_saturation(X, y, seed) for seed in (1, 1, 2))
    assert one == again and one.interval != other.interval
    low, high = one.predict_interval(100)
    assert low <= one.predict(100) <= high
    low, high = one.gain_interval(10)
    assert low <= one.gain(10) <= high


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=8))
def test_any_curve_gives_a_dice_between_0_and_1(dice):
    fit = fit_saturation(range(1, len(dice) + 1), dice, resamples=10)
    predicted = fit.predict([0.5, 1, 5, 100, 1e6])[1:]
    assert ((predicted >= -1e-9) & (predicted <= 1 + 1e-9)).all()
    assert fit.is_rising or fit.note


@pytest.mark.parametrize(
    "x, y, words",
    [
        ([], [], "^0 points with a known Dice are too few"),
        ([3], [0.5], "^1 point with a known Dice is too few"),
        ([3, 4, 5, 5], [0.5, 0.6, 0.7, 0.7], "4 points .* at only 3 budgets .* at least 4"),
        ([3, 4, 5, 6], [0.5, math.nan, 0.7, 0.7], "^3 points with a known Dice are"),
        ([3, 3], [0.5, 0.6], "^2 points with a known Dice at only 1 budget are too few"),
    ],
)
def test_too_few_points_are_said_to_be_too_few(x, y, words):
    fit = fit_saturation(x, y)
    assert re.search(words, fit.note)
    assert math.isnan(fit.c) and math.isnan(fit.predict(10)) and math.isnan(fit.reach(0.5))
    assert not fit.is_identifiable and not fit.is_rising


def test_flat_falling_and_straight_curves_are_said_to_be_so():
    flat = fit_saturation(X, np.full(len(X), 0.8))
    assert flat.note.startswith("The Dice was 0.800 all the time") and not flat.is_rising
    assert flat.predict(500) == flat.c == 0.8 and flat.gain(10) == 0
    assert flat.reach(0.7) == 8 and flat.reach(0.9) == math.inf
    falling = fit_saturation(X, curve(X, 0.5, 0.8, 0.06))
    assert "doesn't rise" in falling.note and falling.reach(0.9) == math.inf
    straight = fit_saturation(X, 0.3 + 0.004 * X)
    assert straight.is_rising and "isn't in sight" in straight.note
    assert straight.gain(10) == pytest.approx(0.04, abs=0.01), "the next step can still be told"


def test_x_and_y_must_be_as_many():
    with pytest.raises(SelectionError, match="3 budgets but 2 Dice"):
        fit_saturation([1, 2, 3], [0.1, 0.2])
