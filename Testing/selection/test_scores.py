"""Scores of slices and volumes: aggregations, axes, labels, and maps that are no good."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.selection.scores import (
    AGGREGATIONS,
    MEASURES,
    aggregate,
    count_foreground,
    measure,
    with_rim,
)
from ActiveSegLoopLib.study import LabelSchema
from Testing.selection.made import SCHEMA, MadeMaps, made_maps

ALL = [(n, a) for n in MEASURES for a in AGGREGATIONS if n != "error" or a == "foreground"]


def test_the_aggregations_by_hand():
    items = np.array([[0, 1, 2, 3], [4, 0, 0, 0]], float)
    region = np.array([[False, True, True, False], [False] * 4])
    assert aggregate(items, region, "sum").tolist() == [6, 4]
    assert aggregate(items, region, "mean").tolist() == [1.5, 1]
    assert aggregate(items, region, "mean", size=8).tolist() == [0.75, 0.5]
    assert aggregate(items, region, "foreground").tolist() == [1.5, 0]
    assert aggregate(items, region, "foreground_sum").tolist() == [3, 0]
    many = np.zeros((1, 200))
    many[0, 10:14] = 1, 4, 3, 2
    assert aggregate(many, many > 0, "top").tolist() == [2.5], "2 % of 200 are 4"
    assert aggregate(many[:, 10:14], many[:, 10:14] > 0, "top", size=1000).tolist() == [0.5]


def test_the_sum_grows_with_the_image_and_the_default_does_not():
    small = made_maps()
    pad = ((0, 0), (20, 20), (30, 30))
    large = MadeMaps(
        Volume(np.pad(small.labelmap.array, pad), Geometry((8, 52, 70), (3.0, 1.0, 1.0))),
        {v: np.pad(p, pad, constant_values=0.01) for v, p in small.probabilities.items()},
    )
    for aggregation in ("foreground", "foreground_sum"):
        one = measure(small, "entropy", "axial", SCHEMA, aggregation)
        other = measure(large, "entropy", "axial", SCHEMA, aggregation)
        # The small image cuts a little of the rim off.
        assert np.allclose(one.overall, other.overall, rtol=0.35)
    small_sum = measure(small, "entropy", None, SCHEMA, "sum").overall
    assert measure(large, "entropy", None, SCHEMA, "sum").overall > 5 * small_sum


@pytest.mark.parametrize("name, aggregation", ALL)
def test_every_score_of_every_plane_and_volume_is_the_same_however_the_image_is_stored(
    name, aggregation
):
    maps = made_maps()
    order, flip = (2, 0, 1), (slice(None), slice(None, None, -1), slice(None))

    def turned(array):
        return np.ascontiguousarray(np.transpose(array, order)[flip])

    # Axes z, y, x become x, z, y of the array, the second one backwards.
    old = maps.labelmap.geometry
    columns = np.array(old.direction).reshape(3, 3)[:, ::-1][:, order] * [1, -1, 1]
    geometry = Geometry(
        [old.shape[i] for i in order], [old.spacing[i] for i in order],
        old.index_to_world([old.shape[0] - 1, 0, 0]), columns[:, ::-1].ravel(),
    )
    other = MadeMaps(
        Volume(turned(maps.labelmap.array), geometry),
        {v: turned(p) for v, p in maps.probabilities.items()},
        turned(maps.variance), turned(maps.mutual_information),
    )
    for plane in ("axial", "coronal", "sagittal", None):
        one = measure(maps, name, plane, SCHEMA, aggregation)
        two = measure(other, name, plane, SCHEMA, aggregation)
        step = -1 if plane == "axial" else 1
        assert np.allclose(one.overall, two.overall[::step])
        assert np.allclose(one.labels, two.labels[::step])
        assert one.overall.shape == ((1,) if plane is None else (
            old.shape[old.axis_of(plane)],
        ))
        assert (one.overall >= 0).all() and one.overall.any()


def test_each_label_is_scored_by_itself():
    before = measure(made_maps(), "entropy", "axial", SCHEMA).labels
    maps = made_maps()
    maps.probabilities[7][:, 2] = 0.0  # sure that the vein isn't at its face
    after = measure(maps, "entropy", "axial", SCHEMA).labels
    assert np.allclose(before[:, 0], after[:, 0], rtol=0.05)
    assert (after[2:6, 1] < 0.95 * before[2:6, 1]).all()


def test_the_expected_error_is_one_minus_the_dice_and_the_chance_that_the_probabilities_tell():
    labels = np.zeros((1, 1, 4), np.uint8)
    labels[0, 0, :2] = 3
    p = np.array([[[0.9, 0.6, 0.4, 0.1]]])
    maps = MadeMaps(Volume(labels, Geometry((1, 1, 4), (1, 1, 1))), {3: p, 7: np.zeros_like(p)})
    found = measure(maps, "error", "axial", SCHEMA)
    assert found.labels[0, 0] == pytest.approx(1 - 0.9 * 2 * 1.5 / (2 + 2))
    assert found.labels[0, 1] == 0, "the vein isn't there"
    assert found.overall[0] == found.labels[0, 0], "and doesn't count"


def test_a_label_that_is_probably_absent_hardly_counts_in_the_expected_error():
    labels = np.zeros((1, 1, 4), np.uint8)
    labels[0, 0, :2] = 3
    shape = labels.shape
    sure = np.where(labels == 3, 1.0, 0.0)
    faint = np.full(shape, 0.1)  # the vein: nothing of it is predicted, so its Dice would be 0
    maps = MadeMaps(Volume(labels, Geometry(shape, (1, 1, 1))), {3: sure, 7: faint})
    found = measure(maps, "error", "axial", SCHEMA)
    assert found.labels[0].tolist() == pytest.approx([0, 0.01])
    assert found.overall[0] == pytest.approx(0.01 / 1.01)
    assert found.unweighted[0].tolist() == pytest.approx([0, 1]), "if it is there, it is missed"


def test_sections_smaller_than_the_labels_typical_one_are_trusted_less():
    labels = np.zeros((4, 10, 10), np.uint8)
    for section, width in enumerate((1, 4, 10)):
        labels[section, 0, :width] = 3
    labels[2, :4] = 3
    p = np.where(labels == 3, 0.9, 0.0)
    maps = MadeMaps(Volume(labels, Geometry(labels.shape, (1, 1, 1))), {3: p, 7: 0 * p})
    small, middle, typical, none = measure(maps, "error", "axial", SCHEMA).labels[:, 0]
    assert small > middle > typical == pytest.approx(1 - 0.9 * 2 * 0.9 / 1.9) and none == 0
    size, mean = 4, (1 + 4**2 + 40**2) / 45
    share = (2 * size / (size + mean)) ** (3 * typical)
    assert 1 - middle == pytest.approx((1 - typical) * share)
    assert measure(maps, "error", None, SCHEMA).labels[0, 0] == pytest.approx(typical)


def test_small_sections_are_trusted_where_the_model_is_sure():
    labels = np.zeros((2, 10, 10), np.uint8)
    labels[0, 0, 0] = labels[1] = 3
    p = np.where(labels == 3, 1.0, 0.0)
    maps = MadeMaps(Volume(labels, Geometry(labels.shape, (1, 1, 1))), {3: p, 7: 0 * p})
    assert measure(maps, "error", "axial", SCHEMA).labels[:, 0].tolist() == [0, 0]


def test_the_expected_error_ranks_slices_as_the_true_error_does():
    random = np.random.default_rng(3)
    shape = (30, 20, 20)
    z, y, x = np.indices(shape)
    sharpness = random.uniform(0.3, 4, shape[0])[z]  # how sure the model is differs by slice
    p = 1 / (1 + np.exp(sharpness * (np.hypot(y - 10, x - 10) - 6)))
    truth = random.uniform(size=shape) < p
    labels = np.where(p > 0.5, 3, 0).astype(np.uint8)
    maps = MadeMaps(Volume(labels, Geometry(shape, (1, 1, 1))), {3: p, 7: np.zeros(shape)})
    error = measure(maps, "error", "axial", SCHEMA).labels[:, 0]
    both = ((labels == 3) & truth).sum(axis=(1, 2))
    dice = 2 * both / ((labels == 3).sum(axis=(1, 2)) + truth.sum(axis=(1, 2)))
    assert np.corrcoef(1 - error, dice)[0, 1] > 0.9


def test_a_model_that_sees_nothing_is_scored_everywhere():
    maps = made_maps()
    maps.labelmap = maps.labelmap.with_array(np.zeros_like(maps.labelmap.array))
    found = measure(maps, "entropy", "axial", SCHEMA)
    assert found.overall.argmax() in range(2, 6) and (found.overall > 0).all()
    sure = replace(maps, probabilities={v: p * 0 for v, p in maps.probabilities.items()})
    for name, aggregation in ALL:
        if name in ("entropy", "error"):
            assert not measure(sure, name, "coronal", SCHEMA, aggregation).overall.any()


def test_a_label_that_the_model_never_learned_has_no_score():
    schema = LabelSchema.parse("3=artery,7=vein,9=nerve")
    for name, aggregation in ALL:
        assert not measure(made_maps(), name, "axial", schema, aggregation).labels[:, 2].any()


def test_a_volume_of_one_slice_has_scores():
    maps = made_maps()
    geometry = Geometry((1, 12, 10), (3.0, 1.0, 1.0))
    thin = MadeMaps(
        Volume(maps.labelmap.array[3:4], geometry),
        {v: p[3:4] for v, p in maps.probabilities.items()},
    )
    slices, volume = (measure(thin, "entropy", plane, SCHEMA) for plane in ("axial", None))
    assert slices.overall.shape == (1,) and np.allclose(slices.overall, volume.overall)


def test_what_is_no_number_and_what_there_is_not_are_sentences():
    maps = made_maps()
    maps.probabilities[7][0, 0, 0] = np.nan
    with pytest.raises(SelectionError, match="isn't a number .NaN. everywhere: check the image"):
        measure(maps, "error", "axial", SCHEMA)
    with pytest.raises(SelectionError, match="isn't a number"):
        measure(maps, "entropy", "axial", SCHEMA)
    plain = replace(made_maps(), variance=None, mutual_information=None)
    with pytest.raises(SelectionError, match="can't tell the mutual information: it needs .*drop"):
        measure(plain, "mutual_information", "axial", SCHEMA)
    with pytest.raises(SelectionError, match="'entropy:median' isn't a score"):
        measure(plain, "entropy", "axial", SCHEMA, "median")


def test_foreground_is_counted_per_item_and_label():
    labelmap = made_maps().labelmap
    counts = count_foreground(labelmap, "axial", SCHEMA)
    assert counts.shape == (8, 2) and counts[2:6].tolist() == [[18, 18]] * 4
    assert not counts[:2].any() and count_foreground(labelmap, None, SCHEMA).tolist() == [[72, 72]]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_rim_holds_what_is_within_its_width_and_nothing_else(data):
    spacing = data.draw(st.tuples(*[st.sampled_from([0.7, 1.0, 2.0, 5.0])] * 3))
    center = data.draw(st.tuples(*[st.integers(0, 11)] * 3))
    mask = np.zeros((12, 12, 12), bool)
    mask[center] = True
    wide = with_rim(mask, Geometry(mask.shape, spacing), 3.0)
    away = [np.abs(np.arange(12) - c) for c in center]
    near = [(a * s <= 3.0 + 1e-9) | (a <= 1) for a, s in zip(away, spacing)]
    assert np.array_equal(wide, near[0][:, None, None] & near[1][:, None] & near[2])
