"""The oracle: who corrects a prediction in an experiment, in place of a person."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.regions import box_of
from ActiveSegLoopLib.images.volume import Volume, require_same_geometry


@dataclass(frozen=True)
class Effort:
    """How much of a structure (or of all) had to be corrected.

    voxels_changed: voxels added or removed. voxels_foreground: voxels that have the structure
    before or after.
    """

    voxels_changed: int
    voxels_foreground: int

    @property
    def share_changed(self) -> float:
        """Changed over foreground voxels, 0 to 1; NaN where the structure isn't at all."""
        if self.voxels_foreground == 0:
            return math.nan
        return self.voxels_changed / self.voxels_foreground


@dataclass(frozen=True)
class Correction:
    """A corrected label map and what it took.

    labelmap: on the prediction's grid. total: over all structures. per_label: by name.
    slices_changed: how many slices along the first array axis were touched.
    """

    labelmap: Volume
    total: Effort
    per_label: Mapping[str, Effort]
    slices_changed: int

    @property
    def share_changed(self) -> float:
        """Share of the foreground voxels that were changed."""
        return self.total.share_changed


def correct(
    prediction: Volume,
    truth: Volume,
    labels: Mapping[int, str],
    tolerance_mm: float | None = None,
) -> Correction:
    """Correct a prediction as a person would, who knows the truth but isn't pedantic.

    Where an edge of a thick structure is off by no more than the tolerance, it stays as predicted.
    Everything else becomes the truth: what is further off, missing or invented, and thin structures
    (which vanish under an opening by twice the tolerance), where so much would be a gross error. A
    corrected label is thus biased towards the prediction, as Kim's CNN-corrected labels are.

    labels: value -> name, all values that may occur. tolerance_mm: None is one voxel within the
    slice (the second smallest spacing); 0 returns the truth. Deterministic. Raises ImageError when
    the grids differ or a value isn't in `labels`.
    """
    require_same_geometry(truth, prediction, "the truth", "The prediction")
    for name, volume in (("truth", truth), ("prediction", prediction)):
        strange = sorted(set(np.unique(volume.array).tolist()) - {0, *labels})
        if strange:
            raise ImageError(f"The {name} holds the value {strange[0]}, which is no label's value.")
    spacing = truth.geometry.spacing
    if tolerance_mm is None:
        tolerance_mm = sorted(spacing)[1]

    corrected = prediction.array.copy()
    box = box_of(prediction.array != truth.array)
    if box is not None:
        ball = _ball(tolerance_mm, spacing)
        # A margin wide enough for opening and dilating without edge effects.
        margin = [4 * (n // 2) + 1 for n in ball.shape]
        part = box.dilated(margin).clipped(truth.array.shape).slices
        true, predicted = truth.array[part], prediction.array[part]
        wrong = (true != predicted) & ~_tolerated(true, predicted, labels, ball)
        corrected[part][wrong] = true[wrong]
    return Correction(
        prediction.with_array(corrected),
        _effort(prediction.array, corrected),
        {name: _effort(prediction.array, corrected, v) for v, name in labels.items()},
        int(np.count_nonzero((prediction.array != corrected).any(axis=(1, 2)))),
    )


def _tolerated(
    true: np.ndarray, predicted: np.ndarray, labels: Mapping[int, str], ball: np.ndarray
) -> np.ndarray:
    """Where a wrong voxel is a slight shift of an edge: bool, meaningful where the two differ."""
    left = true != predicted
    for value in (0, *labels):
        is_true, is_predicted = true == value, predicted == value
        if not (left & (is_true | is_predicted)).any():
            continue
        # What was predicted here truly is nearby, and what is true here was predicted nearby.
        left &= ~is_predicted | ndimage.binary_dilation(is_true, ball)
        left &= ~is_true | ndimage.binary_dilation(is_predicted, ball)
        if value != 0:
            # border_value keeps what the image's edge cuts off from counting as thin.
            core = ndimage.binary_erosion(is_true, ball, iterations=2, border_value=1)
            thick = ndimage.binary_dilation(core, ball, iterations=2)
            left &= ~(is_true | is_predicted) | ndimage.binary_dilation(thick, ball)
    return left


def _ball(radius: float, spacing: tuple[float, float, float]) -> np.ndarray:
    """Voxels (z, y, x) whose center is within `radius` mm of the middle one's."""
    reach = [int(radius / s + 1e-6) for s in spacing]
    offsets = np.meshgrid(
        *[np.arange(-n, n + 1) * s for n, s in zip(reach, spacing)], indexing="ij"
    )
    return sum(o**2 for o in offsets) <= (radius * (1 + 1e-6)) ** 2


def _effort(before: np.ndarray, after: np.ndarray, value: int | None = None) -> Effort:
    if value is None:
        changed, foreground = before != after, (before != 0) | (after != 0)
    else:
        one, other = before == value, after == value
        changed, foreground = one != other, one | other
    return Effort(int(np.count_nonzero(changed)), int(np.count_nonzero(foreground)))
