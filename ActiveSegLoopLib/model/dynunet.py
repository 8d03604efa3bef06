"""Our U-Net as MONAI's DynUNet: the same function, in a class that MONAI has itself.

MONAI's axes are x, y, z and ours z, y, x, so kernels and strides are turned around, too. On its
way up DynUNet convolves with the kernels of one level deeper, ours with those of the level itself:
where that one is smaller, zeros around it make it the larger one.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from monai.networks.nets import DynUNet
from torch import Tensor
from torch.nn import functional

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model.network import NetworkSettings, UNet

# DynUNet takes no fewer levels.
_FEWEST_LEVELS = 3
# In double precision the two differ by rounding alone.
_ROUNDING = 1e-6


def dynunet_arguments(settings: NetworkSettings) -> dict[str, Any]:
    """What DynUNet is made with to be a network of these settings, as plain values for JSON.

    Raises ModelError for a network that DynUNet can't be.
    """
    reason, levels = None, len(settings.channels)
    if settings.attention:
        reason = "it has attention, as with the preset zhang2020"
    elif settings.pool:
        reason = "it goes down by max pooling, as with the preset kim2020"
    elif levels < _FEWEST_LEVELS:
        reason = f"it has only {levels} of at least {_FEWEST_LEVELS} levels, as for tiny images"
    if reason:
        raise ModelError(
            f"This model can't become a MONAI bundle: {reason}, and MONAI has no network like that."
        )
    strides = [list(reversed(step)) for step in settings.strides]
    return {
        "spatial_dims": 3,
        "in_channels": settings.in_channels,
        "out_channels": settings.out_channels,
        "kernel_size": [list(reversed(kernel)) for kernel in settings.kernels],
        "strides": [[1, 1, 1], *strides],
        "upsample_kernel_size": strides,
        "filters": list(settings.channels),
        "norm_name": ["INSTANCE", {"affine": True}],
        "deep_supervision": False,
    }


def as_dynunet(network: UNet) -> DynUNet:
    """A DynUNet that gives the network's logits (without dropout) for an image along x, y, z.

    Raises ModelError where DynUNet can't be that network, or isn't after all.
    """
    twin = DynUNet(**dynunet_arguments(network.settings))
    known = twin.state_dict()
    weights = {
        name: _centered(values, known[name].shape) if name in known else values
        for name, values in _renamed(network).items()
    }
    missing, strange = twin.load_state_dict(weights, strict=False)
    # Its blocks go by a second name, under which they are wired.
    missing = [name for name in missing if not name.startswith("skip_layers.")]
    if missing or strange:
        raise ModelError(
            f"This version of MONAI has another DynUNet than expected ({[*missing, *strange][0]}), "
            "so no bundle can be written."
        )
    twin.eval()
    difference = _difference(network, twin)
    if not difference <= _ROUNDING:
        raise ModelError(
            f"MONAI's DynUNet gives other results than this model (by {difference:.2g}), so no "
            "bundle can be written."
        )
    return twin


def _renamed(network: UNet) -> dict[str, Tensor]:
    """The network's weights under DynUNet's names, their axes x, y, z."""
    deepest = len(network.settings.channels) - 1

    def name_of(part: str, number: str, rest: str) -> str:
        if part == "encoder":
            names = {0: "input_block", deepest: "bottleneck"}
            return f"{names.get(int(number), f'downsamples.{int(number) - 1}')}.{rest}"
        if part == "up":
            return f"upsamples.{number}.transp_conv.{rest}"
        if part == "decoder":
            return f"upsamples.{number}.conv_block.{rest}"
        return f"output_block.{number}.{rest}"

    return {
        name_of(*name.split(".", 2)): _turned(weights)
        for name, weights in network.state_dict().items()
    }


def _turned(weights: Tensor) -> Tensor:
    """A kernel's axes z, y, x as x, y, z; images as well."""
    return weights.permute(0, 1, 4, 3, 2).contiguous() if weights.dim() == 5 else weights


def _centered(weights: Tensor, shape: torch.Size) -> Tensor:
    """A convolution's kernel within a larger one of zeros, which gives the same."""
    if weights.dim() != 5 or weights.shape == shape:
        return weights
    rims = [(b - a) // 2 for a, b in zip(weights.shape[2:], shape[2:], strict=True)]
    return functional.pad(weights, [rim for rim in reversed(rims) for _ in range(2)])


def _difference(network: UNet, twin: DynUNet) -> float:
    """The largest difference of the logits of both on a random patch, in double precision."""
    size = [2 * step for step in network.settings.divisor]
    random = torch.Generator().manual_seed(0)
    shape = (1, network.settings.in_channels, *size)
    patch = torch.randn(shape, generator=random, dtype=torch.double)
    with torch.inference_mode():
        ours = copy.deepcopy(network).cpu().double().eval()(patch)
        theirs = copy.deepcopy(twin).double()(_turned(patch))
    return float((_turned(ours) - theirs).abs().max())
