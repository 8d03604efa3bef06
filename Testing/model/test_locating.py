"""Boxes from what a locator finds, and the margin around them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.regions import Box
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.locating import measured_margin, organ_boxes
from ActiveSegLoopLib.model.preparing import LabeledCase, network_input
from ActiveSegLoopLib.study import Annotated
from Testing.model.samples import cascade

GRID = Geometry((40, 30, 60), (1.0, 1.0, 1.0))
FIXED = {"kind": "fixed", "low": -10.0, "high": 10.0, "mean": 0.0, "std": 1.0}


def bright(image: np.ndarray) -> torch.Tensor:
    """A locator that finds what is brighter than a half."""
    found = torch.from_numpy(image[0] > 0.5).float()
    return torch.stack((1 - found, found))


def plan(coarse=(1.0, 1.0, 1.0), **changes):
    fields = dict(normalization=(FIXED,), minimum_mm3=0.0)
    return cascade(coarse=coarse, **(fields | changes))


def boxes(image: Volume, plan, margin=0.0) -> list[Box]:
    return organ_boxes(bright, plan, [image], [FIXED], margin)


def with_organs(*organs: Box, grid=GRID) -> Volume:
    image = np.zeros(grid.shape, np.float32)
    for organ in organs:
        image[organ.slices] = 1
    return Volume(image, grid)


spacings = st.tuples(*[st.floats(0.4, 6.0)] * 3)


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(*[st.integers(1, 14)] * 3), spacings, spacings, st.integers(0, 2**32),
    st.sampled_from([0.0, 3.0]),
)
def test_everything_that_the_locator_marks_lies_inside_its_boxes(
    shape, spacing, coarse, seed, margin
):
    random = np.random.default_rng(seed)
    grid = Geometry(shape, spacing)
    image = Volume((random.random(shape) < 0.1).astype(np.float32), grid)
    made = plan(coarse)
    small, coarse_grid, _ = network_input([image], [FIXED], None, coarse)
    marked = np.argwhere(bright(small)[1].numpy() > 0.5)
    found = boxes(image, made, margin)
    assert bool(found) == bool(len(marked))
    # The edges of each coarse voxel that is marked, in voxels of the image.
    scale = np.array(shape) / coarse_grid.shape
    for voxel in marked:
        assert any(
            np.all(np.array(box.lower) <= voxel * scale + 1e-9)
            and np.all(np.array(box.upper) >= (voxel + 1) * scale - 1e-9)
            for box in found
        )
    for box in found:
        assert Box((0, 0, 0), shape).contains(box)


def test_a_box_is_rounded_outward_onto_the_image():
    # Along y, 30 voxels make 8 of 3.75: voxels 2 to 4 of them reach from 7.5 to 18.75.
    organ = Box((8, 8, 8), (20, 19, 20))
    assert boxes(with_organs(organ), plan((4.0, 4.0, 4.0))) == [Box((8, 7, 8), (20, 19, 20))]


def test_the_margin_is_the_plans_unless_another_one_is_asked_for():
    organ = Box((15, 12, 20), (20, 18, 30))
    image = with_organs(organ)
    made = plan(margin_mm=5.0)
    assert organ_boxes(bright, made, [image], [FIXED]) == [organ.dilated(5)]
    assert boxes(image, made, 0.0) == [organ]


def test_each_organ_has_a_box_and_specks_have_none():
    left, right = Box((10, 10, 5), (20, 20, 15)), Box((10, 10, 40), (20, 20, 52))
    image = with_organs(left, right, Box((35, 25, 30), (36, 26, 31)))
    assert boxes(image, plan(minimum_mm3=20.0)) == [right, left]
    assert len(boxes(image, plan())) == 3


def test_where_nothing_is_found_there_is_no_box():
    assert boxes(with_organs(), plan()) == []


def labeled(organ: Box, found: Box, grid=GRID, annotated=None) -> LabeledCase:
    """A case whose organ is `organ`, while the locator finds `found`."""
    return with_several([organ], [found], grid, annotated)


def with_several(organs, found, grid=GRID, annotated=None) -> LabeledCase:
    """The same for any number of each."""
    channels = np.zeros(grid.shape, np.uint8)
    for organ in organs:
        channels[organ.slices] = 1
    codes = np.ones(grid.shape, np.uint8) if annotated is None else annotated
    known = Annotated(codes, np.array([[False, False], [True, True]]))
    image = with_organs(*found, grid=grid)
    return LabeledCase("c", "c", lambda: ([image], Volume(channels, grid), known))


def margin_of(cases, made=None, unseen=True, warnings=None) -> float | None:
    """The margin measured; without a list for them there must be no warnings."""
    texts = [] if warnings is None else warnings
    margin = measured_margin(bright, made or plan(), cases, unseen, texts.append)
    assert warnings is not None or not texts
    return margin


@pytest.mark.parametrize("end", ["lower", "upper"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_margin_is_what_keeps_the_whole_organ_inside(axis, end):
    # 12 voxels are missed at one end, of 2 mm along z and 0.8 mm along the others.
    grid = Geometry(GRID.shape, (2.0, 0.8, 0.8))
    organ = Box((14, 14, 14), (28, 28, 28))
    found = {"lower": list(organ.lower), "upper": list(organ.upper)}
    found[end][axis] += 12 if end == "lower" else -12
    case = labeled(organ, Box(**found), grid)
    made = plan(grid.spacing)
    margin = margin_of([case], made)
    assert margin == pytest.approx(12 * grid.spacing[axis])
    (box,) = organ_boxes(bright, replace(made, margin_mm=margin), case.load()[0], [FIXED])
    assert box.contains(organ)


def test_it_is_what_the_worst_of_twenty_cases_needs():
    organ = Box((10, 10, 10), (20, 20, 40))
    cases = [labeled(organ, Box((10, 10, 10 + missed), (20, 20, 40))) for missed in range(7, 17)]
    assert margin_of(cases) == 16


WIDE = Geometry((40, 30, 140), (1.0, 1.0, 1.0))
LEFT, RIGHT = Box((10, 10, 5), (30, 20, 35)), Box((10, 10, 65), (30, 20, 95))


@pytest.mark.parametrize("found", [[LEFT], [LEFT, Box((0, 0, 135), (5, 5, 140))], []])
def test_an_organ_missed_in_one_case_does_not_widen_the_margin_and_is_told(found):
    short = Box((10, 10, 5), (30, 20, 27))
    cases = [with_several([LEFT, RIGHT], [short, RIGHT], WIDE) for _ in range(5)]
    cases.append(with_several([LEFT, RIGHT], found, WIDE))
    warnings = []
    assert margin_of(cases, warnings=warnings) == 8
    (text,) = warnings
    assert text.startswith("In 1 of 6 case(s) the locator missed an organ")


def test_an_organ_that_a_margin_reaches_is_measured_though_no_box_touches_it():
    near = Box((10, 10, 50), (30, 20, 60))
    assert margin_of([with_several([LEFT, near], [LEFT], WIDE)]) == 25


def test_a_stray_voxel_far_away_is_no_missed_organ():
    speck = Box((0, 0, 139), (1, 1, 140))
    assert margin_of([with_several([LEFT, speck], [LEFT], WIDE)]) == 6


def test_cases_that_the_locator_was_trained_on_need_some_more():
    organ = Box((10, 10, 10), (20, 20, 40))
    case = labeled(organ, Box((10, 10, 20), (20, 20, 40)))
    assert margin_of([case]) == 10
    assert margin_of([case], unseen=False) == 15


def test_the_margin_stays_within_reason():
    organ = Box((10, 10, 2), (20, 20, 58))
    exact, hopeless = labeled(organ, organ), labeled(organ, Box((10, 10, 55), (20, 20, 58)))
    assert margin_of([exact]) == 6
    assert margin_of([hopeless]) == 40


def test_labels_that_are_not_annotated_do_not_widen_it():
    organ = Box((10, 10, 10), (20, 20, 40))
    codes = np.zeros(GRID.shape, np.uint8)
    codes[:, :, 30:] = 1
    case = labeled(organ, Box((10, 10, 22), (20, 20, 40)), annotated=codes)
    assert margin_of([case]) == 6


def test_there_is_no_margin_to_measure_where_nothing_was_found_or_labeled():
    organ, nothing = Box((10, 10, 10), (20, 20, 40)), Box((0, 0, 0), (0, 0, 0))
    cases = [labeled(organ, nothing), labeled(nothing, organ)]
    assert margin_of(cases) is None
    assert margin_of([]) is None
