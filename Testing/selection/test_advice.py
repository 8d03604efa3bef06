"""Advice by targets, by gains, and by labels that no round has trained on."""

import pytest

from ActiveSegLoopLib.jobs.advising import sentences
from ActiveSegLoopLib.selection.advice import advise
from ActiveSegLoopLib.selection.history import note_p_score
from ActiveSegLoopLib.study import Annotation
from Testing.selection.synthetic import History, structures

RISING = [0.5, 0.62, 0.7, 0.76]
SATURATED = [0.5, 0.66, 0.72, 0.735, 0.74, 0.741, 0.741]
TIMES = {"ball": 220, "rod": 50}


@pytest.fixture
def said(history):
    """A function that advises and returns what a person reads."""
    return lambda **options: "\n".join(sentences(advise(history.study, **options)))


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_with_few_rounds_how_far_a_target_is_away_cannot_be_told(history, said, rounds):
    history.grow(RISING[:rounds], seconds=TIMES)
    text = said(target=0.9)
    assert "reached already" not in text
    assert (
        "How far a Dice of 0.9 is away can't be told yet: too few rounds with a Dice "
        f"({rounds} of at least 4)."
    ) in text
    assert advise(history.study, target=0.9).to_dict()["measured"]["target"]["units"] is None


def test_rounds_on_the_same_labels_cannot_tell_how_far_a_target_is_away(history, said):
    history.grow([0.5])
    for dice in (0.51, 0.52, 0.5):
        history.train(dice)
    assert "too few rounds with different numbers of volumes" in said(target=0.9)


def test_a_flat_curve_reaches_no_target_at_any_end_of_the_interval(history, said):
    history.grow([0.4] * 4, seconds=TIMES)
    history.add(2)
    text = said(target=0.6)
    assert "By the fit a Dice of 0.6 isn't reached with more volumes.\n" in text
    assert "0 volumes more" not in text


def test_the_minutes_to_a_target_are_the_volumes_left_at_the_measured_pace(history):
    history.grow(RISING, seconds=TIMES)
    target = advise(history.study, target=0.8).measured.target
    assert 1 < target.units < 4 and target.interval[0] <= target.units <= target.interval[1]
    assert target.minutes == pytest.approx(target.units * 270 / 60)


@pytest.mark.parametrize(
    "dices, points", [([0.4] * 4, "+0.0"), ([0.5, 0.6, 0.65, 0.675, 0.6875, 0.69375], "+0.3")]
)
def test_a_small_gain_is_said_to_be_small_until_the_rule_has_fired_twice(history, dices, points):
    history.grow(dices)
    history.add(5)
    advice = advise(history.study)
    assert (advice.next, advice.reason) == (
        "volumes",
        f"Little is expected of 2 more volumes ({points} Dice points); one more round will tell.",
    )


@pytest.mark.parametrize("rounds", [4, 6])
@pytest.mark.parametrize("unlabeled", [0, 5])
def test_where_the_dice_fell_the_newest_labels_are_looked_at_first(history, rounds, unlabeled):
    history.grow([0.7, 0.68, 0.66, 0.65, 0.64, 0.63][:rounds])
    history.add(unlabeled)
    advice = advise(history.study)
    assert advice.next == "quality" and "saturated" not in advice.reason
    assert advice.reason.startswith("The Dice fell as volumes were added, from 0.700 to 0.6")
    assert "look whether the newest labels are right" in advice.reason
    case = history.study.case("c00")
    history.study.add_repeat(case, structures(), Annotation({"axial": (4, 6, 8, 9)}))
    checked = advise(history.study)
    assert checked.next != "quality", "the labels were found to be good"
    assert "saturated" not in checked.reason


def test_poor_labels_are_mended_before_the_first_training(history):
    case = history.label(history.add(2)[0]).case
    assert advise(history.study).next == "train"
    again = Annotation({"axial": (4, 6, 8)})
    history.study.add_repeat(history.study.case(case), structures(shift=3), again)
    advice = advise(history.study)
    assert advice.next == "quality" and "More careful labels come before" in advice.reason
    history.study.exclude(history.study.case(case))
    assert "More careful" not in advise(history.study).reason, "it doesn't count any more"


