"""Segmentations compared structure by structure, and the verdict."""

import json
import math

import numpy as np
import pytest
from scipy import ndimage

from ActiveSegLoopLib.evaluation.comparison import compare_pairs, compare_segmentations
from ActiveSegLoopLib.evaluation.surface_distance import surface_distance
from ActiveSegLoopLib.evaluation.surfaces import extract_surface
from ActiveSegLoopLib.evaluation.verdict import verdict_of
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.volume import Volume
from Testing.evaluation.shapes import grid, sphere

LABELS = {1: "artery", 2: "vein"}
GEOMETRY = grid((12, 16, 20), (2.0, 1.0, 1.0))


def boxes(artery, vein=None):
    """A label map with one box of each structure; None leaves it out."""
    array = np.zeros(GEOMETRY.shape, np.uint8)
    for value, box in ((1, artery), (2, vein)):
        if box is not None:
            array[tuple(slice(*span) for span in zip(*box))] = value
    return Volume(array, GEOMETRY)


FIRST = boxes(((2, 2, 2), (8, 10, 10)), ((2, 2, 14), (4, 4, 16)))


def test_every_number_of_a_structure_is_that_of_its_definition():
    second = boxes(((2, 2, 4), (8, 10, 14)), ((2, 2, 14), (4, 4, 16)))
    artery, vein = compare_segmentations(FIRST, second, LABELS)
    assert artery.name == "artery" and artery.value == 1
    common, one, other = 6 * 8 * 6, 6 * 8 * 8, 6 * 8 * 10
    assert artery.dice == 2 * common / (one + other)
    assert artery.iou == common / (one + other - common)
    assert artery.first_ml == pytest.approx(one * 2 / 1000)
    assert artery.second_ml == pytest.approx(other * 2 / 1000)
    assert artery.difference_ml == pytest.approx((other - one) * 2 / 1000)
    assert artery.false_positive_ml == pytest.approx((other - common) * 2 / 1000)
    surfaces = (extract_surface(volume, 1) for volume in (FIRST, second))
    assert artery.surface == surface_distance(*surfaces)
    assert artery.surface.symmetric.maximum == 4  # voxels of 1 mm along x at one end
    assert 0.5 < artery.surface_dice < 1
    assert vein.dice == vein.iou == vein.surface_dice == 1
    assert vein.surface.symmetric.rms == 0
    assert artery.to_dict()["fits"] is True
    json.dumps(artery.to_dict(), allow_nan=False)


def test_a_larger_tolerance_gives_a_larger_surface_dice():
    second = boxes(((2, 2, 4), (8, 10, 14)))
    found = [
        compare_segmentations(FIRST, second, {1: "artery"}, tolerance_mm=t)[0].surface_dice
        for t in (0, 1, 2, 4)
    ]
    assert found == sorted(found) and found[0] > 0 and found[-1] == 1


def test_a_structure_that_only_one_has_is_a_false_positive_or_a_miss_without_a_distance():
    second = boxes(((2, 2, 2), (8, 10, 10)))
    missed = compare_segmentations(FIRST, second, LABELS)[1]
    assert missed.dice == missed.surface_dice == 0 and missed.false_positive_ml == 0
    invented = compare_segmentations(second, FIRST, LABELS)[1]
    assert invented.dice == 0 and invented.false_positive_ml == pytest.approx(8 * 2 / 1000)
    for found, which in ((missed, "second"), (invented, "first")):
        assert found.fits is None and math.isnan(found.surface.symmetric.rms)
        assert found.verdict == (
            f"No verdict: The {which} surface is empty, so its distance from the other is "
            "undefined."
        )


def test_a_structure_that_neither_has_is_undefined_throughout():
    nothing = compare_segmentations(FIRST, FIRST, {5: "ureter"})[0]
    stored = nothing.to_dict()
    assert stored["dice"] is None and stored["iou"] is None and stored["surface_dice"] is None
    assert stored["surface"]["symmetric"]["maximum"] is None and stored["fits"] is None
    assert "Both surfaces are empty" in stored["verdict"]


