"""What the plan is told of a case."""

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.regions import Box
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.fingerprint import GAP_MM, fingerprint_case, labeled_boxes
from ActiveSegLoopLib.study import Annotated

GRID = Geometry((40, 30, 60), (2.0, 1.0, 1.5))
ORGANS = [Box((8, 8, 6), (32, 20, 16)), Box((8, 8, 44), (32, 20, 54))]


def organs() -> np.ndarray:
    """Channels: two organs of 48 x 12 x 15 mm, 42 mm apart, one of them with a tumor."""
    channels = np.zeros(GRID.shape, np.uint8)
    for organ in ORGANS:
        channels[organ.slices] = 1
    channels[20:26, 11:15, 46:50] = 2
    return channels


def annotated(*slices, axis=0) -> Annotated:
    """Everything annotated, or only some slices."""
    codes = np.ones(GRID.shape, np.uint8)
    if slices:
        codes[:] = 0
        np.moveaxis(codes, axis, 0)[list(slices)] = 1
    return Annotated(codes, np.array([[False, False], [True, True]]))


def fingerprint(channels, known, images=1):
    volumes = [
        Volume(np.where(channels > 0, 50, -1000).astype(np.float32) * (1 + i), GRID)
        for i in range(images)
    ]
    return fingerprint_case(volumes, np.where(known.any(), channels, 0), known)


def test_it_holds_the_grid_and_every_organs_size_and_volume_in_mm():
    case = fingerprint(organs(), annotated())
    assert (case.shape, case.spacing) == (GRID.shape, GRID.spacing)
    assert case.box_sizes == ((48.0, 12.0, 15.0),) * 2
    assert case.box_volumes == (48 * 12 * 15.0,) * 2


@pytest.mark.parametrize(("slices", "axis"), [((8, 16, 24, 31), 0), ((8, 31), 0), ((9, 18), 1)])
def test_an_organ_with_a_few_labeled_slices_is_one_organ_of_about_its_size(slices, axis):
    case = fingerprint(organs(), annotated(*slices, axis=axis))
    assert len(case.box_sizes) == 2
    for size, volume in zip(case.box_sizes, case.box_volumes):
        np.testing.assert_allclose(size, (48, 12, 15), atol=2 * max(GRID.spacing))
        assert volume == pytest.approx(48 * 12 * 15, rel=0.2)


def test_organs_side_by_side_stay_apart_however_far_apart_the_labeled_slices_are():
    # 46 mm between the slices, 42 mm between the organs.
    boxes = labeled_boxes(organs() * (annotated(8, 31).codes > 0), annotated(8, 31), GRID.spacing)
    assert sorted(boxes, key=lambda box: box.lower) == ORGANS


def test_nothing_is_put_between_slices_of_which_one_shows_no_organ():
    known = annotated(2, 20, 38)
    (left, right) = labeled_boxes(organs() * (known.codes > 0), known, GRID.spacing)
    assert left.shape[0] == right.shape[0] == 1


def test_fully_labeled_parts_are_one_organ_only_where_they_are_close():
    def boxes(gap_mm: float) -> int:
        channels = np.zeros(GRID.shape, np.uint8)
        channels[10:20, 10, 5:10] = 1
        channels[10:20, 10 + 1 + round(gap_mm), 5:10] = 1
        return len(labeled_boxes(channels, annotated(), GRID.spacing))

    assert (boxes(GAP_MM - 1), boxes(GAP_MM + 1)) == (1, 2)


def test_intensities_are_those_of_what_is_annotated():
    channels = organs()
    image = np.zeros(GRID.shape, np.float32)
    image[:20], image[20:] = 100, 900
    known = annotated(*range(12, 18))
    case = fingerprint_case([Volume(image, GRID)], np.where(known.any(), channels, 0), known)
    (values,) = case.intensities
    assert values["foreground_mean"] == values["foreground_high"] == 100
    assert (values["low"], values["high"]) == (100, 900)
    assert values["foreground_std"] > 0, "A constant organ must not divide by zero."


def test_each_channel_has_intensities_of_its_own():
    one, other = fingerprint(organs(), annotated(), images=2).intensities
    assert (one["foreground_mean"], other["foreground_mean"]) == (50, 100)


def test_a_case_without_any_label_has_no_fingerprint():
    assert fingerprint(np.zeros(GRID.shape, np.uint8), annotated()) is None
    assert fingerprint(organs(), annotated(2)) is None


def test_it_holds_the_smallest_part_of_each_label_that_is_annotated_everywhere():
    codes = np.ones(GRID.shape, np.uint8)
    both = Annotated(codes, np.array([[False, False], [True, True]]))
    first = Annotated(codes, np.array([[False, False], [True, False]]))
    volume = GRID.voxel_volume
    two = 6 * 4 * 4 * volume
    assert fingerprint(organs(), both).smallest_parts[1] == pytest.approx(two)
    assert fingerprint(organs(), first).smallest_parts[1] is None
    assert fingerprint(organs(), annotated(8, 20)).smallest_parts == (None, None)
