"""An image or label map in memory: voxels and where they lie."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D array (z, y, x) with its geometry; raises ImageError when their shapes differ."""

    array: np.ndarray
    geometry: Geometry

    def __post_init__(self) -> None:
        if tuple(self.array.shape) != self.geometry.shape:
            raise ImageError(
                f"An array of shape {tuple(self.array.shape)} doesn't fit a grid of "
                f"{self.geometry.shape} voxels (z, y, x)."
            )

    def with_array(self, array: np.ndarray) -> Volume:
        """Other voxels on the same grid."""
        return replace(self, array=array)


def require_same_geometry(
    image: Volume | Geometry, label: Volume | Geometry, image_name: str, label_name: str
) -> None:
    """Raise ImageError with what differs unless both lie on the same grid."""
    first, second = (v.geometry if isinstance(v, Volume) else v for v in (image, label))
    difference = first.difference(second)
    if difference:
        raise ImageError(
            f"{label_name} doesn't lie on the grid of {image_name} ({difference}): "
            "export it with that image as the reference."
        )
