"""Boxes around what was found: one per organ instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ActiveSegLoopLib.errors import ImageError

MERGE_COST = 1.0  # overlapping boxes whose union holds at most this times both become one


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

    @classmethod
    def of(cls, slices: Sequence[slice]) -> Box:
        """The box that three slices with a start and a stop span."""
        return cls(tuple(s.start for s in slices), tuple(s.stop for s in slices))

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

    def seen_from(self, origin: Sequence[int]) -> Box:
        """The same box where voxels are counted from origin (z, y, x)."""
        return Box(tuple(np.subtract(self.lower, origin)), tuple(np.subtract(self.upper, origin)))

    def intersection(self, other: Box) -> Box | None:
        """The box that lies in both, None when there is none."""
        lower = tuple(map(max, self.lower, other.lower))
        upper = tuple(map(min, self.upper, other.upper))
        return Box(lower, upper) if all(a < b for a, b in zip(lower, upper)) else None

    def union(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(
            tuple(map(min, self.lower, other.lower)), tuple(map(max, self.upper, other.upper))
        )

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
    clipped to the array; boxes whose union holds no more voxels than both together become one.
    """
    if mask.ndim != 3 or len(spacing) != 3:
        raise ImageError("Boxes are found in 3D masks with three spacings (z, y, x).")
    mask = np.asarray(mask, bool)
    whole = box_of(mask)
    if whole is None:
        return []
    spacing = np.asarray(spacing, float)
    instances = _instances(mask, whole, spacing, gap_mm)
    margin = np.ceil(margin_mm / spacing - 1e-6).astype(int)
    found = [
        (count, box.dilated(margin).clipped(mask.shape))
        for count, box in instances
        if count * spacing.prod() >= minimum_mm3
    ]
    return [box for _, box in sorted(_merged(found), key=lambda item: (-item[0], item[1].lower))]


def _instances(
    mask: np.ndarray, whole: Box, spacing: np.ndarray, gap_mm: float
) -> list[tuple[int, Box]]:
    """Voxel count and box of each component of the mask, those closer than gap_mm together."""
    parts, count = ndimage.label(mask[whole.slices], np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    boxes = [Box.of(slices) for slices in ndimage.find_objects(parts, count)]
    group = _near(parts, boxes, sizes, spacing, gap_mm) if gap_mm > 0 else list(range(count))
    found: dict[int, tuple[int, Box]] = {}
    for number, root in enumerate(group):
        size, box = found.get(root, (0, boxes[number]))
        found[root] = (size + int(sizes[number]), box.union(boxes[number]))
    return [(size, box.seen_from(np.negative(whole.lower))) for size, box in found.values()]


def _near(
    parts: np.ndarray, boxes: list[Box], sizes: np.ndarray, spacing: np.ndarray, gap_mm: float
) -> list[int]:
    """For each component the number of its group: those with less than gap_mm between them."""
    reach = np.ceil(gap_mm / spacing).astype(int) + 1
    lower, upper = (np.array([getattr(box, side) for box in boxes]) for side in ("lower", "upper"))
    group = list(range(len(boxes)))

    def root(number: int) -> int:
        while group[number] != number:
            number = group[number]
        return number

    for one in np.argsort(-sizes, kind="stable"):  # small parts mostly join large ones
        wide = boxes[one].dilated(reach)
        for other in np.flatnonzero(np.all((lower < wide.upper) & (upper > wide.lower), axis=1)):
            if root(one) == root(other):
                continue
            region = wide.intersection(boxes[other].dilated(reach)).clipped(parts.shape)
            inside = parts[region.slices]
            # Distances from the voxels around a part, so that they count the empty voxels between.
            around = ndimage.binary_dilation(inside == one + 1, np.ones((3, 3, 3)))
            away = ndimage.distance_transform_edt(~around, sampling=spacing)
            if np.any(away[inside == other + 1] < gap_mm):
                group[root(other)] = root(one)
    return [root(number) for number in range(len(boxes))]


def _merged(found: list[tuple[int, Box]]) -> list[tuple[int, Box]]:
    """Boxes whose union holds at most MERGE_COST times their summed volume made one."""
    lower = np.array([box.lower for _, box in found]).reshape(-1, 3)
    upper = np.array([box.upper for _, box in found]).reshape(-1, 3)
    sizes = np.array([size for size, _ in found])
    alive = np.ones(len(found), bool)
    waiting = list(range(len(found)))
    while waiting:
        one = waiting.pop()
        low, high = np.minimum(lower, lower[one]), np.maximum(upper, upper[one])
        overlap = np.minimum(upper, upper[one]) > np.maximum(lower, lower[one])
        apart = (upper - lower).prod(axis=1)
        cheap = (high - low).prod(axis=1) <= MERGE_COST * (apart + apart[one])
        cheap &= overlap.all(axis=1) & alive
        cheap[one] = False
        others = np.flatnonzero(cheap)
        if others.size:
            other = others[0]
            lower[one], upper[one] = low[other], high[other]
            sizes[one] += sizes[other]
            alive[other] = False
            waiting = [number for number in waiting if number != other]
            waiting.append(one)  # it may now reach others
    return [(int(sizes[n]), Box(tuple(lower[n]), tuple(upper[n]))) for n in np.flatnonzero(alive)]
