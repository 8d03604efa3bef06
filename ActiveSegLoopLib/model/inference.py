"""One network over one array: in one piece or in blended windows, and back to a finer grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn
from torch.nn import functional

from ActiveSegLoopLib.model.device import mixed_precision
from ActiveSegLoopLib.model.plan import StagePlan

# Class probabilities on the original grid are made in slabs of about this many bytes.
_SLAB_BYTES = 64e6
# The slices of an input (z, y, x) that a window covers; it may reach beyond the input's edges.
Where = Sequence[slice]


def predict(
    network: nn.Module,
    stage: StagePlan,
    image: np.ndarray,
    device: torch.device,
    stitched: torch.device | None = None,
) -> Tensor:
    """Class probabilities (channels, z, y, x) of an input (channels, z, y, x).

    `stitched`: see in_windows.
    """

    def probabilities(patch: Tensor, where: Where) -> Tensor:
        with mixed_precision(device):
            return torch.softmax(network(patch).float(), dim=1)

    return in_windows(stage, image, device, probabilities, stitched)


def in_windows(
    stage: StagePlan,
    image: np.ndarray,
    device: torch.device,
    work: Callable[[Tensor, Where], Tensor],
    stitched: torch.device | None = None,
) -> Tensor:
    """What `work` makes of an input (channels, z, y, x): values (any number, z, y, x).

    In one piece where the stage says so, else in overlapping windows of the patch's size, blended
    with Gaussian weights (MONAI). `work` gets each (1, channels, z, y, x), padded with zeros as
    patches are in training, and where it lies in the input; it gives a new tensor
    (1, values, z, y, x). Input and result lie on `stitched` (default: `device`), windows on
    `device`.
    """
    stitched = stitched or device
    divisor = np.array(stage.network.divisor)
    size = np.array(image.shape[1:])
    usual = np.array(stage.patch)
    larger = (size > usual) & (size <= stage.one_piece * usual)
    window = np.where(larger, np.ceil(size / divisor) * divisor, usual).astype(int)
    if (window == divisor).all():
        window[-1] *= 2  # instance normalization needs two voxels at the deepest level
    tensor = torch.from_numpy(image)[None].to(stitched)
    padding = np.maximum(window - size, 0) // 2

    def one(patch: Tensor, places: list) -> Tensor:
        starts = [place.start for place in places[0][2:]] - padding
        return work(patch, [slice(int(a), int(a + n)) for a, n in zip(starts, window, strict=True)])

    with torch.inference_mode():
        return sliding_window_inference(
            tensor, tuple(int(n) for n in window), 1, one, overlap=0.5, mode="gaussian",
            with_coord=True, sw_device=device, device=stitched,
        )[0]


def original_grid(
    probabilities: Tensor, shape: tuple[int, int, int]
) -> Iterator[tuple[slice, Tensor]]:
    """Probabilities (C, z, y, x) resampled linearly to `shape` (same edges), slab by slab.

    Yields the slab's slice along z and its values (C, slab, y, x): never the whole at once.
    """
    classes, depth = probabilities.shape[:2]
    slab = max(1, int(_SLAB_BYTES / (4 * classes * shape[1] * shape[2])))
    for start in range(0, shape[0], slab):
        stop = min(shape[0], start + slab)
        position = (torch.arange(start, stop, device=probabilities.device) + 0.5) * depth
        position = (position / shape[0] - 0.5).clamp(0, depth - 1)
        below = position.floor().long()
        above = (below + 1).clamp_max(depth - 1)
        weight = (position - below)[:, None, None]
        part = torch.lerp(probabilities[:, below], probabilities[:, above], weight)
        if part.shape[2:] != tuple(shape[1:]):
            part = functional.interpolate(
                part, shape[1:], mode="bilinear", align_corners=False
            )
        yield slice(start, stop), part
