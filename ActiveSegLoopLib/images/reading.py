"""Images and label maps from files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.itk import from_sitk
from ActiveSegLoopLib.images.quiet import quiet_itk
from ActiveSegLoopLib.images.volume import Volume


def read_image(path: str | os.PathLike, series: str | None = None) -> Volume:
    """Read a 3D scalar image in any format that SimpleITK reads, or a DICOM series folder.

    series: the UID of the series to read where a folder holds several. Voxels keep their type;
    a 2D image becomes one slice. Raises ImageError with one sentence that names the file.
    """
    path = Path(path)
    volume = from_sitk(read_sitk(path))
    _require_finite(volume.array, path)
    return volume


def read_labelmap(path: str | os.PathLike) -> Volume:
    """Read a label map: whole values from 0 to 65535, as uint8 or uint16 (0 is background).

    A .seg.nrrd gives its segments' values. Raises ImageError with one sentence naming the file.
    """
    path = Path(path)
    if path.name.lower().endswith(".seg.nrrd"):
        from ActiveSegLoopLib.images.segmentation import read_segmentation

        return read_segmentation(path)[0]
    volume = read_image(path)
    return volume.with_array(whole_labels(volume.array, path))


def whole_labels(array: np.ndarray, name: object) -> np.ndarray:
    """The same values as uint8 or uint16; raises ImageError when they can't be labels."""
    low, high = array.min(), array.max()
    if low < 0:
        raise ImageError(f"{name} isn't a label map: it holds negative values (down to {low:g}).")
    if high > np.iinfo(np.uint16).max:
        raise ImageError(f"{name} isn't a label map: it holds values up to {high:g} (limit 65535).")
    labels = array.astype(np.uint8 if high <= 255 else np.uint16)
    if array.dtype.kind == "f" and not np.array_equal(labels, array):
        value = array[labels != array][0]
        raise ImageError(f"{name} isn't a label map: it holds fractions such as {value:g}.")
    return labels


def read_sitk(path: Path) -> sitk.Image:
    """Read a file as a 3D scalar SimpleITK image."""
    if not path.exists():
        raise ImageError(f"{path} doesn't exist.")
    try:
        with quiet_itk():
            return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise ImageError(f"{path} can't be read as an image.") from error


def _require_finite(array: np.ndarray, path: Path) -> None:
    if array.dtype.kind != "f":
        return
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise ImageError(
            f"{path} holds {bad} voxels that aren't finite numbers (NaN or infinite): "
            "replace them first."
        )
