"""Intensities brought to a common scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ActiveSegLoopLib.errors import ImageError

PERCENTILES = (0.5, 50.0, 99.5)
_SAMPLE = 4_000_000  # voxels from which percentiles are taken
_PADDED = 0.5  # share of the border voxels that one value must fill to count as padding


def intensity_statistics(array: np.ndarray, mask: np.ndarray | None = None) -> dict[str, float]:
    """Percentiles, mean, standard deviation, minimum, maximum and number of voxels.

    mask: only these voxels (such as the labeled ones); otherwise all but the padding (see
    padding_value). Keys: low (0.5th percentile), median, high (99.5th), mean, std, minimum,
    maximum, count. Large images are sampled evenly (4 million voxels), deterministically; minimum,
    maximum and count are those of all voxels. Raises ImageError when there is no voxel to look at.
    """
    if mask is not None:
        if mask.shape != array.shape:
            raise ImageError(f"A mask of shape {mask.shape} doesn't fit an image of {array.shape}.")
        values = array[mask.astype(bool, copy=False)]
    else:
        padding = padding_value(array)
        values = array.ravel() if padding is None else array[array != padding]
        if values.size == 0:  # nothing but padding: a constant image
            values = array.ravel()
    if values.size == 0:
        raise ImageError("There are no voxels to take intensity statistics of.")
    sample = _evenly(values)
    low, median, high = np.percentile(sample, PERCENTILES)
    return {
        "low": float(low),
        "median": float(median),
        "high": float(high),
        "mean": float(sample.mean()),
        "std": float(sample.std()),
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        "count": int(values.size),
    }


def padding_value(array: np.ndarray) -> float | None:
    """The value that fills the border of an image (what lies outside the scan), None if none does.

    It fills at least half of the voxels on the six faces and is the lowest or highest value there.
    """
    faces = np.concatenate(
        [array.take(end, axis).ravel() for axis in range(3) for end in {0, array.shape[axis] - 1}]
    )
    for value in (faces.min(), faces.max()):
        if np.count_nonzero(faces == value) >= _PADDED * faces.size:
            return value.item()
    return None


def normalize(array: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """Scale intensities to about zero mean and unit deviation, as float32.

    settings: {"kind": "case"} clips to the image's own 0.5th and 99.5th percentiles and divides its
    difference from the mean by the standard deviation, both without padding (see padding_value);
    {"kind": "fixed", "low", "high", "mean", "std"} does so with given numbers, which suits CT. A
    constant image becomes zeros. Raises ImageError for other settings.
    """
    if settings.get("kind") == "case":
        settings = case_settings(array)
    kind = settings.get("kind")
    if kind == "fixed":
        try:
            low, high, mean, std = (float(settings[k]) for k in ("low", "high", "mean", "std"))
        except (KeyError, TypeError, ValueError) as error:
            raise ImageError(
                f"A fixed normalization needs low, high, mean and std, not {dict(settings)}."
            ) from error
    else:
        raise ImageError(f"'{kind}' isn't a kind of normalization: use 'case' or 'fixed'.")
    if not std > 0:
        return np.zeros(array.shape, np.float32)
    # In the image's own precision first: float32 can't tell 16777216 from 16777217.
    exact = array.dtype.itemsize < 4 or array.dtype == np.float32
    wide = np.float32 if exact else np.float64
    scaled = np.clip(array, low, high, dtype=wide, casting="unsafe")
    scaled -= wide(mean)
    scaled *= wide(1 / std)
    return scaled.astype(np.float32, copy=False)


def case_settings(array: np.ndarray) -> dict[str, Any]:
    """The fixed settings that "case" means for this image, so that its parts get the same scale.

    Clip limits, and mean and standard deviation of the clipped values, without padding.
    """
    padding = padding_value(array)
    values = array.ravel() if padding is None else array[array != padding]
    if values.size == 0:
        return {"kind": "fixed", "low": 0.0, "high": 0.0, "mean": 0.0, "std": 0.0}
    sample = _evenly(values)
    low, _, high = (float(value) for value in np.percentile(sample, PERCENTILES))
    sample = np.clip(sample, low, high)
    mean, std = float(sample.mean()), float(sample.std())
    return {"kind": "fixed", "low": low, "high": high, "mean": mean, "std": std}


def _evenly(values: np.ndarray) -> np.ndarray:
    """At most about _SAMPLE of the values, as float64; an odd step visits every column."""
    step = -(-values.size // _SAMPLE)
    return values[:: step if step == 1 else step | 1].astype(np.float64)
