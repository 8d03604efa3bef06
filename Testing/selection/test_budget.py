"""The pace of labeling, the slices that show everything, and the plan of an hour."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.selection.budget import plan_budget
from ActiveSegLoopLib.selection.pace import cover, measure_pace, slices_needed
from ActiveSegLoopLib.study import Annotation
from Testing.selection.synthetic import GRID, structures

visible = st.integers(1, 4).flatmap(
    lambda labels: st.lists(
        st.lists(st.booleans(), min_size=labels, max_size=labels), min_size=1, max_size=12
    )
).map(lambda rows: np.array(rows, bool))


@given(visible, st.integers(1, 4))
def test_the_chosen_slices_show_every_structure_often_enough(shown, minimum):
    chosen = cover(shown, minimum)
    assert len(set(chosen)) == len(chosen)
    enough = np.minimum(shown.sum(axis=0), minimum)
    assert (shown[chosen].sum(axis=0) >= enough).all()
    assert len(chosen) <= enough.sum()


def test_slices_that_show_two_structures_are_chosen_first_and_spread():
    shown = np.zeros((20, 2), bool)
    shown[2:18, 0] = True
    shown[10:14, 1] = True
    assert len(cover(shown, 3)) == 3 and set(cover(shown, 3)) <= set(range(10, 14))
    spread = cover(shown[:, :1], 3)
    assert min(np.diff(spread)) >= 6


def test_the_pace_counts_seconds_per_slice_that_shows_the_structure(history):
    history.label(history.add(1)[0], seconds={"ball": 220, "rod": 50})
    history.label(history.add(1)[0], [9, 10], seconds={"ball": 40})
    history.label(history.add(1)[0])
    pace = measure_pace(history.study)
    assert (pace.origin, pace.revisions) == ("all", 2)
    balls = 11 + 2  # slices 2 to 12 of one volume, 2 of the other
    assert pace.structures == pytest.approx({"ball": 260 / balls, "rod": 50 / 5})
    assert pace.per_slice == pytest.approx(310 / 18) and pace.per_volume == 155


def test_the_pace_of_correcting_counts_once_there_is_enough_of_it(history):
    for seconds in (100, 100, 10, 10):
        origin = "manual" if seconds == 100 else "corrected"
        history.label(history.add(1)[0], seconds={"rod": seconds}, origin=origin)
    assert measure_pace(history.study).origin == "all"
    history.label(history.add(1)[0], seconds={"rod": 10}, origin="corrected")
    pace = measure_pace(history.study)
    assert pace.origin == "corrected" and pace.structures["rod"] == 2


def test_the_slices_needed_come_from_the_labeled_volumes(history):
    need = slices_needed(history.study)
    assert (need.cases, need.slices) == (0, 6), "as if no slice showed both"
    history.label(history.add(1)[0])
    need = slices_needed(history.study)
    assert (need.cases, need.slices) == (1, 3), "slices 9 to 12 show both"
    assert need.hits == {"ball": 3, "rod": 3}
    assert need.shares == pytest.approx({"ball": 11 / 16, "rod": 5 / 16, "": 12 / 16})


def test_a_structure_that_was_looked_for_and_is_nowhere_gets_no_time(history):
    without = structures().array
    without[without == 2] = 0
    case, other = history.add(2)
    history.study.add_revision(
        case, Volume(without, GRID), Annotation(classes=("ball",)), seconds={"ball": 220}
    )
    plan = plan_budget(history.study, 60)
    assert plan.rows[0].structures["rod"] > 0
    assert "No label shows rod: planned as if on every slice." in plan.notes
    history.study.add_revision(case, Volume(without, GRID), seconds={"ball": 220, "rod": 100})
    plan = plan_budget(history.study, 60)
    assert plan.rows[0].case == other.name and plan.rows[0].structures["rod"] == 0
    assert "No time is planned for rod: looked for, and in no labeled volume." in plan.notes


def test_an_hour_is_spread_over_as_many_volumes_as_it_allows(history):
    history.label(history.add(1)[0], seconds={"ball": 2200, "rod": 1500})
    fresh = [case.name for case in history.add(8)]
    # 200 s a slice of the ball, 300 s of the rod: 3 slices of both take 25 min.
    plan = plan_budget(history.study, 60)
    assert [row.case for row in plan.rows] == fresh[:2]
    assert [row.minutes >= 25 for row in plan.rows] == [True, True]
    assert all(row.structures["rod"] >= 3 for row in plan.rows)
    assert 55 < plan.planned_minutes <= 60
    assert abs(plan.rows[0].slices - plan.rows[1].slices) <= 1
    longer = plan_budget(history.study, 26 * 8)
    assert [row.case for row in longer.rows] == fresh


@settings(max_examples=30, deadline=None)
@given(st.floats(1, 500))
def test_a_plan_never_takes_longer_than_the_budget(budgeted, minutes):
    plan = plan_budget(budgeted, minutes)
    assert plan.planned_minutes <= minutes + 1e-6
    slices = [row.slices for row in plan.rows]
    assert all(1 <= n <= 16 for n in slices)
    assert not slices or max(slices) - min(slices) <= 1


@pytest.fixture(scope="module")
def budgeted(tmp_path_factory):
    """A study with a pace and unlabeled cases, which planning doesn't change."""
    from Testing.selection.synthetic import History

    history = History(tmp_path_factory.mktemp("budgeted"))
    history.label(history.add(1)[0], seconds={"ball": 2200, "rod": 1500})
    history.add(6)
    return history.study


