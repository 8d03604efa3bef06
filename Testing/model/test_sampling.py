"""Monte Carlo dropout: the same as running the network again and again, for less."""

import weakref
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from ActiveSegLoopLib.model import sampling
from ActiveSegLoopLib.model.inference import in_windows, predict
from ActiveSegLoopLib.model.network import NetworkSettings, UNet
from ActiveSegLoopLib.model.plan import StagePlan
from ActiveSegLoopLib.model.sampling import SampleSettings, sample

CPU = torch.device("cpu")
PLACES = ("last", "decoder", "bottleneck", "everywhere")
SHAPE = (6, 18, 10)


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """Also where the processor is faster in half, so that results can be compared closely."""
    monkeypatch.setattr("ActiveSegLoopLib.model.device.half_precision", lambda device: None)


def stage(place="last", patch=(6, 20, 12), **changes) -> StagePlan:
    fields = dict(
        in_channels=1, out_channels=3, channels=(4, 6, 8),
        kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3)), strides=((1, 2, 2), (2, 2, 2)),
        dropout=0.5, dropout_at=place,
    )
    return StagePlan((1.0, 1.0, 1.0), patch, NetworkSettings(**(fields | changes)))


def network_of(plan: StagePlan) -> UNet:
    torch.manual_seed(1)
    return UNet(plan.network).eval()


def an_image(shape=SHAPE, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, *shape)).astype(np.float32)


@contextmanager
def one_pass(network: UNet, masks, number: int):
    """The whole network with the masks of one pass put behind its dropout layers."""
    layers = [*network.encoder_dropout, *network.decoder_dropout]
    hooks = [
        layer.register_forward_hook(
            lambda layer, taken, given, row=mask[number]: given * row[:, None, None, None]
        )
        for layer, mask in zip(layers, masks, strict=True)
        if mask is not None
    ]
    yield
    for hook in hooks:
        hook.remove()


def passes_of(network, plan, image, passes, seed=0) -> np.ndarray:
    """The plain way: every pass through all of the network, (passes, classes, z, y, x)."""
    found = []
    masks = network.draw_masks(passes, seed)
    for number in range(passes):
        with one_pass(network, masks, number):
            found.append(predict(network, plan, image, CPU).double().numpy())
    return np.stack(found)


def entropy_of(probabilities: np.ndarray, axis: int) -> np.ndarray:
    return -(probabilities * np.log(probabilities)).sum(axis=axis)


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_the_statistics_are_those_of_passes_through_the_whole_network(place, attention):
    plan = stage(place, attention=attention)
    network, image = network_of(plan), an_image()
    found = sample(network, plan, image, CPU, SampleSettings(7))
    expected = passes_of(network, plan, image, 7)
    mean = expected.mean(axis=0)
    np.testing.assert_allclose(found.mean, mean, atol=1e-5)
    # The population variance, averaged over all classes with the background.
    np.testing.assert_allclose(found.variance, expected.var(axis=0).mean(axis=0), atol=1e-6)
    information = entropy_of(mean, 0) - entropy_of(expected, 1).mean(axis=0)
    np.testing.assert_allclose(found.mutual_information, information, atol=1e-5)
    assert found.variance.max() > 1e-3, "The passes differ."


@pytest.mark.parametrize("place", PLACES)
def test_what_precedes_the_first_dropout_is_computed_once(place):
    plan = stage(place)
    network = network_of(plan)
    blocks = [*network.encoder, *network.decoder]
    runs = [0] * len(blocks)
    for number, block in enumerate(blocks):
        block.register_forward_hook(lambda *run, n=number: runs.__setitem__(n, runs[n] + 1))
    sample(network, plan, an_image(), CPU, SampleSettings(5, plain=False))
    first = network.first_dropout
    assert runs[: first + 1] == [1] * (first + 1)
    assert runs[first + 1 :] == [5] * (len(blocks) - first - 1)


