"""SimpleITK images to volumes and back."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume


def geometry_of(image: sitk.Image | sitk.ImageFileReader) -> Geometry:
    """The grid of a 3D SimpleITK image, or of a file whose information a reader has read."""
    return Geometry(
        image.GetSize()[::-1], image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection()
    )


def from_sitk(image: sitk.Image) -> Volume:
    """The voxels (copied) and grid of a 3D scalar SimpleITK image."""
    return Volume(sitk.GetArrayFromImage(image), geometry_of(image))


def to_sitk(volume: Volume) -> sitk.Image:
    """A SimpleITK image with a copy of the voxels; bool becomes uint8."""
    array = volume.array
    if array.dtype == bool:
        array = array.astype(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(volume.geometry.spacing[::-1])
    image.SetOrigin(volume.geometry.origin)
    image.SetDirection(volume.geometry.direction)
    return image
