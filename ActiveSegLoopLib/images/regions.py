"""Boxes around what was found: one per organ instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ActiveSegLoopLib.errors import ImageError

MERGE_COST = 1.2  # boxes whose union holds at most this times their summed volume become one


@dataclass(frozen=True)
class Box:
    """A box of voxels, half-open: lower (z, y, x) is inside, upper isn't."""

    lower: tuple[int, int, int]
    upper: tuple[int, int, int]

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            object.__setattr__(self, name, tuple(int(v) for v in getattr(self, name)))
        if len(self.lower) != 3 or len(self.upper) != 3:
            raise ImageError(f"A box needs 3 lower and 3 upper bounds, not {self}.")

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """What indexes an array (z, y, x); meant for boxes that lie inside it."""
        return tuple(slice(low, high) for low, high in zip(self.lower, self.upper))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y, x; 0 where the box is empty."""
        return tuple(max(0, high - low) for low, high in zip(self.lower, self.upper))

    @property
    def volume(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape, dtype=np.int64))

    def intersection(self, other: Box) -> Box | None:
        """The box that lies in both, None when there is none."""
        lower = tuple(map(max, self.lower, other.lower))
        upper = tuple(map(min, self.upper, other.upper))
        return Box(lower, upper) if all(a < b for a, b in zip(lower, upper)) else None

    def union(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(tuple(map(min, self.lower, other.lower)), tuple(map(max, self.upper, other.upper)))

    def dilated(self, voxels: int | Sequence[int]) -> Box:
        """Larger by so many voxels (one number, or z, y, x) on every side; not clipped."""
        steps = np.broadcast_to(np.asarray(voxels, int), 3)
        return Box(tuple(np.subtract(self.lower, steps)), tuple(np.add(self.upper, steps)))

    def clipped(self, shape: Sequence[int]) -> Box:
        """The part inside an array of this shape (z, y, x); empty (shape 0) when none is."""
        lower = tuple(min(max(0, low), n) for low, n in zip(self.lower, shape))
        upper = tuple(min(max(low, high), n) for low, high, n in zip(lower, self.upper, shape))
        return Box(lower, upper)

    def contains(self, other: Box | Sequence[int]) -> bool:
        """Whether a box or a voxel (z, y, x) lies wholly inside."""
        if not isinstance(other, Box):
            other = Box(tuple(other), tuple(int(v) + 1 for v in other))
        return all(a <= b for a, b in zip(self.lower, other.lower)) and all(
            a >= b for a, b in zip(self.upper, other.upper)
        )


def box_of(mask: np.ndarray) -> Box | None:
    """The smallest box around the true voxels of a 3D mask, None when there are none."""
    bounds = []
    for axis in range(3):
        hits = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if hits.size == 0:
            return None
        bounds.append((hits[0], hits[-1] + 1))
    return Box(tuple(low for low, _ in bounds), tuple(high for _, high in bounds))


def find_boxes(
    mask: np.ndarray,
    spacing: Sequence[float],
    margin_mm: float,
    minimum_mm3: float = 0,
    gap_mm: float = 0,
) -> list[Box]:
    """A box for each organ instance in a mask (z, y, x), the one with most mask first.

    Connected components (26 neighbors) closer than gap_mm belong to one instance; instances of
    less than minimum_mm3 are dropped; boxes grow by margin_mm (rounded up to voxels) and are
    clipped to the array; boxes whose union costs little more than both (1.2x) become one.
    """
    if mask.ndim != 3 or len(spacing) != 3:
        raise ImageError("Boxes are found in 3D masks with three spacings (z, y, x).")
    mask = np.asarray(mask, bool)
    whole = box_of(mask)
    if whole is None:
        return []
    spacing = np.asarray(spacing, float)
    instances = _instances(mask[whole.slices], spacing, gap_mm, np.asarray(whole.lower))
    margin = np.ceil(margin_mm / spacing - 1e-6).astype(int)
    found = [
        (count, box.dilated(margin).clipped(mask.shape))
        for count, box in instances
        if count * spacing.prod() >= minimum_mm3
    ]
    return [box for _, box in sorted(_merged(found), key=lambda item: (-item[0], item[1].lower))]


def _instances(
    mask: np.ndarray, spacing: np.ndarray, gap_mm: float, offset: np.ndarray
) -> list[tuple[int, Box]]:
    """Voxel count and box of each component of the mask, those closer than gap_mm together."""
    if gap_mm > 0:
        # Two parts are closer than the gap when their halos of half the gap touch.
        reach = np.ceil(gap_mm / spacing).astype(int)
        padded = np.pad(mask, [(int(r), int(r)) for r in reach])
        near = ndimage.distance_transform_edt(~padded, sampling=spacing) <= gap_mm / 2
        inner = tuple(slice(int(r), int(r) + n) for r, n in zip(reach, mask.shape))
        labels, count = ndimage.label(near | padded, np.ones((3, 3, 3)))
        labels = np.where(mask, labels[inner], 0)
    else:
        labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    return [
        (
            int(sizes[number]),
            Box(
                tuple(offset + [s.start for s in slices]),
                tuple(offset + [s.stop for s in slices]),
            ),
        )
        for number, slices in enumerate(ndimage.find_objects(labels, count), start=1)
        if slices is not None
    ]


def _merged(found: list[tuple[int, Box]]) -> list[tuple[int, Box]]:
    found = list(found)
    merged = True
    while merged:
        merged = False
        for i in range(len(found)):
            for j in range(i + 1, len(found)):
                union = found[i][1].union(found[j][1])
                overlap = found[i][1].intersection(found[j][1])
                if overlap and union.volume <= MERGE_COST * (
                    found[i][1].volume + found[j][1].volume
                ):
                    found[i] = (found[i][0] + found[j][0], union)
                    del found[j]
                    merged = True
                    break
            if merged:
                break
    return found
