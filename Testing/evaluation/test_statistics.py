"""Statistics against textbook examples with known answers, and against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ActiveSegLoopLib.evaluation.statistics import bootstrap_interval, holm, paired_comparison

# Darwin's maize, heights in eighths of an inch, as Fisher analyzed them (The Design of Experiments,
# 1935, section 17): t = 2.148 with 14 degrees of freedom. Wilcoxon's p: 0.0413 (Cureton 1967).
DIFFERENCES = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]

# Student's sleep data (The probable error of a mean, 1908): extra hours with two drugs.
DEXTRO = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
LAEVO = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_fishers_example_of_a_paired_test_comes_out_as_in_his_book():
    found = paired_comparison(np.zeros(15), DIFFERENCES)
    assert found.n == 15
    assert found.mean_difference == pytest.approx(20.933, abs=5e-4)
    assert found.t_p == pytest.approx(0.0497, abs=5e-5)
    assert found.wilcoxon_p == pytest.approx(0.0412598, abs=5e-8)
    assert found.effect_size * math.sqrt(15) == pytest.approx(2.148, abs=5e-4)
    assert found.note == ""
    # Fisher's t interval is 0.03 to 41.84.
    assert found.interval == pytest.approx((0.03, 41.84), abs=4)


def test_students_example_has_its_mean_t_and_effect_size():
    found = paired_comparison(DEXTRO, LAEVO)
    assert found.mean_difference == pytest.approx(1.58)
    assert found.t_p == pytest.approx(0.002833, abs=5e-7)
    assert found.effect_size == pytest.approx(4.0621 / math.sqrt(10), abs=5e-5)
    back = paired_comparison(LAEVO, DEXTRO)
    assert back.mean_difference == -found.mean_difference
    assert (back.t_p, back.wilcoxon_p) == pytest.approx((found.t_p, found.wilcoxon_p))


def test_holms_adjustment_of_a_worked_example():
    # The example of https://en.wikipedia.org/wiki/Holm-Bonferroni_method; as R's p.adjust gives it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_leaves_undefined_values_out_of_the_number_of_tests():
    first, undefined, second = holm([0.03, math.nan, 0.02])
    assert (first, second) == pytest.approx((0.04, 0.04))
    assert math.isnan(undefined)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holms_values_lie_between_the_raw_ones_and_bonferronis_and_keep_their_order(p_values):
    adjusted = holm(p_values)
    for raw, holms in zip(p_values, adjusted):
        assert raw <= holms <= min(1.0, raw * len(p_values)) + 1e-12
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all() if p_values else True


def test_pairs_without_both_values_are_left_out():
    a, b = [0.5, math.nan, 0.7, 0.2, 0.4], [0.6, 0.9, math.nan, 0.4, 0.7]
    found = paired_comparison(a, b)
    assert found.n == 3
    known = stats.ttest_rel([0.6, 0.4, 0.7], [0.5, 0.2, 0.4])
    assert found.t_p == pytest.approx(known.pvalue)
    assert found.mean_difference == pytest.approx(0.2)


@pytest.mark.parametrize("n, words", [(0, "No case has both"), (1, "Only 1 case has both"),
                                      (2, "Only 2 cases have both")])
def test_with_too_few_cases_there_is_a_sentence_in_place_of_a_p_value(n, words):
    found = paired_comparison([0.1, 0.4][:n], [0.2, 0.6][:n])
    assert found.n == n and words in found.note
    assert all(map(math.isnan, (found.t_p, found.wilcoxon_p, found.effect_size, *found.interval)))
    assert math.isnan(found.mean_difference) == (n == 0)
    assert found.to_dict()["t_p"] is None and found.to_dict()["n"] == n


def test_with_few_cases_the_note_says_how_small_wilcoxons_p_can_get():
    found = paired_comparison([0, 0, 0, 0], [1, 2, 3, 4.5])
    assert found.wilcoxon_p == 0.125 and "can't be under 0.125" in found.note
    assert paired_comparison([0] * 6, [1, 2, 3, 4, 5, 6.5]).note == ""


@pytest.mark.parametrize("step", [0.0, 0.1])
def test_equal_differences_have_no_p_value(step):
    a = np.array([0.1, 0.2, 0.3, 0.7])
    found = paired_comparison(a, a + step)
    assert math.isnan(found.t_p) and math.isnan(found.effect_size)
    assert "All differences are equal" in found.note
    assert found.interval == pytest.approx((step, step))


def test_values_that_arent_pairs_are_refused():
    with pytest.raises(ValueError, match="one length"):
        paired_comparison([1, 2, 3], [1, 2])


def test_a_bootstrap_interval_depends_on_nothing_but_values_and_seed():
    values = np.random.default_rng(0).normal(size=12)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval([*values, math.nan], seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)
    low, high = bootstrap_interval(values, np.median)
    assert low <= np.median(values) <= high
    assert all(map(math.isnan, bootstrap_interval([1.0, 2.0])))
    narrow, wide = (bootstrap_interval(values, level=level) for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("n", [5, 10, 30])
def test_a_bootstrap_interval_covers_the_mean_about_as_often_as_it_claims(n):
    draws = np.random.default_rng(1).normal(1.0, 2.0, (400, n))
    intervals = [bootstrap_interval(draw, resamples=500) for draw in draws]
    covered = np.mean([low <= 1.0 <= high for low, high in intervals])
    assert 0.90 <= covered <= 0.99, "The plain percentile interval covers 0.87 for n = 5."
