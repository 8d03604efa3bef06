"""The table of the stages of an experiment."""

import math

import pytest

from ActiveSegLoopLib.evaluation.overlap import Overlap
from ActiveSegLoopLib.evaluation.stage_table import TOTAL, Stage, stage_table


def overlap(percent, voxels=100):
    """An Overlap whose Dice is so many percent."""
    return Overlap(voxels, voxels, voxels * percent // 100, voxel_volume=10.0)


NOTHING = Overlap(0, 0, 0, 10.0)
STAGES = [
    Stage("stage I", 4, [{"artery": overlap(40), "carcinoma": NOTHING},
                         {"artery": overlap(50), "carcinoma": overlap(10)}]),
    Stage("stage II", 8, [{"artery": overlap(60), "carcinoma": Overlap(0, 300, 0, 10.0)},
                          {"artery": overlap(70), "carcinoma": overlap(46)}],
          corrected=[{"artery": 0.30, "carcinoma": math.nan, TOTAL: 0.125}]),
]


def test_the_table_has_mean_and_sd_per_structure_and_stage_in_percent():
    lines = [" ".join(line.split()) for line in stage_table(STAGES).splitlines()]
    assert lines[0] == "stage I stage II"
    assert "training cases 4 8" in lines
    assert "artery 45.00 ± 7.07 65.00 ± 7.07" in lines
    assert "total 33.33 ± 20.82 44.00 ± 30.94" in lines  # over all values, absent ones left out


def test_what_was_corrected_is_shown_where_something_was():
    lines = [" ".join(line.split()) for line in stage_table(STAGES).splitlines()]
    below = lines[lines.index("voxels corrected, %"):]
    assert below[1:4] == ["artery – 30.00", "carcinoma – –", "total – 12.50"]
    assert "voxels corrected, %" not in stage_table(STAGES[:1])


def test_structures_found_where_there_are_none_are_listed_with_their_volume():
    assert stage_table(STAGES).splitlines()[-1] == (
        "stage II: carcinoma found in 1 case without any (3.0 ml on average)"
    )
    assert "without any" not in stage_table(STAGES[:1])


def test_columns_line_up():
    lines = [line for line in stage_table(STAGES).splitlines()[:-1] if "±" in line]
    assert len({line.rindex("±") for line in lines}) == 1
    assert len({line.index("±") for line in lines}) <= 2


def test_the_total_weighs_every_value_the_same():
    total = STAGES[0].dice(TOTAL)
    assert total.count == 3
    assert total.mean == pytest.approx((0.4 + 0.5 + 0.1) / 3)