def test_nothing_but_dropout_becomes_random_or_changes():
    plan = stage("everywhere")
    network, image = network_of(plan), an_image()
    modes = []
    for module in network.modules():
        module.register_forward_pre_hook(lambda module, taken: modes.append(module.training))
    torch.manual_seed(5)
    first = sample(network, plan, image, CPU, SampleSettings(3))
    after = torch.rand(1)
    second = sample(network, plan, image, CPU, SampleSettings(3))
    assert torch.equal(first.mean, second.mean), "The seed alone decides."
    assert modes and not any(modes), "Normalization and all else stay as in prediction."
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after), "Other random numbers aren't used up."
    other = sample(network, plan, image, CPU, SampleSettings(3, seed=1))
    assert not torch.equal(first.mean, other.mean)


def test_masks_drop_whole_channels_as_often_as_they_should_and_keep_the_mean():
    network = network_of(stage("everywhere", dropout=0.25, channels=(40, 60, 80)))
    masks = network.draw_masks(50, 0)
    assert [m.shape[1] for m in masks] == [40, 60, 80, 60, 40]
    values = torch.cat([m.flatten() for m in masks])
    assert sorted(set(values.tolist())) == [0.0, pytest.approx(1 / 0.75)]
    assert values.mean() == pytest.approx(1.0, abs=0.02)
    fewer = network.draw_masks(3, 0)
    assert all(torch.equal(a[:3], b) for a, b in zip(masks, fewer, strict=True))


@pytest.mark.parametrize("place", PLACES)
def test_several_windows_share_the_mask_of_a_pass(place):
    """Then the mean over passes of blended probabilities is the blended mean of each window's."""
    plan = stage(place, patch=(6, 12, 8))
    network, image = network_of(plan), an_image((6, 40, 22))
    found = sample(network, plan, image, CPU, SampleSettings(4, mixed=False, plain=True))
    windows = []
    in_windows(plan, image, CPU, lambda patch, where: windows.append(where) or 1 * patch)
    assert len(windows) > 4
    expected = passes_of(network, plan, image, 4)
    np.testing.assert_allclose(found.mean, expected.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found.plain, predict(network, plan, image, CPU), atol=1e-5)
    # Blended variances rank the voxels as the variance of blended probabilities does.
    variance = expected.var(axis=0).mean(axis=0)
    assert spearmanr(found.variance.ravel(), variance.ravel()).statistic > 0.85


def test_windows_say_where_they_lie_in_the_input():
    plan = stage(patch=(8, 16, 8))
    image = an_image((5, 30, 5))
    windows = []

    def work(patch, where):
        windows.append(where)
        inside = tuple(slice(max(0, p.start), p.stop) for p in where)
        part = torch.from_numpy(image[(0, *inside)])
        before = [max(0, -p.start) for p in where]
        ends = [b + n for b, n in zip(before, part.shape, strict=True)]
        held = patch[(0, 0, *(slice(b, e) for b, e in zip(before, ends, strict=True)))]
        assert torch.equal(held, part)
        return patch.clone()

    in_windows(plan, image, CPU, work)
    assert len(windows) == 3 and windows[0][2] == slice(-1, 7)


def window_shapes(plan: StagePlan, shape) -> list[tuple[int, ...]]:
    shapes = []
    in_windows(plan, an_image(shape), CPU, lambda patch, where: shapes.append(patch.shape[2:])
               or patch.clone())
    return [tuple(s) for s in shapes]


def test_windows_are_as_large_as_patches_in_training_whatever_the_input_is():
    plan = stage(patch=(8, 16, 8))
    assert window_shapes(plan, (3, 5, 4)) == [(8, 16, 8)]
    assert window_shapes(plan, (8, 16, 8)) == [(8, 16, 8)]
    assert window_shapes(plan, (9, 16, 8)) == [(8, 16, 8)] * 2


def test_where_patches_hold_whole_organs_one_that_is_a_little_larger_stays_whole():
    plan = replace(stage(patch=(8, 16, 8)), one_piece=1.3)
    assert window_shapes(plan, (3, 17, 8)) == [(8, 20, 8)]
    assert window_shapes(plan, (8, 22, 8)) == [(8, 16, 8)] * 2


@pytest.mark.parametrize("values", [1, 70, 10**9])
def test_the_heads_passes_are_the_same_in_pieces_of_any_size(values, monkeypatch):
    plan = stage("last")
    network, image = network_of(plan), an_image((2, 12, 8))
    whole = sample(network, plan, image, CPU, SampleSettings(5))
    monkeypatch.setattr(sampling, "_CHUNK_VALUES", values)
    pieces = sample(network, plan, image, CPU, SampleSettings(5))
    torch.testing.assert_close(whole.mean, pieces.mean)
    torch.testing.assert_close(whole.variance, pieces.variance)


