"""How many voxels have which value."""

from __future__ import annotations

import numpy as np


def value_counts(array: np.ndarray) -> np.ndarray:
    """Voxels of each value from 0 to 255 in a uint8 array (z, y, x)."""
    # Slice by slice: bincount makes 8-byte copies, which of a whole CT would be a gigabyte.
    return sum(np.bincount(part.ravel(), minlength=256) for part in array)
