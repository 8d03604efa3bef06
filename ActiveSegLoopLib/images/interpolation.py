"""Labels between annotated slices, by the shapes on both sides, and how far to trust them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.regions import box_of


class SliceShapes:
    """The labels of some parallel slices, as signed distances to each label's outline.

    labels: array (z, y, x) of whole numbers, of which only the slices `indices` across `axis` are
    looked at; spacing: mm along z, y, x. Between two slices the distances are interpolated linearly
    and each voxel gets the label it lies deepest in, if any (shape-based interpolation, Raya and
    Udupa 1990). A label that one of the two slices lacks ends halfway. Raises ImageError for slices
    that the array doesn't have.
    """

    def __init__(
        self,
        labels: np.ndarray,
        indices: Sequence[int],
        axis: int,
        spacing: tuple[float, float, float],
    ) -> None:
        self._slices = np.moveaxis(labels, axis, 0)
        self._spacing = np.delete(np.asarray(spacing, float), axis)
        self.indices = sorted({int(index) for index in indices})
        outside = [i for i in self.indices if not 0 <= i < len(self._slices)]
        if outside:
            raise ImageError(
                f"There is no slice {outside[0]} across axis {axis}: the label map has "
                f"{len(self._slices)}, 0 to {len(self._slices) - 1}."
            )
        self._box = self._foreground()
        self._distances: dict[tuple[int, int], np.ndarray | None] = {}

    def between(self, index: int, before: int, after: int) -> np.ndarray:
        """The labels of slice `index` from those of two slices around it: (rows, columns)."""
        share = (index - before) / (after - before)
        whole = np.zeros(self._slices[before].shape, self._slices.dtype)
        pair = self._slices[before][self._box], self._slices[after][self._box]
        found = whole[self._box]
        deepest = np.zeros(pair[0].shape, np.float32)
        for value in np.union1d(*(np.unique(part) for part in pair)):
            if value == 0:
                continue
            first, last = self._distance(before, value), self._distance(after, value)
            # Missing on one side: the deepest point vanishes halfway.
            first = -np.full_like(last, last.max()) if first is None else first
            last = -np.full_like(first, first.max()) if last is None else last
            depth = (1 - share) * first + share * last
            inside = depth > deepest
            found[inside], deepest[inside] = value, depth[inside]
        return whole

    def _foreground(self) -> tuple[slice, slice]:
        """The part of the slices that holds all labels and a pixel around them.

        Distances within it are the same as in the whole slices.
        """
        found = np.zeros(self._slices.shape[1:], bool)
        for index in self.indices:
            found |= self._slices[index] != 0
        box = box_of(found[None])
        if box is None:
            return slice(0, 0), slice(0, 0)
        return box.dilated((0, 1, 1)).clipped((1, *found.shape)).slices[1:]

    def _distance(self, index: int, value: int) -> np.ndarray | None:
        """Distance to the outline in mm, positive inside; None where the slice lacks the label."""
        from scipy.ndimage import distance_transform_edt

        key = (index, int(value))
        if key not in self._distances:
            mask = self._slices[index][self._box] == value
            distance = None
            if mask.any():
                distance = np.full(mask.shape, np.linalg.norm(mask.shape * self._spacing))
                if not mask.all():  # of a slice without an outline scipy makes nonsense
                    distance = distance_transform_edt(mask, self._spacing)
                    distance -= distance_transform_edt(~mask, self._spacing)
                distance = distance.astype(np.float32)
            self._distances[key] = distance
        return self._distances[key]


def interpolate_slices(
    labels: np.ndarray, indices: Sequence[int], axis: int, spacing: tuple[float, float, float]
) -> np.ndarray:
    """A copy of a label array with the slices between the given ones interpolated.

    labels: (z, y, x); indices: the annotated slices across `axis`; spacing: mm along z, y, x. What
    lies outside the first and last of them stays as it is. Raises ImageError for fewer than two
    slices and for slices that the array doesn't have.
    """
    shapes = SliceShapes(labels, indices, axis, spacing)
    if len(shapes.indices) < 2:
        raise ImageError(
            f"Interpolation needs at least two annotated slices, not {len(shapes.indices)}."
        )
    result = labels.copy()
    slices = np.moveaxis(result, axis, 0)
    for before, after in zip(shapes.indices, shapes.indices[1:]):
        for index in range(before + 1, after):
            slices[index] = shapes.between(index, before, after)
    return result
