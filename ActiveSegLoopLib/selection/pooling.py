"""The IoU over many slices together, with an interval that says how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.evaluation.statistics import LEAST_PAIRS, expanded_tail

_RESAMPLES = 1000


@dataclass(frozen=True)
class PooledIoU:
    """IoU of the voxels of `slices` slices taken together, and its bootstrap interval.

    NaN where no slice has the structure; the interval is NaN for fewer than 3 slices.
    """

    iou: float
    interval: tuple[float, float]
    slices: int


def pooled_iou(
    common: Sequence[float] | np.ndarray,
    union: Sequence[float] | np.ndarray,
    seed: int = 0,
    level: float = 0.95,
) -> PooledIoU:
    """The sum of the common voxels over that of the united ones; slices with neither don't count.

    common, union: voxels per slice (slices,); or per slice and structure (slices, structures), of
    which the mean over the structures is taken. The interval resamples slices.
    """
    common, union = np.asarray(common, float), np.asarray(union, float)
    if common.ndim == 1:
        common, union = common[:, None], union[:, None]
    used = union.sum(axis=1) > 0
    common, union = common[used], union[used]
    count = int(used.sum())
    if count == 0:
        return PooledIoU(math.nan, (math.nan, math.nan), 0)
    iou = float(_iou(common[None], union[None])[0])
    if count < LEAST_PAIRS:
        return PooledIoU(iou, (math.nan, math.nan), count)
    drawn = np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))
    tail = expanded_tail(count, level)
    low, high = np.quantile(_iou(common[drawn], union[drawn]), (tail, 1 - tail))
    return PooledIoU(iou, (float(low), float(high)), count)


def _iou(common: np.ndarray, union: np.ndarray) -> np.ndarray:
    """Of arrays (resamples, slices, structures): (resamples,)."""
    united = union.sum(axis=1)
    ratio = np.divide(
        common.sum(axis=1), united, out=np.full(united.shape, np.nan), where=united > 0
    )
    return np.nanmean(ratio, axis=1)
