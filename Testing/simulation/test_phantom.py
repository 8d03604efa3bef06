"""The kidney CT phantom: repeatable, varied, and like CT where it matters."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from ActiveSegLoopLib.images.segmentation import read_segmentation, write_segmentation
from ActiveSegLoopLib.simulation.kidney_labels import (
    ARTERY,
    CARCINOMA,
    PARENCHYMA,
    URETER,
    VEIN,
)
from ActiveSegLoopLib.simulation.phantom import KIDNEY_LABELS, make_case, make_cohort

COARSE = (4.0, 4.0, 4.0)
EVERYWHERE = np.ones((3, 3, 3))


@pytest.fixture(scope="module")
def cases():
    """Three cases as a cohort makes them, the second with a carcinoma."""
    return list(make_cohort(3, seed=5, carcinoma_share=0.5))


def digest(case):
    return hashlib.sha256(case.image.array.tobytes() + case.labels.array.tobytes()).hexdigest()


def pieces(mask):
    """Sizes of the 26-connected parts of a mask, the largest first."""
    numbered, _ = ndimage.label(mask, EVERYWHERE)
    return sorted(np.bincount(numbered.ravel())[1:].tolist(), reverse=True)


def test_the_same_seed_makes_the_same_bytes_in_every_process():
    code = (
        "import hashlib\n"
        "from ActiveSegLoopLib.simulation.phantom import make_case\n"
        "case = make_case(7, spacing=(5, 5, 5))\n"
        "data = case.image.array.tobytes() + case.labels.array.tobytes()\n"
        "print(hashlib.sha256(data).hexdigest(), case.image.geometry)\n"
    )
    command = [sys.executable, "-c", code]
    other = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    case = make_case(7, spacing=(5, 5, 5))
    assert other.split() == f"{digest(case)} {case.image.geometry}".split()


def test_another_seed_makes_another_patient_on_another_grid():
    one, other = make_case(1, shape=(48, 56, 56)), make_case(2, shape=(48, 56, 56))
    assert one.image.geometry.spacing != other.image.geometry.spacing
    assert digest(one) != digest(other)
    shared = (one.labels.array == PARENCHYMA) & (other.labels.array == PARENCHYMA)
    assert shared.sum() < 0.9 * (one.labels.array == PARENCHYMA).sum()


def test_a_case_is_an_hu_image_with_labels_on_the_same_lps_grid(cases):
    for case in cases:
        assert case.image.array.dtype == np.int16 and case.labels.array.dtype == np.uint8
        assert case.image.geometry == case.labels.geometry
        assert case.image.geometry.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
        assert all(1.8 <= s <= 3.0 for s in case.image.geometry.spacing)
        assert 215 < case.image.geometry.extent[0] < 246
        assert all(250 < e < 380 for e in case.image.geometry.extent[1:])
        assert set(np.unique(case.labels.array)) - {0} <= {v.value for v in KIDNEY_LABELS.labels}
        assert case.image.array.min() >= -1024
        corner = case.image.array[:, :6, :6]
        assert abs(corner.mean() + 1000) < 15


@pytest.mark.parametrize(
    "spacing, shape", [((3.0, 2.5, 2.5), None), (None, (50, 70, 70)), ((2, 0.8, 0.7), (24, 90, 99))]
)
def test_any_spacing_and_shape_can_be_asked_for(spacing, shape):
    geometry = make_case(3, spacing=spacing, shape=shape).image.geometry
    assert spacing is None or geometry.spacing == spacing
    assert shape is None or geometry.shape == shape


def test_finer_voxels_show_the_same_patient():
    coarse = make_case(3, spacing=(4, 3, 3), carcinoma=True)
    fine = make_case(3, spacing=(4, 1.5, 1.5), carcinoma=True)
    for value in (PARENCHYMA, CARCINOMA):
        volumes = [
            (case.labels.array == value).sum() * case.labels.geometry.voxel_volume
            for case in (coarse, fine)
        ]
        assert volumes[0] == pytest.approx(volumes[1], rel=0.05)


def test_both_kidneys_lie_inside_on_either_side_of_the_body(cases):
    for case in cases:
        parenchyma = case.labels.array == PARENCHYMA
        assert not parenchyma[[0, -1]].any()
        sizes = pieces(parenchyma)
        assert sum(sizes[:2]) > 0.95 * sum(sizes) and sizes[1] > 0.3 * sizes[0]
        numbered, _ = ndimage.label(parenchyma, EVERYWHERE)
        two = np.argsort(np.bincount(numbered.ravel())[1:])[-2:] + 1
        centers = [c[2] for c in ndimage.center_of_mass(parenchyma, numbered, two)]
        assert min(centers) < parenchyma.shape[2] / 2 < max(centers)
        volume = sum(sizes) * case.labels.geometry.voxel_volume / 1000
        assert 150 < volume < 450  # ml, both


def test_the_ureters_run_unbroken_from_the_kidneys_to_the_lowest_slice(cases):
    for case in cases:
        ureter = case.labels.array == URETER
        sizes = pieces(ureter)
        assert len(sizes) >= 2 and sum(sizes[:2]) > 0.95 * sum(sizes)
        assert len(pieces(ureter[:1])) == 2


def hounsfield(case, value):
    """The median HU of a structure away from its edges, where voxels are shared with the fat."""
    inside = ndimage.binary_erosion(case.labels.array == value, iterations=1)
    return float(np.median(case.image.array[inside]))


def test_the_phase_is_arterial(cases):
    for case in cases:
        bright = np.percentile(case.image.array[case.labels.array == ARTERY], 90)
        assert bright > hounsfield(case, PARENCHYMA) > hounsfield(case, VEIN) - 30
        assert 140 < hounsfield(case, PARENCHYMA) < 260
        assert np.median(case.image.array[case.labels.array == URETER]) < 40


def test_arteries_start_at_the_aorta_and_veins_end_at_the_cava(cases):
    for case in cases:
        labels, image = case.labels.array, ndimage.gaussian_filter(case.image.array, 0.7)
        for value, low, high in ((ARTERY, 200, 500), (VEIN, 60, 200)):
            near = ndimage.binary_dilation(labels == value, EVERYWHERE, iterations=2)
            outside = near & (labels == 0) & (image > low) & (image < high)
            middle = slice(int(0.38 * labels.shape[2]), int(0.62 * labels.shape[2]))
            assert outside[:, :, middle].sum() > 5


def test_no_threshold_separates_the_kidneys(cases):
    for case in cases:
        kidney = case.labels.array == PARENCHYMA
        best = 0.0
        for low in range(60, 200, 20):
            for high in range(low + 40, 420, 40):
                found = (case.image.array >= low) & (case.image.array < high)
                best = max(best, 2 * (found & kidney).sum() / (found.sum() + kidney.sum()))
        assert best < 0.75


def test_a_carcinoma_grows_on_demand_and_otherwise_isnt_labeled():
    with_one, without = (make_case(11, spacing=COARSE, carcinoma=c) for c in (True, False))
    assert with_one.carcinoma and not without.carcinoma
    volume = (with_one.labels.array == CARCINOMA).sum() * with_one.labels.geometry.voxel_volume
    assert volume > 3000  # mm3
    assert not (without.labels.array == CARCINOMA).any()
    # The rest of the patient is the same.
    same = with_one.labels.array == without.labels.array
    assert same.mean() > 0.98
    touching = ndimage.binary_dilation(with_one.labels.array == CARCINOMA, EVERYWHERE)
    assert (touching & (with_one.labels.array == PARENCHYMA)).any()


def test_a_cohort_has_its_share_of_carcinomas_and_a_longer_one_starts_the_same():
    small = dict(seed=4, carcinoma_share=0.6, spacing=(9, 9, 9))
    short, long = list(make_cohort(3, **small)), list(make_cohort(5, **small))
    assert [case.name for case in long] == [f"kidney-00{n}" for n in range(1, 6)]
    assert sum(case.carcinoma for case in long) == 3
    assert [digest(case) for case in short] == [digest(case) for case in long[:3]]
    assert len({digest(case) for case in long}) == 5


def test_the_labels_are_a_schema_that_goes_into_a_segmentation_and_back(tmp_path, cases):
    assert [label.id for label in KIDNEY_LABELS.labels] == [
        "artery", "vein", "ureter", "parenchyma", "carcinoma"
    ]
    assert not KIDNEY_LABELS.sides_matter
    path = tmp_path / "kidney.seg.nrrd"
    write_segmentation(path, cases[1].labels, KIDNEY_LABELS.segments())
    volume, segments = read_segmentation(path)
    assert np.array_equal(volume.array, cases[1].labels.array)
    assert [s.name for s in segments] == [label.name for label in KIDNEY_LABELS.labels]
    assert all("SCT^" in s.terminology for s in segments)
