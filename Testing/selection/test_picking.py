"""The rules that all strategies' picks obey."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.selection.picking import Rules, pick
from ActiveSegLoopLib.selection.registry import Ranking, Strategy, measures_of
from ActiveSegLoopLib.selection.scores import Measure
from ActiveSegLoopLib.selection.strategies import STRATEGIES
from Testing.selection.made import candidates, made_case, scored


def by_score(scores, **more):
    """A strategy that ranks candidates by given numbers."""
    rank = lambda found: Ranking(np.asarray(scores, float), "as told")  # noqa: E731
    fields = dict(optional=False, sequential=False, volumes_first=False, measure=None)
    return Strategy("told", ("slice", "volume"), (), **(fields | more), rank=rank)


def picked(found, strategy, **rules):
    """Case name and slice number of each pick."""
    return [
        (found.cases[found.case[p.number]].name, int(found.index[p.number]))
        for p in pick(found, strategy, Rules(**rules))
    ]


def evidence(random, name, slices=None, unit="slice"):
    """A case with everything that a strategy may ask for, made up."""
    slices = 1 if unit == "volume" else slices or int(random.integers(1, 25))
    names = [f"{m}{a}" for m in ("entropy", "variance", "mutual_information", "error")
             for a in ("", ".mean", ".foreground_sum")]
    return replace(
        made_case(name, slices, float(random.choice([0.5, 1.0, 3.0])),
                  None if unit == "volume" else "axial"),
        annotated=random.random((slices, 2)) < random.choice([0.0, 0.2, 0.9]),
        refused=random.random(slices) < 0.1,
        measures={n: scored(random.random(slices), random.random((slices, 2))) for n in names},
        foreground=random.integers(0, 3, (slices, 2)) * random.integers(0, 50, (slices, 2)),
        features=random.normal(size=(slices, 3)).astype(np.float32),
        image=random.normal(size=(slices, 4)),
        agreement=random.random(slices),
        accuracy_agreement=random.random(slices),
        label_agreement=np.where(
            random.random((slices, 2)) < 0.7, random.random((slices, 2)), np.nan
        ),
        dice=np.where(random.random(slices) < 0.5, random.random(slices), np.nan),
    )


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@settings(max_examples=12, deadline=None)
@given(st.data())
def test_every_strategy_obeys_the_rules_whatever_there_is(name, data):
    strategy = STRATEGIES[name]
    seed = data.draw(st.integers(0, 10**6))
    unit = data.draw(st.sampled_from(strategy.units))
    random = np.random.default_rng(seed)
    cases = [evidence(random, f"case {n}", unit=unit) for n in range(random.integers(1, 7))]
    count = data.draw(st.integers(1, 12))
    distance = data.draw(st.sampled_from([None, 0.0, 2.0, 7.0]))
    rules = Rules(distance, data.draw(st.sampled_from([None, 1, 2])), data.draw(st.booleans()))

    def answer(given_cases):
        found = candidates(*given_cases, unit=unit, count=count, seed=seed)
        picks = list(pick(found, strategy, rules))
        names = [(found.cases[found.case[p.number]].name, found.index[p.number]) for p in picks]
        return found, picks, [(*n, p.score, p.reason, p.focus) for n, p in zip(names, picks)]

    found, picks, said = answer(cases)
    assert said == answer(cases)[2], "the same seed gives the same answer"
    assert said == answer([cases[i] for i in random.permutation(len(cases))])[2]
    numbers = [p.number for p in picks]
    assert len(set(numbers)) == len(numbers) <= count
    assert all(p.reason and np.isfinite(p.score) for p in picks)
    for p in picks:
        labeled = found.annotated[p.number]
        assert not (labeled.any() if p.focus is None else labeled[p.focus])
        assert found.available[p.number]
    if rules.per_case is not None and numbers:
        assert np.bincount(found.case[numbers]).max() <= rules.per_case
    if unit == "slice" and distance is not None:
        for i, p in enumerate(picks):
            marked = found.annotated.any(axis=1) if p.focus is None else (
                found.annotated[:, p.focus]
            )
            others = [*np.flatnonzero(marked), *numbers[:i]]
            mine = [n for n in others if found.case[n] == found.case[p.number]]
            away = np.abs(found.index[mine] - found.index[p.number]) * found.spacing[p.number]
            assert not mine or away.min() >= distance - 1e-6
    if distance is None and rules.per_case is None and not rules.per_class:
        left = (found.available & ~found.annotated.any(axis=1)).sum()
        assert len(picks) == min(count, left), "without limits only what there is limits"


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_shares_a_batch_out_over_the_labels(name):
    strategy = STRATEGIES[name]
    random = np.random.default_rng(5)
    unit = strategy.units[0]
    slices = 1 if unit == "volume" else 30
    cases = [replace(evidence(random, f"case {n}", slices, unit), refused=np.zeros(slices, bool),
                     annotated=np.zeros((slices, 2), bool)) for n in range(9)]
    found = candidates(*cases, unit=unit, count=7)
    focuses = [p.focus for p in pick(found, strategy, Rules(per_class=True))]
    assert focuses == [0, 1, 0, 1, 0, 1, 0]


def test_the_best_come_first_and_ties_by_name_and_number():
    cases = [made_case(name, 3, spacing=9) for name in ("b", "a")]
    found = candidates(*cases, count=6)
    assert picked(found, by_score([1, 2, 1, 1, 5, 2])) == [
        ("b", 1), ("a", 1), ("b", 2), ("a", 0), ("a", 2), ("b", 0),
    ]


def test_a_candidate_of_minus_infinity_is_never_picked():
    found = candidates(made_case(slices=3, spacing=9), count=3)
    assert picked(found, by_score([1, -np.inf, 0])) == [("a", 0), ("a", 2)]


@pytest.mark.parametrize("scores", [[0, np.nan, 1], [0, np.inf, 1], [0, 1]])
def test_a_strategy_without_a_number_for_each_is_refused(scores):
    with pytest.raises(SelectionError, match="'told' must give one score to each of the 3"):
        picked(candidates(made_case(slices=3)), by_score(scores))


def test_the_distance_nobody_asked_for_gives_way_when_little_is_left():
    found = candidates(made_case(slices=9, spacing=1.0), count=9)
    order = picked(found, by_score([9, 8, 7, 6, 5, 4, 3, 2, 1]))
    assert [n for _, n in order] == [0, 4, 8, 2, 6, 1, 3, 5, 7], "4 mm, then 2, then none"
    found = candidates(made_case(slices=9, spacing=1.0), count=9)
    strict = picked(found, by_score([9, 8, 7, 6, 5, 4, 3, 2, 1]), min_distance_mm=4)
    assert [n for _, n in strict] == [0, 4, 8]


def test_thick_slices_are_two_apart():
    found = candidates(made_case(slices=5, spacing=6.0), count=3)
    assert [n for _, n in picked(found, by_score([9, 8, 7, 6, 5]))] == [0, 2, 4]


def test_volumes_with_the_fewest_labels_come_first_where_the_strategy_says_so():
    cases = [made_case("a", 9, labeled=(8,)), made_case("b", 9), made_case("c", 9)]
    scores = np.r_[np.full(9, 3), np.full(9, 2), np.full(9, 1)]
    found = candidates(*cases, count=5)
    assert [c for c, _ in picked(found, by_score(scores, volumes_first=True))] == list("bcabc")
    found = candidates(*cases, count=3)
    assert [c for c, _ in picked(found, by_score(scores))] == list("aaa")


def test_per_class_serves_the_label_with_the_fewest_slices_first_and_skips_what_is_used_up():
    annotated = np.zeros((6, 2), bool)
    annotated[:5, 0] = True
    found = candidates(made_case(slices=6, spacing=9, annotated=annotated), count=9)
    picks = list(pick(found, by_score(range(6)), Rules(per_class=True)))
    assert [(p.number, p.focus) for p in picks] == [(n, 1) for n in (5, 3, 1, 4, 2, 0)]


def test_the_reason_tells_how_far_the_nearest_labeled_slice_is():
    cases = [made_case("a", 9, spacing=3.5, labeled=(2,)), made_case("b", 9)]
    found = candidates(*cases, count=2)
    scores = np.zeros(18)
    scores[4], scores[9] = 2, 1
    reasons = [p.reason for p in pick(found, by_score(scores), Rules())]
    assert reasons == [
        "as told, 7 mm from the nearest labeled slice",
        "as told, in a volume without labeled slices",
    ]


def elsewhere(*labels):
    """Two sagittal slices of ten, labeled for the labels at these positions."""
    marks = np.zeros((10, 2), bool)
    marks[np.ix_([2, 5], labels)] = True
    return marks


def test_the_reason_tells_slices_of_other_planes_and_labels_apart():
    other_plane = made_case(slices=3, spacing=9, elsewhere=elsewhere(0))
    reasons = [p.reason for p in pick(candidates(other_plane), by_score([1, 0, 0]), Rules())]
    assert reasons == ["as told, in a volume without labeled axial slices"]
    annotated = np.zeros((3, 2), bool)
    annotated[2, 0] = True
    other_label = replace(other_plane, annotated=annotated)
    (found,) = pick(candidates(other_label), by_score([1, 0, 0]), Rules(per_class=True))
    assert found.reason == "as told, in a volume without slices labeled for 'vein'"
    both = replace(other_plane, elsewhere=elsewhere(0, 1))
    (found,) = pick(candidates(both), by_score([1, 0, 0]), Rules(per_class=True))
    assert found.reason == "as told, in a volume without axial slices labeled for 'artery'"


def test_labels_in_other_planes_count_where_volumes_with_the_fewest_come_first():
    cases = [made_case("a", 9, elsewhere=elsewhere(0)), made_case("b", 9), made_case("c", 9)]
    scores = np.r_[np.full(9, 3), np.full(9, 2), np.full(9, 1)]
    strategy = by_score(scores, volumes_first=True)
    assert [c for c, _ in picked(candidates(*cases, count=5), strategy)] == list("bcbca")
    found = candidates(*cases, count=4)
    focused = [(p.focus, found.cases[found.case[p.number]].name)
               for p in pick(found, strategy, Rules(per_class=True))]
    assert focused == [(1, "a"), (0, "b"), (1, "c"), (0, "b")], "no vein is labeled"


def test_the_registrys_needs_name_measures():
    assert measures_of(("entropy", "images", "error.sum")) == [
        ("entropy", "entropy", ""), ("error.sum", "error", "sum"),
    ]


def test_where_the_model_sees_nothing_the_expected_error_counts_by_the_chance_of_a_label():
    case = made_case(
        slices=3, measures={"error": scored([0.9, 0.2, 0.9], [[0.3], [0.2], [0.01]])},
        foreground=np.array([[0], [5], [0]]),
    )
    found, expected_error = candidates(case, count=3), STRATEGIES["expected_error"]
    assert picked(found, expected_error, min_distance_mm=0.0) == [("a", 0), ("a", 1), ("a", 2)]
    reason = next(pick(candidates(case), expected_error, Rules(min_distance_mm=0.0))).reason
    assert reason.startswith("if anything is there, the model expects a Dice of 0.10")


def test_the_expected_error_of_a_label_is_its_own_also_where_the_model_sees_nothing():
    labels = [[0.3, 0.01], [0.2, 0.02], [0.01, 0.9]]
    case = made_case(
        slices=3, measures={"error": scored([0.9, 0.2, 0.9], labels)},
        foreground=np.array([[0, 0], [5, 0], [0, 0]]), annotated=np.zeros((3, 2), bool),
    )
    found = candidates(case, count=4)
    order = [(p.focus, p.number)
             for p in pick(found, STRATEGIES["expected_error"], Rules(0.0, None, True))]
    assert order == [(0, 0), (1, 2), (0, 1)]


def test_the_dice_that_is_told_of_a_label_is_that_if_it_is_there():
    measure = Measure(np.zeros(2), np.array([[0.0, 0.09], [0.0, 0.04]]),
                      np.array([[0.0, 1.0], [0.0, 1.0]]))
    case = made_case(slices=2, measures={"error": measure},
                     foreground=np.array([[5, 0], [5, 0]]), annotated=np.zeros((2, 2), bool))
    found = candidates(case, count=2)
    vein = [p for p in pick(found, STRATEGIES["expected_error"], Rules(0.0, None, True))
            if p.focus == 1]
    assert "the model expects a Dice of 0.00" in vein[0].reason
