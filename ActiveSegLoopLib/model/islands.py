"""Islands: stray parts of a predicted label, far smaller than any part that was ever labeled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ActiveSegLoopLib.images.regions import box_of

# The largest parts that together hold this share of a label count; the rest is slips of the pen.
_SHARE = 0.99
# A part may be this much smaller than the smallest one labeled.
_SMALLER = 0.5
# Labeled cases needed to tell.
_FEWEST = 4
_TOUCHING = np.ones((3, 3, 3), bool)


def smallest_part(mask: np.ndarray, voxel_volume: float) -> float | None:
    """The volume (mm3) of the smallest part of a label's mask (z, y, x); None if it is empty.

    A part is what touches, corners included.
    """
    box = box_of(mask)
    if box is None:
        return None
    sizes = np.sort(_sizes(*ndimage.label(mask[box.slices], _TOUCHING)))[::-1]
    counted = np.searchsorted(np.cumsum(sizes), _SHARE * sizes.sum()) + 1
    return float(sizes[counted - 1] * voxel_volume)


def island_limits(smallest: Sequence[Sequence[float | None]]) -> tuple[float, ...]:
    """Per label below which volume (mm3) a part is an island, from `smallest_part` per case.

    Half of the smallest part labeled (the 5th percentile over the cases); 0, so that nothing is
    one, where fewer than 4 cases tell.
    """
    limits = []
    for values in zip(*smallest, strict=True):
        known = [value for value in values if value is not None]
        enough = len(known) >= _FEWEST
        limits.append(_SMALLER * float(np.percentile(known, 5)) if enough else 0.0)
    return tuple(limits)


def drop_islands(channels: np.ndarray, limits: Sequence[float], voxel_volume: float) -> None:
    """Make background of each label's islands in a map of channels (z, y, x; 0 = background).

    limits: per label, of channel 1 on (mm3). A label's largest part stays, however small it is.
    """
    if not any(limits):
        return
    boxes = ndimage.find_objects(channels, max_label=len(limits))
    for channel, (box, limit) in enumerate(zip(boxes, limits, strict=True), start=1):
        if box is None or not limit:
            continue
        parts, count = ndimage.label(channels[box] == channel, _TOUCHING)
        sizes = _sizes(parts, count)
        dropped = sizes * voxel_volume < limit
        dropped[np.argmax(sizes)] = False
        if dropped.any():
            channels[box][np.append(False, dropped)[parts]] = 0


def _sizes(parts: np.ndarray, count: int) -> np.ndarray:
    """Voxels of each part."""
    return np.bincount(parts.ravel(), minlength=count + 1)[1:]
