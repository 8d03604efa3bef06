"""Instance normalization that keeps the memory layout in which a CPU convolves fastest."""

from __future__ import annotations

import torch
from monai.networks.layers import Norm
from torch import Tensor, nn
from torch.nn import functional

# Its name for MONAI's blocks.
INSTANCE = "LAYOUT_KEEPING_INSTANCE"


class LayoutKeepingInstanceNorm(nn.InstanceNorm3d):
    """PyTorch's InstanceNorm3d, for inputs whose channels come last in memory too.

    PyTorch copies those to channels first and back, which costs what the layout gains. The batch
    normalization of one sample is its instance normalization, and has code for both layouts.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize each channel of each sample (batch, channels, z, y, x)."""
        last = x.is_contiguous(memory_format=torch.channels_last_3d)
        if not last or x.is_contiguous():
            return super().forward(x)
        samples = [
            functional.batch_norm(
                sample, None, None, self.weight, self.bias, training=True, eps=self.eps
            )
            for sample in x.split(1)
        ]
        return torch.cat(samples) if len(samples) > 1 else samples[0]


Norm.add_factory_callable(INSTANCE, lambda dimensions: LayoutKeepingInstanceNorm)
