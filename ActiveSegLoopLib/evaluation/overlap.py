"""Overlap of label maps: Dice, intersection over union, volumes, and their summaries.

Label arrays are z, y, x and hold the schema's values. In a volume that was annotated in part, a
mask says where the truth is known; everything is counted inside it only. A structure absent from
both has no overlap: NaN, and means leave it out. Absent from the truth but predicted: Dice 0, and
the volume of the false positive says how much.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.volume import Volume, require_same_geometry

Mask = np.ndarray | Mapping[int, np.ndarray] | None


@dataclass(frozen=True)
class Overlap:
    """One structure's voxels in truth, in prediction and in both, and what follows from them."""

    truth_voxels: int
    predicted_voxels: int
    common_voxels: int
    voxel_volume: float = math.nan  # mm3

    @property
    def dice(self) -> float:
        """2|A∩B| / (|A|+|B|); NaN when both are empty."""
        total = self.truth_voxels + self.predicted_voxels
        return 2 * self.common_voxels / total if total else math.nan

    @property
    def iou(self) -> float:
        """|A∩B| / |A∪B|; NaN when both are empty."""
        union = self.truth_voxels + self.predicted_voxels - self.common_voxels
        return self.common_voxels / union if union else math.nan

    @property
    def truth_ml(self) -> float:
        """Volume in the truth."""
        return self.truth_voxels * self.voxel_volume / 1000

    @property
    def predicted_ml(self) -> float:
        """Volume in the prediction."""
        return self.predicted_voxels * self.voxel_volume / 1000

    @property
    def false_positive_ml(self) -> float:
        """Volume predicted where the truth has something else."""
        return (self.predicted_voxels - self.common_voxels) * self.voxel_volume / 1000


def count_overlap(
    truth: np.ndarray,
    prediction: np.ndarray,
    value: int,
    mask: np.ndarray | None = None,
    voxel_volume: float = math.nan,
) -> Overlap:
    """Count the voxels that have `value`; voxel_volume in mm3 gives the volumes their unit.

    Raises ImageError when the arrays' shapes differ.
    """
    for name, array in (("prediction", prediction), ("mask", mask)):
        if array is not None and array.shape != truth.shape:
            raise ImageError(
                f"The {name} has {array.shape} voxels (z, y, x) but the truth {truth.shape}: "
                "compare label maps on the same grid."
            )
    in_truth, in_prediction = truth == value, prediction == value
    if mask is not None:
        known = np.asarray(mask, dtype=bool)
        in_truth, in_prediction = in_truth & known, in_prediction & known
    return Overlap(
        int(np.count_nonzero(in_truth)),
        int(np.count_nonzero(in_prediction)),
        int(np.count_nonzero(in_truth & in_prediction)),
        voxel_volume,
    )


def dice(
    truth: np.ndarray, prediction: np.ndarray, value: int, mask: np.ndarray | None = None
) -> float:
    """Dice of the voxels that have `value`; NaN when neither array has any."""
    return count_overlap(truth, prediction, value, mask).dice


def iou(
    truth: np.ndarray, prediction: np.ndarray, value: int, mask: np.ndarray | None = None
) -> float:
    """Intersection over union of the voxels that have `value`; NaN when neither has any."""
    return count_overlap(truth, prediction, value, mask).iou


def dice_per_label(
    truth: np.ndarray, prediction: np.ndarray, labels: Mapping[int, str], mask: Mask = None
) -> dict[str, float]:
    """Dice of each structure by name; labels maps values to names.

    mask: bool array of where the truth is known; or one for each value, as in a volume where only
    some classes were annotated. A value without a mask of its own wasn't annotated at all: NaN.
    """
    return {
        name: count_overlap(truth, prediction, value, known).dice
        for value, name, known in _masked(labels, mask, truth)
    }


def compare_labels(
    truth: Volume, prediction: Volume, labels: Mapping[int, str], mask: Mask = None
) -> dict[str, Overlap]:
    """The overlap of each structure by name, with volumes in ml; masks as in dice_per_label.

    Raises ImageError when the two don't lie on the same grid.
    """
    require_same_geometry(truth, prediction, "the truth", "The prediction")
    return {
        name: count_overlap(
            truth.array, prediction.array, value, known, truth.geometry.voxel_volume
        )
        for value, name, known in _masked(labels, mask, truth.array)
    }


def _masked(labels: Mapping[int, str], mask: Mask, truth: np.ndarray):
    for value, name in labels.items():
        if not isinstance(mask, Mapping):
            yield value, name, mask
        else:
            yield value, name, mask.get(value, np.zeros(truth.shape, dtype=bool))


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation (n - 1) and number of the values that are defined."""

    mean: float
    sd: float
    count: int


def summarize(values: Iterable[float]) -> Summary:
    """Summary of values without the NaN ones; mean NaN when none is left, SD NaN for one."""
    known = [float(value) for value in values if not math.isnan(value)]
    if not known:
        return Summary(math.nan, math.nan, 0)
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else math.nan
    return Summary(float(np.mean(known)), sd, len(known))


def mean_dice(scores: Mapping[str, float]) -> float:
    """Mean over the structures that are present; NaN when none is."""
    return summarize(scores.values()).mean
