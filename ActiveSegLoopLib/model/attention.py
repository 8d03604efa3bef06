"""The attention of Zhang 2020: channel and spatial attention in two parallel paths."""

from __future__ import annotations

import torch
from monai.networks.blocks import ChannelSELayer
from torch import Tensor, nn

# The logit of a label that was never learned (see unlearned.py): its probability is exactly 0, and
# half precision can hold it. As a bias of the spatial path it says so of a network with attention.
SILENT = -1000.0


class ConcurrentAttention(nn.Module):
    """Reweights C feature maps by channel attention times C-channel spatial attention.

    The channel path is a squeeze-and-excitation gate; the spatial path a 3 x 3 x 3 convolution
    with C output channels and a sigmoid. With a single spatial channel the argmax over the
    attention maps would be the same everywhere, so each class has its own.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel = ChannelSELayer(3, channels, r=1).fc
        self.spatial = nn.Conv3d(channels, channels, kernel_size=3, padding=1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The reweighted maps and the attention maps, both (batch, C, z, y, x)."""
        gate = self.channel(features.mean(dim=(2, 3, 4)))[:, :, None, None, None]
        attention = torch.sigmoid(self.spatial(features)) * gate
        reweighted = features * attention
        # Attention of 0 would leave a logit of 0.
        bias = self.spatial.bias.detach()
        silent = torch.where(bias <= SILENT / 2, SILENT, 0.0).to(reweighted.dtype)
        return reweighted + silent[:, None, None, None], attention