def test_other_patients_come_before_more_of_the_same_and_proposals_before_both(history):
    labeled, = history.add(1, group="anna")
    history.label(labeled, seconds={"ball": 110})
    same, = history.add(1, group="anna")
    other, third = (history.add(1)[0] for _ in range(2))
    plan = plan_budget(history.study, 60)
    assert [row.case for row in plan.rows] == [other.name, third.name, same.name]
    assert [row.reason for row in plan.rows][2] == "more of a patient"
    plan = plan_budget(history.study, 60, first=[third.name, same.name])
    assert [row.case for row in plan.rows] == [third.name, same.name, other.name]


def test_too_short_a_budget_is_said_to_be_too_short(history):
    history.label(history.add(1)[0], seconds={"ball": 2200, "rod": 1500})
    history.add(1)
    plan = plan_budget(history.study, 10)
    assert len(plan.rows) == 1 and plan.rows[0].slices == 1
    assert any("10 are too few to show every structure 3 times" in note for note in plan.notes)
    assert plan_budget(history.study, 1).rows == ()
    assert any("1 timed label only" in note for note in plan.notes)


def test_when_all_volumes_have_labels_those_with_the_fewest_slices_come_first(history):
    for slices in ([3, 5, 7, 9], [4, 9], None):
        history.label(history.add(1)[0], slices, {"ball": 100, "rod": 10})
    plan = plan_budget(history.study, 10)
    assert [row.case for row in plan.rows] == ["c01", "c00"], "c02 is complete"
    assert plan.rows[0].reason == "2 of 16 slices are labeled"
    fresh, = history.add(1)
    assert plan_budget(history.study, 10).rows[0].case == fresh.name
    assert fresh.name not in [r.case for r in plan_budget(history.study, 10, deepen=True).rows]


def test_what_time_the_unlabeled_cases_leave_goes_to_the_partly_labeled_ones(history):
    history.label(history.add(1)[0], [3, 9, 10, 11], {"ball": 240, "rod": 180})
    history.label(history.add(1)[0])
    fresh, = history.add(1)
    plan = plan_budget(history.study, 60)
    assert [row.case for row in plan.rows] == [fresh.name, "c00"]
    assert plan.rows[1].reason == "4 of 16 slices are labeled" and plan.rows[1].slices == 12
    assert "these are all the slices there are to label" in plan.notes[-1]
    short = plan_budget(history.study, plan.rows[0].minutes - 0.5)
    assert [row.case for row in short.rows] == [fresh.name]
    assert not any("are left" in note for note in short.notes)


def test_a_volume_of_one_slice_is_not_said_to_show_a_structure_three_times(history):
    history.label(history.add(1)[0], [10])
    note, = plan_budget(history.study).notes
    assert "1 well-chosen slice per volume shows every structure 3 times, or as often as" in note
    history.label(history.add(1)[0])
    history.label(history.add(1)[0])
    note, = plan_budget(history.study, minimum=1).notes
    assert "1 well-chosen slice per volume shows every structure 1 time." in note


def test_without_times_or_cases_the_plan_says_what_is_missing(history):
    assert "No labeling time" in plan_budget(history.study).notes[0]
    history.label(history.add(1)[0])
    assert "No labeling time" in plan_budget(history.study).notes[0]
    history.label(history.study.case("c00"), seconds={"ball": 60})
    assert "labeled completely" in plan_budget(history.study).notes[0]
    for minutes in (0, -5, float("nan"), float("inf")):
        with pytest.raises(SelectionError, match="minutes above 0"):
            plan_budget(history.study, minutes)
