"""The plan follows from the data."""

import json

import numpy as np
import pytest

from ActiveSegLoopLib.model.fingerprint import CaseFingerprint
from ActiveSegLoopLib.model.plan import Plan, PlanSettings, make_plan, smaller_patch

MR = {"low": 0.0, "high": 900.0}
CT = {
    "low": -1000.0, "high": 900.0, "foreground_low": -50.0, "foreground_high": 250.0,
    "foreground_mean": 100.0, "foreground_std": 60.0,
}


def case(shape, spacing, boxes, intensities=MR) -> CaseFingerprint:
    return CaseFingerprint(
        shape, spacing, boxes, tuple(float(np.prod(b)) / 2 for b in boxes), (intensities,),
        smallest_parts=(80.0, None),
    )


def plan(cases, memory_gb=12.0, **changes) -> Plan:
    return make_plan(cases, 2, PlanSettings(**changes), memory_gb)


HIPPOCAMPUS = [case((36, 51, 35), (1.0, 1.0, 1.0), ((30.0, 40.0, 22.0),))] * 3
HEAD_AND_NECK = [case((128, 128, 128), (2.5, 3.9, 3.9), ((235.0, 164.0, 140.0),))] * 3
KIDNEYS = [
    case((300, 512, 512), (1.0, 0.7, 0.7), ((130.0, 80.0, 70.0), (125.0, 80.0, 75.0)), CT)
] * 3


def test_a_small_crop_around_the_organ_is_segmented_whole():
    made = plan(HIPPOCAMPUS)
    assert made.locator is None
    assert made.segmenter.spacing == (1.0, 1.0, 1.0)
    assert np.all(np.array(made.segmenter.patch) >= (36, 51, 35))


def test_small_organs_in_a_large_volume_get_a_locator():
    made = plan(HEAD_AND_NECK)
    assert made.locator is not None
    assert min(made.locator.spacing) > 3.9
    assert made.locator.network.out_channels == 2
    assert made.segmenter.network.out_channels == 3


def test_an_organ_larger_than_its_patch_stays_whole_but_an_image_does_not():
    cascade = plan(HEAD_AND_NECK)
    assert cascade.segmenter.one_piece == cascade.locator.one_piece == 1.3
    assert plan(HIPPOCAMPUS).segmenter.one_piece == 1


@pytest.mark.parametrize("cases", [HIPPOCAMPUS, HEAD_AND_NECK])
def test_older_plans_segment_in_one_piece_what_they_would_today(cases):
    made = plan(cases)
    written = json.loads(json.dumps(made.to_dict()))
    for stage in filter(None, (written["segmenter"], written["locator"])):
        del stage["one_piece"]
    assert Plan.from_dict(written) == made


def test_a_preset_may_insist_on_a_locator_or_do_without():
    assert plan(HIPPOCAMPUS, locator=True).locator is not None
    assert plan(KIDNEYS, locator=False).locator is None


def test_patches_are_multiples_of_what_the_network_divides_by():
    for cases in (HIPPOCAMPUS, HEAD_AND_NECK, KIDNEYS):
        stage = plan(cases).segmenter
        assert np.all(np.array(stage.patch) % stage.network.divisor == 0)


def test_less_memory_means_smaller_patches():
    large, small = (plan(KIDNEYS, memory_gb=m).segmenter.patch for m in (24, 1.5))
    assert np.prod(small) < np.prod(large)


def test_thick_slices_are_not_convolved_across_until_voxels_are_about_cubes():
    thick = [case((12, 320, 320), (8.0, 0.5, 0.5), ((90.0, 150.0, 150.0),))]
    network = plan(thick).segmenter.network
    assert network.kernels[0] == (1, 3, 3)
    assert network.strides[0] == (1, 2, 2)
    assert network.kernels[-1] == (3, 3, 3)


def test_hounsfield_units_get_one_normalization_and_other_scales_one_per_case():
    assert plan(KIDNEYS).normalization[0]["kind"] == "fixed"
    assert plan(HIPPOCAMPUS).normalization[0] == {"kind": "case"}


def test_a_plan_survives_json():
    made = plan(KIDNEYS)
    assert Plan.from_dict(made.to_dict()) == made


def test_a_patch_is_halved_until_nothing_is_left_to_halve():
    stage = plan(KIDNEYS).segmenter
    sizes = []
    while stage is not None:
        sizes.append(int(np.prod(stage.patch)))
        assert np.all(np.array(stage.patch) % stage.network.divisor == 0)
        stage = smaller_patch(stage)
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == len(sizes) > 2


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 3, 3), (200, 20, 20)])
def test_odd_shapes_still_make_a_network(shape):
    made = plan([case(shape, (1.0, 1.0, 1.0), ((1.0, 10.0, 10.0),))])
    assert len(made.segmenter.network.channels) >= 1
