"""Islands: stray parts of a predicted label, far smaller than any part that was ever labeled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ActiveSegLoopLib.images.regions import box_of

# Parts of fewer voxels beside larger ones are slips of the pen: a stray click, a stroke's rest.
# What is outlined on purpose is at least two voxels wide, and so is a cube of this many.
_FEWEST_VOXELS = 8
# A part may be this much smaller than the smallest one labeled.
_SMALLER = 0.5
# Labeled cases needed to tell.
_FEWEST = 4
_TOUCHING = np.ones((3, 3, 3), bool)


def smallest_part(mask: np.ndarray, voxel_volume: float) -> float | None:
    """The volume (mm3) of the smallest part of a label's mask (z, y, x); None if it is empty.

    A part is what touches, corners included. Slips of the pen are none.
    """
    box = box_of(mask)
    if box is None:
        return None
    sizes = _sizes(*ndimage.label(mask[box.slices], _TOUCHING))
    if sizes.max() >= _FEWEST_VOXELS:
        sizes = sizes[sizes >= _FEWEST_VOXELS]
    return float(sizes.min() * voxel_volume)


def island_limits(smallest: Sequence[Sequence[float | None]]) -> tuple[float, ...]:
    """Per label below which volume (mm3) a part is an island, from `smallest_part` per case.

    Half of the smallest part labeled in any case; 0, so that nothing is one, where fewer than 4
    cases tell.
    """
    limits = []
    for values in zip(*smallest, strict=True):
        known = [value for value in values if value is not None]
        enough = len(known) >= _FEWEST
        limits.append(_SMALLER * min(known) if enough else 0.0)
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
