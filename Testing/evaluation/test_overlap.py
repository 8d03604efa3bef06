"""Overlap metrics, their NaN rules and masks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.evaluation.overlap import (
    compare_labels,
    count_overlap,
    dice,
    dice_per_label,
    iou,
    mean_dice,
    summarize,
)
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume

NAMES = {1: "artery", 2: "vein"}


def line(*values):
    return np.array(values, dtype=np.uint8).reshape(1, 1, -1)


def test_dice_and_iou_are_the_ratios_of_the_definition():
    truth, prediction = line(1, 1, 1, 0, 2), line(0, 1, 1, 1, 2)
    assert dice(truth, prediction, 1) == 2 * 2 / (3 + 3)
    assert iou(truth, prediction, 1) == 2 / 4
    assert dice(truth, prediction, 2) == 1


def test_a_structure_absent_from_both_is_undefined_and_left_out_of_the_mean():
    scores = dice_per_label(line(1, 0), line(1, 0), NAMES)
    assert scores["artery"] == 1
    assert math.isnan(scores["vein"])
    assert mean_dice(scores) == 1
    assert math.isnan(mean_dice({"vein": math.nan}))


def test_a_structure_that_is_predicted_but_absent_scores_0_and_its_volume_is_reported():
    grid = Geometry((1, 1, 4), (2.0, 5.0, 10.0))
    truth, prediction = Volume(line(1, 1, 0, 0), grid), Volume(line(1, 1, 2, 2), grid)
    vein = compare_labels(truth, prediction, NAMES)["vein"]
    assert vein.dice == 0
    assert vein.truth_ml == 0
    assert vein.false_positive_ml == vein.predicted_ml == pytest.approx(0.2)


def test_only_voxels_under_the_mask_count():
    truth, prediction = line(1, 1, 0, 0), line(1, 0, 1, 0)
    mask = line(1, 0, 0, 1).astype(bool)
    assert dice(truth, prediction, 1, mask) == 1
    assert math.isnan(dice(truth, prediction, 1, line(0, 0, 0, 1)))


def test_each_class_can_have_its_own_mask_and_one_without_wasnt_annotated():
    truth, prediction = line(1, 1, 2, 2), line(1, 2, 2, 2)
    everywhere = np.ones(truth.shape, bool)
    scores = dice_per_label(truth, prediction, NAMES, {1: line(1, 0, 1, 1), 2: everywhere})
    assert scores == {"artery": 1.0, "vein": pytest.approx(2 * 2 / 5)}
    only_vein = dice_per_label(truth, prediction, NAMES, {2: everywhere})
    assert math.isnan(only_vein["artery"])
    assert only_vein["vein"] == scores["vein"]


def test_label_maps_on_different_grids_are_refused_in_words():
    with pytest.raises(ImageError, match="prediction has .* but the truth"):
        dice(line(1), line(1, 1), 1)
    with pytest.raises(ImageError, match="mask has"):
        dice(line(1, 1), line(1, 1), 1, line(1))
    one, other = Geometry((1, 1, 2), (1, 1, 1)), Geometry((1, 1, 2), (1, 1, 2))
    with pytest.raises(ImageError, match="spacing"):
        compare_labels(Volume(line(1, 1), one), Volume(line(1, 1), other), NAMES)


LABELMAPS = arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 2))


@given(LABELMAPS, LABELMAPS)
def test_dice_is_symmetric_and_follows_from_iou(truth, prediction):
    for value in NAMES:
        score = dice(truth, prediction, value)
        other = iou(truth, prediction, value)
        if math.isnan(score):
            assert math.isnan(other) and not (truth == value).any()
            continue
        assert 0 <= score <= 1
        assert score == dice(prediction, truth, value)
        assert score == pytest.approx(2 * other / (1 + other))
        assert dice(truth, truth, value) == 1 or not (truth == value).any()


@given(LABELMAPS, LABELMAPS, arrays(bool, (3, 4, 5)))
def test_a_mask_and_its_complement_count_every_voxel_once(truth, prediction, mask):
    whole = count_overlap(truth, prediction, 1)
    parts = [count_overlap(truth, prediction, 1, m) for m in (mask, ~mask)]
    for field in ("truth_voxels", "predicted_voxels", "common_voxels"):
        assert getattr(whole, field) == sum(getattr(part, field) for part in parts)


def test_a_summary_has_the_samples_spread_of_the_defined_values():
    summary = summarize([0.2, math.nan, 0.4, 0.9])
    assert (summary.mean, summary.count) == (pytest.approx(0.5), 3)
    assert summary.sd == pytest.approx(np.std([0.2, 0.4, 0.9], ddof=1))
    assert math.isnan(summarize([0.5]).sd)
    assert summarize([math.nan]).count == 0