def test_three_segmentations_are_compared_in_pairs():
    named = {
        "manual": FIRST,
        "model": boxes(((2, 2, 5), (8, 10, 16))),
        "corrected": boxes(((2, 2, 3), (8, 10, 11))),
    }
    found = compare_pairs(named, {1: "artery"}, limit_mm=1.5)
    assert list(found) == [("manual", "model"), ("manual", "corrected"), ("model", "corrected")]
    rms = {pair: structures[0].surface.symmetric.rms for pair, structures in found.items()}
    assert rms["manual", "corrected"] < rms["model", "corrected"] < rms["manual", "model"]
    assert [structures[0].fits for structures in found.values()] == [False, True, False]


def test_grids_that_files_have_rounded_are_the_same_grid():
    rounded = Geometry(GEOMETRY.shape, (2.0, 1.0, 1.0 + 1e-7), GEOMETRY.origin)
    other = Volume(FIRST.array, rounded)
    assert compare_segmentations(FIRST, other, LABELS)[0].surface.symmetric.maximum == 0


def test_smoothing_is_reported_with_the_structure():
    found = compare_segmentations(FIRST, FIRST, {1: "artery"}, smoothing=0.5)[0]
    assert len(found.smoothing) == 2 and found.smoothing[0].rms > 0
    assert found.to_dict()["smoothing"][0]["factor"] == 0.5


@pytest.mark.parametrize(
    "limit, criterion, fits",
    [(2, "rms", True), (1, "rms", False), (3.4, "maximum", True), (2.9, "maximum", False)],
)
def test_the_verdict_compares_the_error_with_the_limit(limit, criterion, fits):
    distance = surface_distance(sphere(20), sphere(20, (0, 0, 3)))  # RMS 1.73, at most 3
    verdict = verdict_of(distance, limit, criterion)
    assert verdict.fits is fits
    assert verdict.words.startswith("Fit for print: " if fits else "Not fit for print: ")
    assert f"the limit of {limit:g} mm" in verdict.words
    assert "of the surface lies within 2 mm, the largest distance is 3.0 mm." in verdict.words


@pytest.fixture(scope="module")
def mandible(shared_data):
    """A mandible on CT, in coarse voxels."""
    labels = read_labelmap(shared_data / "headneck_ct" / "labels" / "pt_001.nii.gz")
    assert (labels.array == 5).sum() > 500
    return labels.with_array((labels.array == 5).astype(np.uint8))


@pytest.mark.parametrize("voxels", [(0, 0, 1), (1, 0, 0), (0, 2, 0)])
def test_a_real_structure_and_its_shifted_copy_are_apart_by_no_more_than_the_shift(
    mandible, voxels
):
    shifted = mandible.with_array(np.roll(mandible.array, voxels, axis=(0, 1, 2)))
    found = compare_segmentations(mandible, shifted, {1: "mandible"})[0]
    step = float(np.linalg.norm(np.multiply(voxels, mandible.geometry.spacing)))
    stats = found.surface.symmetric
    assert found.first_ml == found.second_ml
    assert 0.2 * step < stats.rms < step and stats.maximum <= step + 1e-9
    # Whatever is added in front is lost behind.
    assert abs(found.surface.a_to_b.signed_mean - found.surface.b_to_a.signed_mean) < 0.1 * step


def test_a_real_structure_lies_outside_its_eroded_self(mandible):
    eroded = ndimage.binary_erosion(mandible.array)
    smaller = mandible.with_array(eroded.astype(np.uint8))
    found = compare_segmentations(mandible, smaller, {1: "mandible"})[0]
    assert found.false_positive_ml == 0 and found.difference_ml < 0
    assert found.surface.a_to_b.signed_mean > 0 > found.surface.b_to_a.signed_mean
    spacing = mandible.geometry.spacing
    assert found.surface.b_to_a.maximum <= np.linalg.norm(spacing)
    # Neighbors at faces were taken away: the rest is at least nearly a voxel inside.
    surfaces = [extract_surface(volume, 1) for volume in (smaller, mandible)]
    assert surface_distance(*surfaces).a_to_b.mean > 0.5 * min(spacing)
