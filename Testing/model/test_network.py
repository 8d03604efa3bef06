"""The U-Net: shapes, anisotropy, dropout and attention."""

import pytest
import torch

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model.device import mixed_precision, move
from ActiveSegLoopLib.model.network import NetworkSettings, UNet


def settings(**changes) -> NetworkSettings:
    fields = dict(
        in_channels=1,
        out_channels=3,
        channels=(4, 8, 16),
        kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3)),
        strides=((1, 2, 2), (2, 2, 2)),
    )
    return NetworkSettings(**(fields | changes))


@pytest.mark.parametrize("pool", [0, 2, 3])
def test_the_output_has_the_inputs_shape_for_every_way_down(pool):
    network = UNet(settings(pool=pool)).eval()
    image = torch.randn(2, 1, 4, 12, 8)
    assert network(image).shape == (2, 3, 4, 12, 8)


def test_the_divisor_is_the_product_of_the_strides():
    assert settings().divisor == (2, 4, 4)


def test_settings_survive_json():
    assert NetworkSettings.from_dict(settings(pool=2).to_dict()) == settings(pool=2)


@pytest.mark.parametrize("place", ["last", "decoder", "bottleneck", "everywhere"])
def test_dropout_acts_only_where_it_was_placed_and_only_in_training_mode(place):
    torch.manual_seed(0)
    network = UNet(settings(dropout=0.5, dropout_at=place))
    image = torch.randn(1, 1, 4, 8, 8)
    active = [n for n, m in network.named_modules() if isinstance(m, torch.nn.Dropout3d)]
    assert active
    if place == "last":
        assert active == ["decoder_dropout.1"]
    if place == "bottleneck":
        assert active == ["encoder_dropout.2"]
    assert not torch.equal(network.train()(image), network(image))
    assert torch.equal(network.eval()(image), network(image))


def test_attention_maps_have_a_channel_per_class_and_change_over_space():
    torch.manual_seed(0)
    network = UNet(settings(attention=True)).eval()
    features, attention = network.feature_and_attention_maps(torch.randn(1, 1, 4, 16, 16))
    assert features.shape == attention.shape == (1, 3, 4, 16, 16)
    assert attention.min() >= 0 and attention.max() <= 1
    # A one-channel spatial attention would give the same class everywhere.
    assert len(attention.argmax(dim=1).unique()) > 1


def test_asking_a_network_without_attention_for_its_maps_is_a_clear_error():
    with pytest.raises(ModelError, match="no attention maps"):
        UNet(settings()).feature_and_attention_maps(torch.randn(1, 1, 4, 8, 8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dropout_at": "somewhere"}, "somewhere"),
        ({"pool": 5}, "pooling kernel"),
        ({"channels": (4, 8)}, "one kernel per level"),
    ],
)
def test_settings_that_make_no_network_are_refused(change, message):
    with pytest.raises(ModelError, match=message):
        settings(**change)


@pytest.mark.parametrize("depth", [2, 4, 8])
def test_gradients_on_flat_patches_are_right_whatever_lay_in_memory_before(depth):
    cpu = torch.device("cpu")
    torch.manual_seed(0)
    network = move(UNet(settings(channels=(8, 16, 32), dropout_at="none")), cpu)
    image = torch.randn(2, 1, depth, 16, 16)
    weights = torch.randn(2, 3, *image.shape[2:])

    def gradients(mixed: bool) -> list[torch.Tensor]:
        network.zero_grad()
        with mixed_precision(cpu, mixed):
            logits = network(image)
        (logits.float() * weights).sum().backward()
        return [p.grad.clone() for p in network.parameters()]

    exact = gradients(mixed=False)
    for _ in range(5):
        # What the next tensors find in memory.
        junk = [torch.full((size,), 1e9) for size in (10, 1000, 10_000, 100_000, 1_000_000)]
        del junk
        for found, wanted in zip(gradients(mixed=True), exact, strict=True):
            assert (found - wanted).abs().max() <= 0.5 * wanted.abs().max() + 1
