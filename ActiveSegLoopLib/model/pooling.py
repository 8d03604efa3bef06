"""The network's features of one input, averaged over its foreground: a vector, and one a slice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

# What background weighs against foreground: where there is no foreground, it counts alone.
_BACKGROUND = 1e-3


class FeaturePool:
    """Sums of features weighted by the probability of foreground, window by window.

    For each axis z, y, x of the input: `sums` (channels, slices) and `weights` (slices) of the last
    block's features; `deep` (channels of the deepest block, and last their weight). Voxels that lie
    in several windows count in each.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self.sums: list[Tensor] = []
        self.weights = [torch.zeros(n) for n in self.shape]
        self.deep: Tensor | None = None

    def add(
        self, features: Tensor, deep: Tensor, foreground: Tensor, where: Sequence[slice]
    ) -> None:
        """Add a window at `where` (may reach beyond the input, where nothing counts).

        Features (channels, z, y, x), those of the deepest block on its coarser grid, and the
        probability of foreground (z, y, x).
        """
        weight = foreground + _BACKGROUND
        inside = []
        for place, size in zip(where, self.shape, strict=True):
            low, high = max(0, place.start), min(size, place.stop)
            inside.append(slice(low - place.start, high - place.start))
        mask = torch.zeros_like(weight)
        mask[tuple(inside)] = 1
        weight = weight * mask
        coarse = functional.adaptive_avg_pool3d(weight[None], deep.shape[1:])[0]
        vector = torch.cat(((deep.float() * coarse).sum(dim=(1, 2, 3)), coarse.sum()[None])).cpu()
        self.deep = vector if self.deep is None else self.deep + vector
        if not self.sums:
            self.sums = [torch.zeros(len(features), n) for n in self.shape]
        # One channel at a time: the product of all with the weight would be as large as them.
        rows = zip(*(_profiles(values.float() * weight) for values in features), strict=True)
        for sums, weights, row, own, place in zip(
            self.sums, self.weights, rows, _profiles(weight), where, strict=True
        ):
            low, high = max(0, place.start), min(sums.shape[1], place.stop)
            inside = slice(low - place.start, high - place.start)
            sums[:, low:high] += torch.stack(row)[:, inside].cpu()
            weights[low:high] += own[inside].cpu()


def _profiles(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The sums of an array (z, y, x) over each two of its axes, by z, by y, by x."""
    across = values.sum(dim=2)
    return across.sum(dim=1), across.sum(dim=0), values.sum(dim=(0, 1))
