"""Labeling time: pauses, and by hand against corrected."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ActiveSegLoopLib.evaluation.timing import (
    CORRECTED,
    MANUAL,
    SLICE,
    active_seconds,
    compare_times,
    labeling_times,
)
from ActiveSegLoopLib.study import Annotation, Revision
from ActiveSegLoopLib.study.repeats import Repeat


def a_revision(case, origin="manual", slices=None, number=1, **seconds):
    """A revision with these times; nothing else of it matters here."""
    annotation = Annotation(slices)
    return Revision(
        case=case, number=number, parent=None, origin=origin, model_round=None, annotator=None,
        annotation=annotation, annotations=(annotation,), sha256="", created="", path=Path(),
        seconds=seconds, voxels={},
    )


def test_a_pause_longer_than_the_limit_isnt_work():
    assert active_seconds([0, 10, 30, 90]) == 90
    assert active_seconds([0, 10, 30, 91]) == 30
    assert active_seconds([100, 5000, 5010, 90]) == 20
    assert active_seconds([0, 10, 30], idle_limit=15) == 10


def test_one_edit_or_none_takes_no_time():
    assert active_seconds([]) == active_seconds([1234.5]) == 0


def test_times_that_arent_numbers_are_refused():
    with pytest.raises(ValueError, match="finite"):
        active_seconds([0, math.nan])


@given(st.lists(st.floats(0, 1e6), max_size=20), st.floats(0, 1e4))
def test_active_time_never_exceeds_the_session_and_doesnt_depend_on_the_order(times, limit):
    seconds = active_seconds(times, limit)
    assert 0 <= seconds <= (max(times) - min(times) if times else 0) + 1e-6
    assert seconds == active_seconds(times[::-1], limit)
    assert active_seconds(times, math.inf) >= seconds


def test_kims_second_table_comes_out_with_its_totals_and_ratio():
    manual = dict(artery=41 * 60 + 8, vein=35 * 60 + 1, ureter=24 * 60 + 23,
                  parenchyma=26 * 60 + 26, rcc=22 * 60 + 8)
    corrected = dict(artery=22 * 60, vein=23 * 60, ureter=5 * 60, parenchyma=18 * 60 + 6, rcc=300)
    times = labeling_times([a_revision("a", **manual), a_revision("b", "corrected", **corrected)])
    table = compare_times(times, list(manual))
    assert table.sum.manual.mean == table.total.manual.mean == 149 * 60 + 6
    assert table.sum.corrected.mean == table.total.corrected.mean == 73 * 60 + 6
    assert table.total.ratio == pytest.approx(73.1 / 149.1)
    assert table.labels["ureter"].ratio == pytest.approx(300 / 1463)
    assert all(map(math.isnan, table.total.interval)), "One case each has no interval."


def test_revisions_of_a_case_add_up_and_cases_are_averaged():
    times = labeling_times([
        a_revision("a", liver=100, spleen=10), a_revision("a", number=2, liver=50),
        a_revision("b", liver=250), a_revision("c", "model", liver=1), a_revision("d"),
    ])
    table = compare_times(times, ["liver", "spleen"])
    assert (table.labels["liver"].manual.mean, table.labels["liver"].manual.count) == (200, 2)
    assert (table.labels["spleen"].manual.mean, table.labels["spleen"].manual.count) == (10, 1)
    assert table.total.manual.mean == (160 + 250) / 2
    assert table.total.corrected.count == 0 and math.isnan(table.total.ratio)


def test_a_second_labeling_has_a_time_by_hand_of_its_own():
    again = [
        Repeat("a", 1, number, None, Annotation(slices), "", "", Path(), {"artery": seconds})
        for number, (slices, seconds) in enumerate([(None, 50.0), ({"axial": (3, 4)}, 8.0)], 1)
    ]
    times = labeling_times([a_revision("a", artery=100.0), a_revision("b", "corrected")], again)
    found = [(t.case, t.origin, t.unit, t.seconds["artery"]) for t in times]
    assert found == [
        ("a", MANUAL, "case", 100), ("a", MANUAL, "case", 50), ("a", MANUAL, SLICE, 4)
    ]


def test_single_slices_are_counted_per_slice_and_never_mixed_with_whole_volumes():
    times = labeling_times([
        a_revision("a", liver=600),
        a_revision("a", number=2, slices={"axial": (1, 2), "coronal": (5,)}, liver=90),
        a_revision("b", "corrected", slices={"axial": (7,)}, liver=12),
    ])
    assert compare_times(times, ["liver"]).total.manual.mean == 600
    slices = compare_times(times, ["liver"], SLICE)
    assert (slices.total.manual.mean, slices.total.corrected.mean) == (30, 12)
    (entry,) = [t for t in times if t.unit == SLICE and t.origin == MANUAL]
    assert entry.amount == 3


def test_the_sum_is_over_labels_that_have_both_times():
    times = labeling_times([
        a_revision("a", liver=100, spleen=40), a_revision("b", "corrected", liver=30),
    ])
    table = compare_times(times, ["liver", "spleen"])
    assert table.labels_summed == ("liver",)
    assert (table.sum.manual.mean, table.sum.corrected.mean) == (100, 30)
    assert table.sum.ratio == 0.3


def test_the_ratio_has_an_interval_when_both_have_three_cases():
    revisions = [a_revision(f"m{i}", liver=100 + i) for i in range(4)]
    revisions += [a_revision(f"c{i}", "corrected", liver=50 + i) for i in range(3)]
    total = compare_times(labeling_times(revisions), ["liver"]).total
    assert 0.48 < total.interval[0] <= total.ratio <= total.interval[1] < 0.54
    assert {t.origin for t in labeling_times(revisions)} == {MANUAL, CORRECTED}
