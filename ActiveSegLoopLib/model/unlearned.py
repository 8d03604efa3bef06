"""Labels that no training case is annotated for: a network gives them probability 0.

Such a label is merged with the background in the loss, so that nothing would keep the network from
predicting it anywhere. Its row of the last layer is fixed before the training, which then leaves
it alone: a probability of 0 has no gradient.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from ActiveSegLoopLib.model.attention import SILENT
from ActiveSegLoopLib.model.network import UNet


def silence(network: UNet, labels: Iterable[int]) -> None:
    """Give the labels at these positions of the schema probability 0 everywhere."""
    channels = [label + 1 for label in labels]
    last = _last_layer(network)
    with torch.no_grad():
        last.weight[channels] = 0
        last.bias[channels] = SILENT


def silent_labels(network: UNet) -> list[int]:
    """The positions of the labels that `silence` was called for."""
    bias = _last_layer(network).bias[1:]
    return torch.nonzero(bias <= SILENT / 2).flatten().tolist()


def start_from(network: UNet, earlier: UNet) -> None:
    """Give a new network the weights of an earlier one of the same shape.

    Labels that the earlier one never learned keep the new one's random weights, to be learned now.
    """
    fresh = _last_layer(network)
    rows = [label + 1 for label in silent_labels(earlier)]
    weight, bias = fresh.weight[rows].detach().clone(), fresh.bias[rows].detach().clone()
    network.load_state_dict(earlier.state_dict())
    with torch.no_grad():
        fresh.weight[rows] = weight
        fresh.bias[rows] = bias


def _last_layer(network: UNet) -> nn.Conv3d:
    """What decides alone on each channel: with attention, its spatial path."""
    if network.attention is not None:
        return network.attention.spatial
    return network.head.conv.conv
