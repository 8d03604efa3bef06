"""Random variation of patches, drawn apart from being applied."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from ActiveSegLoopLib.model.augmentation import (
    AugmentationSettings,
    Variation,
    draw_variation,
    vary_grid,
    vary_intensities,
)

CPU = torch.device("cpu")


def sample(image: np.ndarray, matrix: np.ndarray, patch, spacing) -> np.ndarray:
    grid = vary_grid([Variation(matrix)], image.shape, patch, spacing, CPU)
    tensor = torch.from_numpy(image)[None, None].float()
    return functional.grid_sample(tensor, grid, align_corners=False)[0, 0].numpy()


def test_no_variation_cuts_the_middle_out_of_the_source_unchanged():
    image = np.random.default_rng(0).random((8, 12, 10))
    middle = sample(image, np.eye(3), (4, 6, 6), (1.0, 1.0, 1.0))
    np.testing.assert_allclose(middle, image[2:6, 3:9, 2:8], atol=1e-6)


def test_a_rotation_keeps_lengths_in_mm_on_anisotropic_voxels():
    # A rod of 12 mm along y, turned into z where a voxel is 3 mm thick, is 4 voxels long.
    image = np.zeros((12, 24, 5))
    image[5:7, 6:18, 2] = 1
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    turned = sample(image, quarter, (12, 24, 5), (3.0, 1.0, 1.0)) > 0.5
    z, y, _ = np.nonzero(turned)
    assert np.ptp(z) + 1 == 4
    assert np.ptp(y) + 1 == 6


def test_mirroring_swaps_left_and_right_only():
    image = np.random.default_rng(0).random((4, 4, 6))
    mirrored = sample(image, np.diag([1.0, 1.0, -1.0]), (4, 4, 6), (1.0, 1.0, 1.0))
    np.testing.assert_allclose(mirrored, image[:, :, ::-1], atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_a_patch_is_never_mirrored_where_sides_matter(seed):
    drawn = draw_variation(AugmentationSettings(), (1, 1, 1), np.random.default_rng(seed))
    assert np.linalg.det(drawn.matrix) > 0


def test_where_sides_do_not_matter_about_half_the_patches_are_mirrored():
    mirrored = replace(AugmentationSettings(), mirror=True)
    signs = [
        np.linalg.det(draw_variation(mirrored, (1, 1, 1), np.random.default_rng(seed)).matrix) < 0
        for seed in range(200)
    ]
    assert 70 < sum(signs) < 130


def test_thick_slices_are_rotated_within_their_plane_only():
    always = replace(AugmentationSettings(), spatial=1.0, scale=(1.0, 1.0))
    drawn = draw_variation(always, (5.0, 1.0, 1.0), np.random.default_rng(0))
    np.testing.assert_allclose(drawn.matrix[0], [1, 0, 0], atol=1e-12)


def test_the_same_draw_gives_the_same_intensities():
    image = torch.randn(2, 6, 6, 6)
    every = AugmentationSettings(
        noise=1, blur=1, brightness=1, contrast=1, low_resolution=1, gamma=1
    )
    one, same = (draw_variation(every, (1, 1, 1), np.random.default_rng(5)) for _ in range(2))
    varied = vary_intensities(image, one)
    assert torch.equal(varied, vary_intensities(image, same))
    assert torch.isfinite(varied).all()
    assert not torch.equal(varied, image)
    assert torch.equal(vary_intensities(image, Variation(np.eye(3))), image)