def test_a_dice_that_only_scatters_did_not_fall(history):
    history.grow([0.71, 0.69, 0.705, 0.695, 0.7])
    history.add(2)
    assert advise(history.study).next != "quality"


def test_labels_that_no_round_has_trained_on_come_into_a_round_before_more_are_made(history, said):
    history.grow([0.5, 0.6, 0.65, 0.675], seconds=TIMES)
    fresh = history.add(4)
    history.label(fresh[0], [3, 5])
    text = said()
    assert text.startswith("Next: more volumes.")
    assert "\n1 new volume (2 slices) was labeled since round 4.\n" in text
    assert "With 2 volumes more than the rounds had the Dice" in text
    history.label(fresh[1], [3, 5])
    assert said().startswith(
        "Next: train. 2 new volumes (4 slices) were labeled since round 4, as much as usually "
        "comes with a round: train before you label more."
    )
    history.train(0.69)
    assert "since round" not in said()
    history.label(fresh[0])
    assert "14 more slices were labeled since round 5." in said()
    history.label(fresh[0])
    history.label(history.study.case("c00"), [4])
    assert advise(history.study).measured.untrained.volumes == 0


def test_the_last_labels_of_a_pool_and_corrected_ones_are_trained_on_before_it_says_stop(history):
    history.grow(SATURATED)
    assert advise(history.study).next == "stop"
    history.label(history.add(1)[0])
    advice = advise(history.study)
    assert advice.next == "train" and "nothing is left to label" in advice.reason
    other = History(history.images.parent / "other")
    other.grow([0.7, 0.68, 0.66, 0.65])
    other.add(1)
    other.label(other.study.case("c07"))
    advice = advise(other.study)
    assert advice.next == "train" and advice.reason == (
        "The Dice fell, but 1 labeled volume was changed since round 4: train to see if it helps."
    )


def test_labels_made_since_the_last_round_count_towards_a_target(history, said):
    history.grow([0.5, 0.6, 0.65, 0.675], seconds=TIMES)
    fresh = history.add(6)
    before = advise(history.study, target=0.69).measured.target
    assert "about 3 volumes more (95 % interval 1 to never)" in said(target=0.69)
    history.label(fresh[0])
    after = advise(history.study, target=0.69).measured.target
    assert (before.units, after.units) == (3, 2)
    assert after.minutes == pytest.approx(after.units * 270 / 60) and after.untrained == 1
    text = said(target=0.69)
    assert "(95 % interval 0 to never) besides those labeled since round 4" in text
    for case in fresh[1:4]:
        history.label(case)
    text = said(target=0.69)
    assert "By the fit the labels made since round 4 are enough for a Dice of 0.69" in text
    assert "reached already" not in text


def test_labels_to_validate_on_are_trained_with_once_they_are_there(history):
    history.grow([None], per_round=2)
    assert advise(history.study).next == "validate"
    for case in history.add(2):
        history.label(case)
    assert advise(history.study).next == "validate"
    held_out, = history.add(1, role="validation")
    history.label(held_out)
    assert advise(history.study).next == "train"
    other = History(history.images.parent / "other")
    other.grow([None])
    for case in other.add(3):
        other.label(case)
    assert advise(other.study).next == "train"


def test_the_sigma_rule_compares_p_scores_of_the_same_plane_only(history, said):
    history.grow(RISING)
    for number, mean in enumerate((0.8, 0.801, 0.802), start=1):
        note_p_score(history.study, number, mean, "axial")
    note_p_score(history.study, 3, 0.6, "coronal")
    note_p_score(history.study, 4, 0.803, "coronal")
    text = said()
    assert "The sigma rule says go on: the mean P-score of coronal slices changed by 0.203" in text
    assert "against the advice" not in text
