"""Images and label maps from files and DICOM folders."""

from __future__ import annotations

import os
from pathlib import Path

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.dicom import read_series, require_not_one_of_many
from ActiveSegLoopLib.images.finite import require_finite
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.itk import from_sitk, geometry_of, read_header
from ActiveSegLoopLib.images.labels import whole_labels
from ActiveSegLoopLib.images.opening import open_image
from ActiveSegLoopLib.images.quiet import quiet_itk
from ActiveSegLoopLib.images.segmentation import read_segmentation
from ActiveSegLoopLib.images.volume import Volume


def read_image(path: str | os.PathLike, series: str | None = None) -> Volume:
    """Read a 3D scalar image in any format that SimpleITK reads, or a folder with a DICOM series.

    series: the UID of the series to read where a folder holds several. Voxels keep their type
    (scaled ones become floats); a 2D image becomes one slice. Raises ImageError, one sentence that
    names the file, for what isn't a whole 3D image of finite numbers on a regular grid; where a
    folder holds several series and none is chosen, it lists them.
    """
    path = Path(path)
    # Unlike Path.is_dir no error in a folder without permission.
    if os.path.isdir(path) or series is not None:
        volume = read_series(path, series)
    else:
        image = open_image(path)
        require_not_one_of_many(path, image)
        volume = from_sitk(image, path)
    require_finite(volume.array, path)
    return volume


def read_geometry(path: str | os.PathLike) -> Geometry | None:
    """The grid of a 3D image file by its header, without reading the voxels.

    None where a header doesn't tell it, as for a DICOM folder; what is wrong with a file is told
    by read_image.
    """
    with quiet_itk():
        try:
            reader = read_header(path)
        except RuntimeError:
            return None
    if reader.GetDimension() != 3:
        return None
    try:
        return geometry_of(reader, path)
    except ImageError:
        return None


def read_labelmap(path: str | os.PathLike) -> Volume:
    """Read a label map: whole values from 0 to 65535, as uint8 or uint16 (0 is background).

    Floats that are whole are accepted; a .seg.nrrd gives its segments' values. Raises ImageError,
    one sentence that names the file.
    """
    path = Path(path)
    if path.name.lower().endswith(".seg.nrrd"):
        return read_segmentation(path)[0]
    volume = read_image(path)
    return volume.with_array(whole_labels(volume.array, path))
