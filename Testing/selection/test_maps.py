"""Maps of uncertainty: on the image's grid, inside the regions, whatever way the image lies."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.images.geometry import PLANES, Geometry
from ActiveSegLoopLib.images.orientation import from_lps, to_lps
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.model_files import Model
from ActiveSegLoopLib.model.network import NetworkSettings, UNet
from ActiveSegLoopLib.model.plan import Plan, StagePlan
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.selection.attention_maps import agreement, p_scores
from ActiveSegLoopLib.selection.maps import Maps, uncertainty_maps
from ActiveSegLoopLib.study.schema import LabelSchema

CPU = torch.device("cpu")
SCHEMA = LabelSchema.parse("3=liver,7=spleen")  # not 1 and 2: values are not channels
UPRIGHT = Geometry((20, 24, 40), (1.5, 1.0, 1.0), (10.0, -20.0, 30.0))


class Bright(torch.nn.Module):
    """A locator that finds what is bright."""

    def forward(self, image):
        return torch.cat((image < 1, image >= 1), dim=1).float() * 20


def predictor(locator=True, spacing=(1.5, 1.0, 1.0), **network) -> Predictor:
    """A cascade: what is brighter than 10 is located, a network with random weights segments it."""
    torch.manual_seed(3)
    fields = dict(dropout=0.5, dropout_at="last") | network
    settings = NetworkSettings(1, 3, (4, 8), ((3, 3, 3),) * 2, ((2, 2, 2),), **fields)
    stage = StagePlan(spacing, (12, 16, 16), settings)
    coarse = StagePlan((1.5, 1.0, 1.0), (20, 24, 40), replace(settings, out_channels=2))
    fixed = {"kind": "fixed", "low": -100.0, "high": 100.0, "mean": 0.0, "std": 10.0}
    plan = Plan((fixed,), stage, coarse if locator else None, 2.0, 0.0, 1.0)
    return Predictor(Model(SCHEMA, plan, UNet(settings), Bright() if locator else None), CPU)


def an_image(geometry=UPRIGHT) -> Volume:
    """Noise with two bright blocks; the same in the patient however the grid lies."""
    values = np.random.default_rng(0).normal(0, 2, UPRIGHT.shape).astype(np.float32)
    for start in ((6, 8, 6), (8, 10, 28)):
        values[tuple(slice(s, s + 6) for s in start)] += 40
    return from_lps(Volume(values, UPRIGHT), geometry)


def lying(order, flips) -> Geometry:
    """The grid of UPRIGHT with array axes permuted and flipped: the same voxels."""
    shape = [UPRIGHT.shape[a] for a in order]
    axes = np.eye(3)[:, [2 - a for a in order]] * np.where(flips, -1, 1)
    first = [UPRIGHT.shape[a] - 1 if f else 0 for a, f in zip(order, flips, strict=True)]
    corner = np.zeros(3)
    corner[list(order)] = first
    return Geometry(
        shape, [UPRIGHT.spacing[a] for a in order], UPRIGHT.index_to_world(corner),
        axes[:, ::-1].ravel(),
    )


@pytest.mark.parametrize(
    ("order", "flips"),
    [
        ((0, 1, 2), (0, 0, 1)), ((2, 0, 1), (1, 0, 0)), ((1, 2, 0), (1, 1, 1)),
        ((0, 2, 1), (1, 0, 1)),
    ],
)
def test_the_way_the_image_lies_changes_nothing_in_the_patient(order, flips):
    model, image = predictor(attention=True), an_image(lying(order, flips))
    assert to_lps(image).geometry.difference(UPRIGHT) is None
    expected = uncertainty_maps(model, [an_image()], features=True)
    found = uncertainty_maps(model, [image], features=True)
    turned = tuple(slice(None, None, -1 if f else 1) for f in flips)
    for name in ("entropy", "variance", "mutual_information"):
        upright = getattr(expected, name)
        assert upright.dtype == np.float32 and upright.max() > 0
        assert np.array_equal(getattr(found, name), upright.transpose(order)[turned]), name
    for name in ("labelmap", "plain", "attention"):
        one, other = getattr(found, name), getattr(expected, name)
        assert np.array_equal(one.array, other.array.transpose(order)[turned]), name
        assert one.geometry == image.geometry and set(np.unique(one.array)) <= {0, 3, 7}
    np.testing.assert_array_equal(found.features, expected.features)
    for plane in PLANES:
        step = -1 if flips[image.geometry.axis_of(plane)] else 1
        rows = found.slice_features(plane)
        assert len(rows) == image.array.shape[image.geometry.axis_of(plane)]
        np.testing.assert_array_equal(rows, expected.slice_features(plane)[::step])


def test_there_is_nothing_outside_the_regions_of_interest():
    maps = uncertainty_maps(predictor(), [an_image()], features=True)
    assert len(maps.regions) == 2
    inside = np.zeros(UPRIGHT.shape, bool)
    for region in maps.regions:
        inside[region.box.slices] = True
    assert 0 < np.count_nonzero(inside) < inside.size
    for values in (maps.entropy, maps.variance, maps.mutual_information, *per_class(maps)):
        assert not values[~inside].any() and values[inside].any()
    for plane in PLANES:
        axis = UPRIGHT.axis_of(plane)
        crossed = inside.any(axis=tuple(a for a in range(3) if a != axis))
        assert np.array_equal(maps.slice_features(plane).any(axis=1), crossed)


def per_class(maps: Maps) -> list[np.ndarray]:
    return list(maps.class_entropy.values())


@pytest.mark.parametrize("spacing", [(1.5, 1.0, 1.0), (2.0, 2.0, 1.3)])
def test_the_entropy_is_that_of_the_mean_and_divides_among_the_classes(spacing):
    maps = uncertainty_maps(predictor(False, spacing), [an_image()])
    assert list(maps.class_entropy) == [3, 7] and len(maps.class_entropy) == 2
    background = 1 - maps.probability(3) - maps.probability(7)
    parts = sum(per_class(maps)) + background * maps.entropy
    np.testing.assert_allclose(parts, maps.entropy, atol=1e-5)
    np.testing.assert_array_equal(maps.class_entropy[7], maps.probability(7) * maps.entropy)
    assert np.all(maps.mutual_information <= maps.entropy + 1e-6)
    probabilities = np.stack([background, maps.probability(3), maps.probability(7)])
    if spacing == UPRIGHT.spacing:
        entropy = -(probabilities * np.log(probabilities)).sum(axis=0)
        np.testing.assert_allclose(maps.entropy, entropy, atol=1e-5)
        likeliest = np.array([0, 3, 7])[probabilities.argmax(axis=0)]
        assert np.array_equal(maps.labelmap.array, likeliest)
    with pytest.raises(KeyError):
        maps.class_entropy[1]


def test_without_dropout_it_is_what_the_model_predicts_anyway():
    model, image = predictor(spacing=(2.0, 1.4, 1.2)), an_image()
    maps = uncertainty_maps(model, [image], plain=True)
    segmented = model.segment([image])
    assert np.array_equal(maps.plain.array, segmented.labelmap.array)
    assert [region.box for region in maps.regions] == list(segmented.boxes)
    assert len(np.unique(segmented.labelmap.array)) == 3
    assert uncertainty_maps(model, [image]).plain is None


@pytest.mark.parametrize("network", [{"dropout_at": "none"}, {"dropout": 0.0}, {}])
def test_a_single_prediction_has_an_entropy_and_nothing_to_compare(network):
    maps = uncertainty_maps(predictor(**network), [an_image()], passes=10 if network else 1)
    assert maps.passes == 1 and maps.variance is None and maps.mutual_information is None
    assert maps.entropy.max() > 0 and set(maps.class_entropy) == {3, 7}
    assert np.array_equal(maps.plain.array, maps.labelmap.array)


def test_the_same_seed_gives_the_same_maps():
    model, image = predictor(), an_image()
    one, same, other = (uncertainty_maps(model, [image], seed=s).variance for s in (4, 4, 5))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize("shape", [(1, 24, 40), (20, 1, 40), (1, 1, 1)])
def test_a_volume_of_one_slice_has_maps_too(shape):
    geometry = replace(UPRIGHT, shape=shape)
    image = Volume(an_image().array[: shape[0], : shape[1], : shape[2]], geometry)
    maps = uncertainty_maps(predictor(False, attention=True), [image], features=True)
    for values in (maps.entropy, maps.variance, maps.labelmap.array, maps.attention.array):
        assert values.shape == shape and np.isfinite(values).all()
    assert np.isfinite(maps.features).all() and maps.slice_features("axial").shape[0] == shape[0]
    assert len(p_scores(maps, "axial").accuracy) == shape[0]


def test_what_is_no_number_is_a_sentence_and_no_map():
    image = an_image()
    image.array[7, 9, 7] = np.nan
    with pytest.raises(ModelError, match="isn't a number .NaN. everywhere; check the image"):
        uncertainty_maps(predictor(False), [image])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"passes": 0}, "at least 1 pass, not 0"), ({"precision": "low"}, "'low'")],
)
def test_what_cant_be_asked_for_is_a_sentence(wrong, sentence):
    with pytest.raises(ModelError, match=sentence):
        uncertainty_maps(predictor(), [an_image()], **wrong)


def test_features_that_werent_asked_for_are_a_sentence():
    maps = uncertainty_maps(predictor(), [an_image()])
    assert maps.features is None
    with pytest.raises(ModelError, match="without features"):
        maps.slice_features("axial")


def test_what_is_kept_and_shown_is_a_percentage_of_the_largest_entropy():
    maps = uncertainty_maps(predictor(), [an_image()])
    shown = maps.uncertainty()
    assert shown.array.dtype == np.uint8 and shown.geometry == UPRIGHT
    np.testing.assert_allclose(shown.array, 100 * maps.entropy / np.log(3), atol=0.51)


def test_where_regions_overlap_the_larger_uncertainty_counts():
    maps = uncertainty_maps(predictor(False), [an_image()])
    twice = replace(maps.regions[0], entropy=maps.regions[0].entropy * 2)
    both = replace(maps, regions=(twice, *maps.regions))
    np.testing.assert_allclose(both.entropy, 2 * maps.entropy, rtol=1e-6)


FIRST = np.array([[[0, 0, 0]], [[3, 3, 0]], [[3, 7, 7]], [[0, 0, 0]], [[3, 0, 0]]])
SECOND = np.array([[[0, 0, 0]], [[3, 0, 0]], [[7, 7, 7]], [[0, 7, 0]], [[3, 0, 0]]])


def test_p_scores_are_those_of_the_paper():
    scores = agreement(FIRST, SECOND, 0, [3, 7])
    # Both empty: 1. One empty: 0. A label that only one of both has: 0.
    np.testing.assert_allclose(scores.dice, [1, 2 / 3, (0 + 4 / 5) / 2, 0, 1])
    np.testing.assert_allclose(scores.accuracy, [1, 2 / 3, 2 * 2 / 6, 0, 1])
    np.testing.assert_allclose(scores.labels[7], [np.nan, np.nan, 4 / 5, 0, np.nan])
    across = agreement(FIRST.transpose(2, 0, 1), SECOND.transpose(2, 0, 1), 1, [3, 7])
    np.testing.assert_array_equal(across.dice, scores.dice)


def test_p_scores_need_a_model_with_attention():
    with pytest.raises(ModelError, match="no attention maps; train one with attention"):
        p_scores(uncertainty_maps(predictor(), [an_image()]), "axial")


def test_p_scores_follow_the_plane_and_compare_attention_with_the_segmentation():
    maps = uncertainty_maps(predictor(attention=True), [an_image(lying((2, 0, 1), (1, 0, 0)))])
    for plane in PLANES:
        axis = maps.geometry.axis_of(plane)
        expected = agreement(maps.plain.array, maps.attention.array, axis, [3, 7])
        np.testing.assert_array_equal(p_scores(maps, plane).dice, expected.dice)
