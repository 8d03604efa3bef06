"""What the locator learns from: any label against background, also if not all were looked for."""

import numpy as np
import pytest
import torch

from ActiveSegLoopLib.model.losses import AnnotatedLoss, Target
from ActiveSegLoopLib.model.preparing import Preparation
from Testing.model.loaded_cases import GRID, Loaded, only_slices, opened, two_organs
from Testing.model.samples import cascade

FIRST, SECOND = np.array([[False, False], [True, False]]), np.array([[False, False], [False, True]])


@pytest.fixture
def preparation(tmp_path) -> Preparation:
    return Preparation(tmp_path / "cache", cascade())


def test_the_locator_sees_any_label_on_the_whole_coarse_volume(preparation):
    (case,) = opened(preparation.locator_cases(Loaded(two_organs())))
    assert case.channels.shape == (8, 10, 20) and case.image.shape == (1, 8, 10, 20)
    assert set(np.unique(case.channels)) == {0, 1} and case.codes.all()
    assert np.count_nonzero(case.channels) * 27 == pytest.approx(2 * 12 * 12 * 10, rel=0.2)


def test_the_locator_knows_all_the_background_only_where_all_labels_were_looked_for(preparation):
    subsets = np.array([[False, False], [True, False], [True, True]])
    codes = np.ones(GRID.shape, np.uint8)
    codes[:, :, 30:] = 2
    codes[:, :, 57:] = 0
    (case,) = opened(preparation.locator_cases(Loaded(two_organs(), codes, subsets)))
    known = case.subsets[:, 0][case.codes]
    assert known[case.channels == 1].all()
    assert 0 < known[:, :, :10][case.channels[:, :, :10] == 0].mean() < 0.5
    assert known[:, :, 10:19].all() and not known[:, :, 19:].any()


@pytest.mark.parametrize("subsets", [FIRST, SECOND])
def test_with_cases_for_one_label_each_foreground_everywhere_is_wrong_for_the_locator(
    preparation, subsets
):
    (case,) = opened(preparation.locator_cases(Loaded(two_organs(), subsets=subsets)))
    channels, known = (torch.from_numpy(np.array(a))[None] for a in (case.channels, case.codes))
    target = Target.from_channels(channels, known[:, None] > 0)
    everywhere = torch.stack((torch.zeros(channels.shape), torch.full(channels.shape, 9.0)), 1)
    right = 9 * torch.stack((channels == 0, channels == 1), 1).float()
    assert AnnotatedLoss()(everywhere, target) > AnnotatedLoss()(right, target) + 0.1
    # Another organ may be there: only a small part counts, all over the case.
    background = case.codes.astype(bool) & (case.channels == 0)
    assert 0.01 < background.mean() < 0.25
    assert np.ptp(np.argwhere(background), axis=0).min() >= 6


def test_as_much_background_as_foreground_counts_where_only_some_labels_were_looked_for(
    preparation
):
    (case,) = opened(preparation.locator_cases(Loaded(two_organs(), subsets=FIRST)))
    assert np.count_nonzero(case.codes) == 2 * np.count_nonzero(case.channels)


def test_where_a_label_was_looked_for_in_vain_some_voxels_are_background(preparation):
    nothing = np.zeros(GRID.shape, np.uint8)
    (case,) = opened(preparation.locator_cases(Loaded(nothing, subsets=FIRST)))
    assert case.codes.mean() == pytest.approx(0.05, rel=0.05) and not case.channels.any()


def test_a_label_newly_annotated_in_one_slice_leaves_background_all_over_the_case(preparation):
    subsets = np.array([[False, False], [True, False], [True, True]])
    codes = np.ones(GRID.shape, np.uint8)
    codes[10] = 2
    (case,) = opened(preparation.locator_cases(Loaded(two_organs(), codes, subsets)))
    background = case.codes.astype(bool) & (case.channels == 0)
    assert background.any(axis=(1, 2)).all()
    others = np.delete(np.arange(8), 3)
    assert background[others].sum() == np.count_nonzero(case.channels[others])
    assert case.codes[3].all(), "All labels were looked for there."


def test_what_is_annotated_for_all_labels_or_none_is_known_as_it_is(preparation):
    (case,) = opened(preparation.locator_cases(Loaded(two_organs(), only_slices([4, 10]))))
    np.testing.assert_array_equal(np.flatnonzero(case.codes.any(axis=(1, 2))), [1, 3])
    assert case.codes[[1, 3]].all()


def test_a_label_that_nobody_has_annotated_hides_no_background_from_the_locator(preparation):
    case = Loaded(np.minimum(two_organs(), 1), subsets=FIRST)
    (stored,) = opened(preparation.locator_cases(case))
    assert not stored.codes.all(), "The second label may be anywhere."
    newer = Preparation(preparation.folder, preparation.plan, unlearned=[1])
    (stored,) = opened(newer.locator_cases(case))
    assert stored.codes.all() and 0 < stored.channels.mean() < 0.5


def test_the_locators_patches_are_centered_on_each_label_as_often(preparation):
    (case,) = opened(preparation.locator_cases(Loaded(two_organs())))
    organ, tumor = case.points[1:]
    assert len(tumor) < len(organ) / 10
    assert case.channels[tuple(tumor.T)].all() and case.channels[tuple(organ.T)].all()


def test_sparse_slices_are_not_lost_on_the_locators_coarse_grid(preparation):
    # On a grid of 3 mm, the middle slices 1, 4, 7, ... would be the ones taken.
    slices = [0, 6, 12, 18]
    (case,) = opened(preparation.locator_cases(Loaded(two_organs(), only_slices(slices))))
    np.testing.assert_array_equal(np.flatnonzero(case.codes.any(axis=(1, 2))), [0, 2, 4, 6])
    assert case.channels[4].any()
