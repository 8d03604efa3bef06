"""What may stand in a label map."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ActiveSegLoopLib.errors import ImageError

LARGEST_VALUE = int(np.iinfo(np.uint16).max)
_ROUNDING = 1e-3  # by which a scaled file's floats may miss the whole number that is meant


def whole_labels(array: np.ndarray, name: object) -> np.ndarray:
    """The same values as uint8, or uint16 where one exceeds 255 (0 is background).

    Raises ImageError, naming the file, for negative values, fractions and values over 65535.
    """
    low, high = array.min(), array.max()
    if low < -_ROUNDING:
        raise ImageError(f"{name} isn't a label map: it holds negative values (down to {low:g}).")
    if high > LARGEST_VALUE + _ROUNDING:
        raise ImageError(
            f"{name} isn't a label map: it holds values up to {high:g} (at most {LARGEST_VALUE})."
        )
    whole = array
    if array.dtype.kind == "f":
        whole = np.rint(array)
        apart = np.abs(whole - array) > _ROUNDING
        if apart.any():
            value = array[apart][0]
            raise ImageError(f"{name} isn't a label map: it holds fractions such as {value:g}.")
    return whole.astype(np.uint8 if high < 255.5 else np.uint16, copy=False)


def present_values(labels: np.ndarray) -> list[int]:
    """The values other than 0 in a label map of whole, nonnegative values, in order."""
    # Much faster and leaner than sorting or counting the voxels.
    found = ndimage.find_objects(labels)
    return [value for value, slices in enumerate(found, start=1) if slices is not None]
