"""The curve that a study has measured of itself, and the rules that read it."""

import math

import pytest

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.selection.history import (
    P_SCORE,
    learning_curve,
    main_plane,
    note_p_score,
)
from ActiveSegLoopLib.selection.stopping import gain_rule, sigma_rule
from ActiveSegLoopLib.study import Annotation
from Testing.selection.synthetic import GRID, structures

SATURATED = [0.5, 0.62, 0.7, 0.74, 0.745, 0.746, 0.746]
RISING = [0.3, 0.4, 0.5, 0.6, 0.7]


def test_each_round_knows_its_volumes_slices_and_minutes(history):
    history.add(4, role="test")
    history.grow([0.5], per_round=2, slices=[3, 5], seconds={"ball": 60})
    history.grow([0.6], per_round=1, seconds={"ball": 30, "rod": 90})
    again = history.study.cases("pool")[0]
    history.label(again, [5, 7], {"ball": 60}, origin="corrected")
    history.train(0.7)
    one, two, three = learning_curve(history.study).points
    assert (one.volumes, one.slices, one.complete, one.minutes, one.timed) == (2, 4, 0, 2.0, 2)
    assert (two.volumes, two.slices, two.complete) == (3, 4 + GRID.shape[0], 1)
    assert two.minutes == 4.0 and two.structures == {"ball": 0.6, "rod": 0.6}
    assert (three.slices, three.minutes) == (two.slices + 1, 5.0), "slice 5 was labeled before"
    assert [point.dice for point in (one, two, three)] == pytest.approx([0.5, 0.6, 0.7])


def test_rounds_of_another_preset_and_rounds_without_a_dice_are_told_of(history):
    history.grow([0.5])
    history.train(0.4, preset="kim2020")
    history.grow([None, math.nan, 0.6])
    curve = learning_curve(history.study)
    assert [point.round for point in curve.points] == [1, 3, 4, 5]
    assert [point.round for point in curve.known] == [1, 5]
    assert curve.notes[0] == (
        "1 of 5 rounds were trained with another preset than fast and are left out."
    )
    assert curve.notes[1].startswith("Rounds 3, 4 left no Dice behind")


def test_the_dice_compares_on_the_cases_that_all_rounds_share(history):
    history.grow([0.5])
    history.label(history.add(1)[0])
    newest = [history.study.latest(case) for case in history.study.cases("pool")]
    started = history.study.start_round("fast", {}, 0, newest)
    rows = {"v1": {"ball": 0.8, "rod": None}, "v2": {"ball": 0.6, "rod": 0.5},
            "hard": {"ball": 0.1, "rod": 0.1}}
    dice = {"ball": 0.5, "rod": 0.3}
    history.study.finish_round(started, {"validation": rows, "dice": dice, "mean_dice": 0.4}, {})
    curve = learning_curve(history.study)
    assert curve.points[1].structures == pytest.approx({"ball": 0.7, "rod": 0.5})
    assert curve.points[1].dice == pytest.approx(0.6) and curve.cases == 2
    assert "Dice here is that on the 2 that all share" in curve.notes[0]
    history.train(0.9, cases=("other",))
    curve = learning_curve(history.study)
    assert "different cases" in curve.notes[0] and curve.points[1].dice == pytest.approx(0.4)


def test_a_structure_that_later_rounds_began_with_is_no_loss(history):
    history.grow([0.8, 0.84])
    newest = [history.study.latest(case) for case in history.study.cases("pool")]
    for number, dice in ((3, 0.86), (4, 0.87)):
        rows = {name: {"ball": dice, "rod": dice, "tumor": 0.15} for name in ("v1", "v2")}
        started = history.study.start_round("fast", {}, number, newest)
        history.study.finish_round(started, {"validation": rows}, {})
    curve = learning_curve(history.study)
    assert [point.dice for point in curve.points] == pytest.approx([0.8, 0.84, 0.86, 0.87])
    assert curve.points[-1].structures["tumor"] == pytest.approx(0.15)
    assert "structures that all rounds have: without tumor." in curve.notes[-1]


def test_p_scores_are_noted_with_their_round_and_plane(history):
    history.grow([0.5, 0.6])
    for mean, plane in ((0.5, "axial"), (0.6, "coronal"), (0.75, "axial")):
        note_p_score(history.study, 2, mean, plane)
    one, two = learning_curve(history.study).points
    assert one.p_scores == {} and two.p_scores == {"axial": 0.75, "coronal": 0.6}
    assert list(two.p_scores)[-1] == "axial", "the one noted last"
    with pytest.raises(StudyError, match="no round 9"):
        note_p_score(history.study, 9, 0.5, "axial")


def test_p_scores_of_a_former_version_are_read_as_of_no_known_plane(history):
    history.grow([0.5])
    (history.study.round(1).folder / P_SCORE).write_text('{"mean_p_score": 0.7}\n')
    assert learning_curve(history.study).points[0].p_scores == {"": 0.7}
    note_p_score(history.study, 1, 0.8, "axial")
    assert learning_curve(history.study).points[0].p_scores == {"": 0.7, "axial": 0.8}


def test_the_main_plane_is_the_one_with_most_slices(history):
    assert main_plane(history.study) == "axial"
    for plane, indices in (("axial", (1, 2)), ("sagittal", (1, 2, 3))):
        history.study.add_revision(
            history.add(1)[0], structures(), Annotation({plane: indices})
        )
    assert main_plane(history.study) == "sagittal"
    history.study.add_revision(history.add(1)[0], structures())
    assert main_plane(history.study) == "axial", "a whole volume is all of its axial slices"


def test_the_gain_rule_fires_only_twice_running():
    volumes = range(4, 4 + 4 * len(SATURATED), 4)
    ends = [gain_rule(volumes[:n], SATURATED[:n], 4) for n in range(2, len(SATURATED) + 1)]
    assert [rule.fires for rule in ends] == [None, None, False, False, False, True]
    assert "too few to fit" in ends[0].text
    assert "fired once" in ends[4].text and "twice running" in ends[4].text
    assert all(gain < 0.005 for gain in ends[-1].values) and "stop" in ends[-1].text


def test_a_steep_curve_goes_on_and_a_flat_or_falling_one_stops():
    volumes = [2, 4, 6, 8, 10]
    rule = gain_rule(volumes, RISING, 2)
    assert rule.fires is False and 0.03 < rule.values[1] < 0.1
    assert gain_rule(volumes, [0.7] * 5, 2).fires is True
    assert gain_rule(volumes, RISING[::-1], 2).fires is True
    assert gain_rule(volumes[:4], [0.7] * 4, 2).fires is None, "once isn't twice running"
    assert gain_rule(volumes, [math.nan] * 5, 2).fires is None


@pytest.mark.parametrize(
    "means, fires",
    [
        ([], None),
        ([0.8], None),
        ([0.8, 0.801], None),
        ([0.8, 0.9], False),
        ([0.7, 0.8, 0.801], False),
        ([0.8, 0.801, 0.7], False),
        ([0.7, 0.8, 0.801, 0.804], True),
        ([math.nan, 0.8, 0.801, 0.804], True),
        ([0.8, math.nan, 0.801, 0.804], None),  # these are of two rounds running only
        ([0.8, 0.801, 0.804, math.nan], None),  # nothing is known of the newest round
    ],
)
def test_the_sigma_rule_asks_for_two_small_changes_running(means, fires):
    assert sigma_rule(means).fires is fires
