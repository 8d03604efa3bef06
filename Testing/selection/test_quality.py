"""How good labels are, by repeats, and interpolation, by leaving slices out."""

import math

import numpy as np
import pytest

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.evaluation.overlap import iou
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.selection.between_slices import (
    interpolated,
    largest_good_gap,
    leave_slices_out,
    measured_on,
    quality_by_gap,
)
from ActiveSegLoopLib.selection.pooling import pooled_iou
from ActiveSegLoopLib.selection.quality import label_quality
from ActiveSegLoopLib.study import Annotation
from Testing.selection.synthetic import GRID, structures


def test_slices_are_pooled_and_structures_averaged():
    common, union = [[8, 0], [1, 0], [0, 0]], [[10, 0], [2, 4], [0, 0]]
    pooled = pooled_iou(common, union)
    assert pooled.iou == pytest.approx((9 / 12 + 0) / 2) and pooled.slices == 2
    assert math.isnan(pooled.interval[0]), "two slices say nothing of the spread"
    assert pooled_iou([[0]], [[0]]).slices == 0 and math.isnan(pooled_iou([], []).iou)


def test_the_interval_holds_the_iou_and_shrinks_with_more_slices():
    random = np.random.default_rng(0)
    union = random.integers(50, 150, 400)
    common = np.round(union * random.uniform(0.7, 1, 400))
    few, many = pooled_iou(common[:8], union[:8]), pooled_iou(common, union)
    for pooled in (few, many):
        assert pooled.interval[0] < pooled.iou < pooled.interval[1]
    assert np.ptp(many.interval) < 0.3 * np.ptp(few.interval)


def test_quality_is_the_iou_of_the_repeated_slices_only(history):
    case = history.add(1)[0]
    history.label(case, range(2, 14))
    assert not label_quality(history.study).is_measured
    first, second = structures(), structures(shift=1)
    spoiled = second.array.copy()
    spoiled[0:4] = 1  # not among what is repeated
    history.study.add_repeat(
        case, Volume(spoiled, GRID), Annotation({"axial": (0, 6, 8, 10)})
    )
    quality = label_quality(history.study)
    rows = [6, 8, 10]
    assert quality.overall.slices == 3 and quality.is_measured and quality.is_good is False
    for id, value in (("ball", 1), ("rod", 2)):
        expected = iou(first.array[rows], spoiled[rows], value)
        assert quality.structures[id].iou == pytest.approx(expected)
    assert quality.worst == "ball"


def test_repeats_of_several_cases_and_planes_count_every_voxel_once(history):
    for case in history.add(2):
        history.label(case)
        history.study.add_repeat(
            case, structures(), Annotation({"axial": (6, 10), "coronal": (5, 6)})
        )
    quality = label_quality(history.study)
    assert quality.overall.iou == 1 and quality.is_good and quality.overall.slices == 8


def test_a_class_that_was_not_repeated_stays_unknown(history):
    case = history.add(1)[0]
    history.label(case)
    history.study.add_repeat(case, structures(1), Annotation({"axial": (5, 7, 9, 10)}, ("ball",)))
    quality = label_quality(history.study)
    assert math.isnan(quality.structures["rod"].iou) and quality.worst == "ball"
    assert quality.overall.iou == quality.structures["ball"].iou


def test_labels_that_were_changed_since_they_were_repeated_do_not_count(history):
    case = history.add(1)[0]
    history.label(case)
    bad = structures(shift=3)
    history.study.add_repeat(case, bad, Annotation({"axial": (4, 6, 7, 8)}))
    assert label_quality(history.study).is_good is False
    better = structures().array
    better[4] = structures(shift=1).array[4]
    history.study.add_revision(case, Volume(better, GRID))
    quality = label_quality(history.study)
    assert quality.overall.slices == 3, "slice 4 was labeled anew"
    history.study.add_revision(case, structures(shift=1))
    assert not label_quality(history.study).is_measured


def test_of_a_slice_labeled_a_third_time_the_newest_labels_count(history):
    case = history.add(1)[0]
    history.label(case)
    rows = Annotation({"axial": (5, 7, 8, 10)})
    history.study.add_repeat(case, structures(shift=3), rows)
    history.study.add_repeat(case, structures(), Annotation(rows.slices, ("ball",)))
    quality = label_quality(history.study)
    assert quality.structures["ball"].iou == 1 and quality.structures["ball"].slices == 4
    assert quality.structures["rod"].slices == 1, "it was repeated once, in slice 10"


def tall(slices=33):
    """Labels that hardly change from slice to slice, and such that do."""
    z, y, x = np.indices((slices, 30, 30))
    smooth = np.hypot(y - 15, x - 8) <= 6 + z / 40
    rough = np.hypot(y - 15, x - 22 - 2 * (z % 2)) <= 3
    return np.where(smooth, 1, np.where(rough, 2, 0)).astype(np.uint8)


def test_leaving_slices_out_tells_which_gaps_are_safe():
    array = tall()
    smooth = quality_by_gap(leave_slices_out(array, range(33), 0, (2.0, 1, 1), [1]))
    assert [gap.gap_mm for gap in smooth] == [4, 8, 16, 32]
    assert all(gap.is_good for gap in smooth)
    assert largest_good_gap(smooth).gap_mm == 32
    rough = quality_by_gap(leave_slices_out(array, range(33), 0, (2.0, 1, 1), [2]))
    assert rough[0].measured.iou < 0.9 and largest_good_gap(rough) is None


def test_few_slices_left_out_do_not_make_interpolation_safe():
    few = quality_by_gap(leave_slices_out(tall(3), range(3), 0, (2.0, 1, 1), [1]))
    assert few[0].measured.slices == 1 and not few[0].is_good
    assert largest_good_gap(few) is None and largest_good_gap([]) is None


def test_the_study_measures_interpolation_on_its_own_labels(history):
    history.label(history.add(1, role="test")[0])
    assert measured_on(history.study) == [], "test cases aren't looked at"
    history.label(history.add(1)[0], [3, 4])
    assert measured_on(history.study) == []
    history.label(history.add(1)[0], [4, 5, 6, 7, 8])
    gaps = measured_on(history.study)
    assert [gap.gap_mm for gap in gaps] == [8, 16]
    assert gaps[0].measured.slices == 3 and gaps[1].measured.slices == 1


def test_labels_are_interpolated_only_where_that_was_measured_to_be_good(history):
    case = history.add(1)[0]
    revision = history.label(case, [4, 6, 8])
    good = quality_by_gap(leave_slices_out(tall(), range(33), 0, (2.0, 1, 1), [1]))
    found = interpolated(history.study, revision, good)
    stored = history.study.labelmap(revision).array
    assert np.array_equal(found.array[[4, 6, 8]], stored[[4, 6, 8]])
    assert iou(stored[5:8:2], found.array[5:8:2], 1) > 0.8
    with pytest.raises(SelectionError, match="8.0 mm apart.*measured to be good .90% IoU. for no"):
        interpolated(history.study, revision, [])
    with pytest.raises(SelectionError, match="for gaps up to 4.0 mm only"):
        interpolated(history.study, revision, good[:1])
    with pytest.raises(SelectionError, match="1 axial slice.*at least two"):
        interpolated(history.study, history.label(history.add(1)[0], [4]), good)