def test_no_more_than_two_passes_are_in_memory_at_a_time():
    plan = stage("decoder")
    network = network_of(plan)
    alive, most = [], []

    def count(module, taken, given):
        most.append(sum(reference() is not None for reference in alive) + 1)
        alive.append(weakref.ref(given))

    network.head.register_forward_hook(count)
    sample(network, plan, an_image(), CPU, SampleSettings(8))
    assert len(most) == 8 and max(most) <= 2


def test_passes_taken_together_are_the_same_as_one_by_one():
    plan = stage("everywhere")
    network, image = network_of(plan), torch.from_numpy(an_image((6, 20, 12)))[None]
    masks = network.draw_masks(4, 0)
    with torch.inference_mode():
        shared, skips = network.to_dropout(image)
        together = network.from_dropout(shared, list(skips), masks)
        for number, features in enumerate(together):
            alone = [m[number : number + 1] for m in masks]
            one = network.from_dropout(shared, list(skips), alone)[0]
            torch.testing.assert_close(features, one, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("place", ["last", "everywhere"])
def test_the_ranking_of_voxels_survives_half_precision(place, monkeypatch):
    plan = stage(place, patch=(8, 40, 40), dropout=0.2)
    network, image = network_of(plan), an_image((8, 40, 40))
    monkeypatch.setattr("ActiveSegLoopLib.model.device.half_precision", lambda d: torch.bfloat16)
    full = sample(network, plan, image, CPU, SampleSettings(10, mixed=False))
    half = sample(network, plan, image, CPU, SampleSettings(10))
    assert not torch.equal(full.mean, half.mean), "It was computed in half precision."
    for name in ("variance", "mutual_information"):
        one, other = getattr(full, name).ravel(), getattr(half, name).ravel()
        assert spearmanr(one, other).statistic > 0.98, name


@pytest.mark.parametrize(
    ("change", "passes"), [({"dropout_at": "none"}, 10), ({"dropout": 0.0}, 10), ({}, 1)]
)
def test_without_dropout_or_with_one_pass_there_is_a_single_prediction(change, passes):
    plan = stage()
    plan = replace(plan, network=replace(plan.network, **change))
    network, image = network_of(plan), an_image()
    found = sample(network, plan, image, CPU, SampleSettings(passes))
    assert found.variance is None and found.mutual_information is None
    torch.testing.assert_close(found.mean, predict(network, plan, image, CPU))
    assert found.plain is found.mean


def test_a_network_with_attention_also_gives_its_maps_without_dropout():
    plan = stage("everywhere", attention=True, patch=(6, 20, 12))
    network, image = network_of(plan), an_image((6, 20, 12))
    found = sample(network, plan, image, CPU, SampleSettings(3))
    with torch.inference_mode():
        features, attention = network.feature_and_attention_maps(torch.from_numpy(image)[None])
    torch.testing.assert_close(found.attention, attention[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.plain, features[0].softmax(0), atol=1e-5, rtol=1e-4)


def test_pooled_features_are_averages_over_the_foreground_of_every_slice():
    plan = stage("last", patch=(6, 20, 12))
    network, image = network_of(plan), an_image((5, 18, 10))
    found = sample(network, plan, image, CPU, SampleSettings(3, features=True))
    padded = np.pad(image, ((0, 0), (0, 1), (1, 1), (1, 1)))
    with torch.inference_mode():
        features = network.features(torch.from_numpy(padded)[None])[0, :, :5, 1:-1, 1:-1].numpy()
    weight = 1 - predict(network, plan, image, CPU)[0].numpy() + 1e-3
    for axis, others in enumerate(((1, 2), (0, 2), (0, 1))):
        along = tuple(o + 1 for o in others)
        expected = (features * weight).sum(axis=along) / weight.sum(axis=others)
        pooled = found.pool.sums[axis] / found.pool.weights[axis]
        np.testing.assert_allclose(pooled, expected, atol=1e-4)
    assert found.pool.deep.shape == (8 + 1,)
    assert not any(m._forward_hooks for m in network.modules())
