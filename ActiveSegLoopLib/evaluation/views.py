"""Slices of a volume as a radiologist looks at them: which one, which way round, which window."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.images.orientation import to_lps
from ActiveSegLoopLib.images.volume import Volume

PLANES = ("axial", "coronal", "sagittal")
SOFT_TISSUE = (-160.0, 260.0)  # HU; the usual abdominal window, 50 ± 210
_EDGE_LETTERS = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}


@dataclass(frozen=True)
class View:
    """One slice, rows from top to bottom and columns from left to right as they are shown.

    The patient's right is on the left of axial and coronal views, the front on the left of
    sagittal ones; head or front are up. spacing: mm per row and column. letters: what lies at the
    left, right, top and bottom edge.
    """

    plane: str
    spacing: tuple[float, float]
    letters: tuple[str, str, str, str]
    index: int

    def of(self, volume: Volume) -> np.ndarray:
        """The slice's pixels of a volume on the grid that the view was made for."""
        return _shown(to_lps(volume).array, self.plane, self.index)


def view(volume: Volume, plane: str, index: int) -> View:
    """The view of one slice; index counts along the plane's LPS axis (to the back, the head)."""
    z, y, x = to_lps(volume).geometry.spacing
    spacing = {"axial": (y, x), "coronal": (z, x), "sagittal": (z, y)}[plane]
    return View(plane, spacing, tuple(_EDGE_LETTERS[plane]), index)


def _shown(array: np.ndarray, plane: str, index: int) -> np.ndarray:
    # Arrays are z, y, x towards head, back, left: only the head has to be turned up.
    if plane == "axial":
        return array[index]
    return array[::-1, index, :] if plane == "coronal" else array[::-1, :, index]


def telling_slice(
    labelmap: Volume, plane: str, focus: int | None = None, seen: Collection[int] = ()
) -> int:
    """The slice to show: the one with most of `focus`, or most of all structures together.

    Each structure counts by its area as a share of its own largest area, so that a small one
    counts as much as a large one; those in `seen`, which another picture shows, count a quarter.
    The middle slice when there is nothing.
    """
    array = to_lps(labelmap).array
    axis = PLANES.index(plane)
    across = tuple(a for a in range(3) if a != axis)
    values = [focus] if focus is not None else [v for v in np.unique(array) if v != 0]
    score = np.zeros(array.shape[axis])
    for value in values:
        area = np.count_nonzero(array == value, axis=across)
        score += (0.25 if value in seen else 1.0) * area / max(1, area.max())
    return int(score.argmax()) if score.any() else array.shape[axis] // 2


def gray_window(image: Volume) -> tuple[float, float]:
    """The values to show as black and white.

    CT (values in HU with air) gets the soft-tissue window; anything else the 1st to 99.5th
    percentile of what isn't the constant that fills the border.
    """
    array = image.array[tuple(slice(None, None, max(1, n // 96)) for n in image.array.shape)]
    array = array[np.isfinite(array)].astype(float)
    if array.size and array.min() < -700 and array.max() > 100 and np.median(array) < 300:
        return SOFT_TISSUE
    varied = array[array != image.array.flat[0]]
    low, high = np.percentile(varied if varied.size else [0, 1], (1, 99.5))
    return (float(low), float(high)) if high > low else (float(low), float(low) + 1)
