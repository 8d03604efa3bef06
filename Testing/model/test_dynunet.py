"""Our U-Net in MONAI's class: the same logits, or a refusal."""

import pytest
import torch

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model import dynunet
from ActiveSegLoopLib.model.dynunet import as_dynunet, dynunet_arguments
from ActiveSegLoopLib.model.network import NetworkSettings, UNet

CUBE, FLAT = (3, 3, 3), (1, 3, 3)


def settings(kernels=(CUBE,) * 3, strides=((2, 2, 2),) * 2, **changes) -> NetworkSettings:
    channels = tuple(4 + 2 * level for level in range(len(kernels)))
    return NetworkSettings(**(dict(
        in_channels=1, out_channels=3, channels=channels, kernels=kernels, strides=strides,
    ) | changes))


def network(**changes) -> UNet:
    """One whose normalization does something, too, as after training."""
    torch.manual_seed(0)
    made = UNet(settings(**changes))
    for name, weights in made.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(weights)
    return made.eval()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"in_channels": 2, "out_channels": 5, "dropout": 0.5, "dropout_at": "everywhere"},
        # Thick slices: convolved across and halved on deeper levels only.
        {"kernels": (FLAT, FLAT, CUBE, CUBE), "strides": ((1, 2, 2), (1, 2, 2), (2, 2, 1))},
    ],
)
def test_the_logits_are_the_same_with_the_axes_turned_around(changes):
    ours = network(**changes)
    theirs = as_dynunet(ours)
    step = torch.tensor(ours.settings.divisor)
    patch = torch.randn(2, ours.settings.in_channels, *(step * torch.tensor((2, 3, 2))).tolist())
    with torch.no_grad():
        found, expected = theirs(patch.permute(0, 1, 4, 3, 2)), ours(patch)
    assert torch.allclose(found.permute(0, 1, 4, 3, 2), expected, atol=1e-4)
    assert not theirs.training


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"attention": True}, "attention"),
        ({"pool": 3}, "max pooling"),
        ({"kernels": (CUBE,) * 2, "strides": ((2, 2, 2),)}, "only 2 of at least 3 levels"),
        ({"kernels": (CUBE,), "strides": ()}, "only 1 of"),
    ],
)
def test_a_network_that_monai_lacks_is_refused(changes, reason):
    with pytest.raises(ModelError, match=reason):
        dynunet_arguments(settings(**changes))


def test_a_difference_is_an_error(monkeypatch):
    monkeypatch.setattr(dynunet, "_turned", lambda weights: weights * 1.01)
    with pytest.raises(ModelError, match="gives other results"):
        as_dynunet(network())


def test_another_dynunet_than_expected_is_an_error(monkeypatch):
    renamed = dynunet._renamed
    monkeypatch.setattr(
        dynunet, "_renamed", lambda network: {f"new.{k}": v for k, v in renamed(network).items()}
    )
    with pytest.raises(ModelError, match="another DynUNet than expected"):
        as_dynunet(network())
