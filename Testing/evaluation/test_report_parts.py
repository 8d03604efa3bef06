"""Tables, charts and the choice of slices for a report."""

import math

import numpy as np
import pytest
from matplotlib.image import imread

from ActiveSegLoopLib.evaluation.comparison import compare_segmentations
from ActiveSegLoopLib.evaluation.overlap import Overlap
from ActiveSegLoopLib.evaluation.reporting.charts import box_plots, chart_name, drawing, time_bars
from ActiveSegLoopLib.evaluation.reporting.scores import Scored, Truth
from ActiveSegLoopLib.evaluation.reporting.surface_pairs import (
    LABELS_MODEL,
    ComparedPair,
    Pair,
)
from ActiveSegLoopLib.evaluation.reporting.surface_tables import surface_summary
from ActiveSegLoopLib.evaluation.reporting.table import (
    Column,
    Table,
    between,
    duration_text,
    number,
    p_text,
    spread,
    words,
)
from ActiveSegLoopLib.evaluation.reporting.worst import rank, slices_that_show
from ActiveSegLoopLib.evaluation.views import view
from ActiveSegLoopLib.images.segmentation import Segment
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study import Case
from Testing.evaluation.report_study import GRID, LIVER, VEIN, moved, truth


def a_case(name):
    return Case(name, "test", name, (), GRID, "")


def scored(name, **dice):
    """A case with these Dice in %, None where a structure is absent."""
    overlaps = {
        id: Overlap(0, 0, 0, 1.0) if value is None else Overlap(100, 100, value, 1.0)
        for id, value in dice.items()
    }
    return Scored(1, Truth(a_case(name), None, "manual", ()), overlaps)


def test_a_table_shows_escaped_texts_and_writes_all_digits():
    rows = [{"name": 'a<b>,"c"', "mean": 1 / 3, "sd": math.nan, "n": 2},
            {"name": "d", "mean": -0.001, "sd": 0.25, "n": 3}]
    table = Table("t", "A & B", rows, [
        words("name", "name"), spread("mean", "sd", "mean ± SD"), number("n", "n", 0),
        Column("both", lambda row: "<i>"),
    ], ["note <"])
    page = table.html()
    assert "a&lt;b&gt;,&quot;c&quot;" in page and "A &amp; B" in page and "note &lt;" in page
    assert "<i>" not in page and ">0.33<" in page and ">0.00 ± 0.25<" in page
    assert table.csv().splitlines() == [
        "name,mean,sd,n", f'"a<b>,""c""",{1 / 3!r},,2', "d,-0.001,0.25,3",
    ]
    assert Table("t", "", []).csv() == "\n"


@pytest.mark.parametrize("p, text", [(0.0004, "< 0.001"), (0.0414, "0.041"), (math.nan, "–"),
                                     (None, "–"), (1.0, "1.000")])
def test_p_values_are_written_as_journals_do(p, text):
    assert p_text(p) == text


def test_durations_are_minutes_and_seconds():
    assert [duration_text(s) for s in (9.96, 59.94, 2468, 8946, math.nan)] == [
        "10.0 s", "59.9 s", "41 min 8 s", "149 min 6 s", "–",
    ]


def test_an_interval_without_an_end_isnt_shown():
    column = between("low", "high", "")
    assert column.text({"low": -0.5, "high": 0.25}) == "−0.50 to 0.25"
    assert column.text({"low": math.nan, "high": 0.25}) == "–"


def test_cases_are_ranked_by_their_mean_over_the_structures_that_are_there():
    ranked = rank([scored("a", liver=90, vein=50), scored("b", liver=60, vein=None),
                   scored("c", liver=None, vein=None), scored("d", liver=99, vein=12)])
    assert [(entry.case, entry.worst) for entry in ranked] == [
        ("d", "vein"), ("b", "liver"), ("a", "vein"),
    ]
    assert [entry.mean for entry in ranked] == pytest.approx([0.555, 0.6, 0.7])


def test_the_slices_that_show_an_error_hold_most_of_it_in_every_plane():
    labels = truth(0)
    wrong = labels.array.copy()
    wrong[4, 2:6, 15:20] = LIVER
    prediction = labels.with_array(wrong)
    at = slices_that_show(labels, prediction, LIVER)
    for plane, index in at.items():
        shot = view(labels, plane, index)
        here = (shot.of(labels) != shot.of(prediction)).sum()
        n = GRID.shape[GRID.axis_of(plane)]
        assert here == max(
            (view(labels, plane, i).of(labels) != view(labels, plane, i).of(prediction)).sum()
            for i in range(n)
        )
    assert set(at) == {"axial", "coronal", "sagittal"}
    assert slices_that_show(labels, prediction, VEIN) == {}
    nowhere = np.zeros(GRID.shape, bool)
    assert slices_that_show(labels, prediction, LIVER, nowhere) == {}


def test_spread_within_a_case_and_across_cases_are_kept_apart():
    compared = []
    for name, shift in (("a", 1), ("b", 3)):
        found = compare_segmentations(truth(0), moved(truth(0), shift), {LIVER: "liver"})
        compared.append(ComparedPair(Pair(LABELS_MODEL, a_case(name), None, None),
                                     {"liver": found[0]}))
    row = surface_summary(compared, {"liver": "liver"}, 2.0).rows[0]
    stats = [entry.structures["liver"].surface.symmetric for entry in compared]
    assert row["rms_mean"] == pytest.approx(np.mean([s.rms for s in stats]))
    assert row["rms_sd_across_cases"] == pytest.approx(np.std([s.rms for s in stats], ddof=1))
    assert row["sd_within_cases"] == pytest.approx(np.mean([s.sd for s in stats]))
    assert row["points"] == sum(s.count for s in stats)
    assert surface_summary([], {"liver": "liver"}, 2.0) is None


def test_an_undefined_surface_is_counted_and_no_part_of_a_mean():
    empty = Volume(np.zeros(GRID.shape, np.uint8), GRID)
    found = compare_segmentations(truth(0), empty, {LIVER: "liver"})
    pair = ComparedPair(Pair(LABELS_MODEL, a_case("a"), None, None), {"liver": found[0]})
    row = surface_summary([pair], {"liver": "liver"}, 2.0).rows[0]
    assert (row["n"], row["undefined"], row["judged"]) == (0, 1, 0)
    assert math.isnan(row["rms_mean"]) and row["surface_dice"] == 0


def test_names_that_charts_cant_draw_are_replaced_by_the_id():
    assert chart_name("liver", "id") == "liver"
    assert chart_name("\U0001f9ff", "id") == "id"
    assert chart_name("_hidden", "id").endswith("_hidden")
    assert len(chart_name("x" * 100, "id")) == 32


@pytest.mark.filterwarnings("error")
def test_charts_are_drawn_of_few_and_many_cases_and_of_none(tmp_path):
    values = {
        "a": {"round 1": [0.5, math.nan], "round 2": np.linspace(0.2, 0.9, 7)},
        "$b$_{": {"round 1": [math.nan], "round 2": [0.0, 1.0]},
    }
    with drawing():
        box_plots(values, [Segment("a", 1, "a", (1.0, 0.0, 0.0))], tmp_path / "boxes.png")
        time_bars([("a", 600.0, math.nan), ("$x", 60.0, 30.0)], tmp_path / "bars.png", "case")
    for name in ("boxes.png", "bars.png"):
        assert imread(tmp_path / name)[..., :3].std() > 0.02
    red = imread(tmp_path / "boxes.png")[..., :3]
    assert ((red[..., 0] > 0.6) & (red[..., 1] < 0.3)).sum() > 100
