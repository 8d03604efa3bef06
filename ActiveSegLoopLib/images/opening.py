"""One file opened as a 3D scalar image, or a sentence that says why it can't be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import ORTHOGONALITY_TOLERANCE
from ActiveSegLoopLib.images.integrity import require_whole_file
from ActiveSegLoopLib.images.itk import read_header
from ActiveSegLoopLib.images.quiet import captured_stderr, quiet_itk

# Formats whose libraries stay silent by themselves, also about damaged files.
_SILENT = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".dcm", ".ima")


def open_image(path: Path, vectors: bool = False) -> sitk.Image:
    """Read one file as a 3D scalar SimpleITK image; a 2D one becomes a single slice.

    vectors: accept several values a voxel. Raises ImageError, naming the file, for what isn't a
    whole, real-valued 3D image on a regular grid.
    """
    if _size(path) == 0:
        raise ImageError(f"{path} is empty (0 bytes): copy or export it again.")
    if path.name.lower().endswith(_SILENT):
        return _read(path, vectors)
    with captured_stderr() as complaints:
        image = _read(path, vectors)
    complaints = [line for line in complaints if line.strip() and "warning" not in line.lower()]
    if complaints:
        raise _damaged(path)
    return image


def no_access(path: Path, error: OSError) -> str:
    """A sentence saying why the system doesn't let this user read a file or folder."""
    if isinstance(error, PermissionError):
        return f"{path} can't be read for lack of permission: get the right to read it."
    return f"{path} can't be read: {error.strerror or error}."


def _size(path: Path) -> int | None:
    """How many bytes a file has that this user may read; None for what is no file."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            return None
        with open(path, "rb"):
            return size
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise ImageError(f"{path} doesn't exist.") from error
    except OSError as error:
        raise ImageError(no_access(path, error)) from error


def _read(path: Path, vectors: bool) -> sitk.Image:
    with quiet_itk():
        try:
            reader = read_header(path)
        except RuntimeError as error:
            raise ImageError(_unreadable(path, str(error))) from error
        _require_3d_scalar(path, reader, vectors)
        _require_right_angles(path, reader)
        require_whole_file(path, reader)
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise _damaged(path) from error
        if image.GetDimension() == 4:
            return image[:, :, :, 0]
        return sitk.JoinSeries(image) if image.GetDimension() == 2 else image


def _require_3d_scalar(path: Path, reader: sitk.ImageFileReader, vectors: bool) -> None:
    size = reader.GetSize()
    kind = sitk.GetPixelIDValueAsString(reader.GetPixelID())
    if "complex" in kind:
        raise ImageError(f"{path} holds complex numbers: save its magnitude as an image first.")
    values = reader.GetNumberOfComponents()
    if values > 1 and not vectors:
        raise ImageError(
            f"{path} is a color or vector image ({values} values a voxel): "
            "save one channel as a scalar image first."
        )
    if len(size) > 4 or (len(size) == 4 and size[3] > 1):
        raise ImageError(
            f"{path} has {len(size)} dimensions ({' x '.join(map(str, size))} voxels): "
            "save one of its 3D volumes first."
        )


def _require_right_angles(path: Path, reader: sitk.ImageFileReader) -> None:
    """Refuse a NIfTI sform with shear, of which ITK silently takes the nearest rotation."""
    keys = reader.GetMetaDataKeys()
    if "sform_code" not in keys or reader.GetMetaData("sform_code").strip() in ("", "0"):
        return
    rows = [reader.GetMetaData(f"srow_{axis}").split()[:3] for axis in "xyz"]
    columns = np.array(rows, float)
    lengths = np.linalg.norm(columns, axis=0)
    if lengths.min() == 0:
        raise ImageError(f"{path} has an axis of length 0 in its header: export it again.")
    columns = columns / lengths
    worst = np.abs(columns.T @ columns - np.eye(3)).max()
    if worst > ORTHOGONALITY_TOLERANCE:
        degrees = np.degrees(np.arcsin(min(1.0, worst)))
        raise ImageError(
            f"{path} is sheared: its axes are {degrees:.1f} degrees off the right angle, so it "
            "doesn't lie on a regular grid; resample it first."
        )


def _unreadable(path: Path, reason: str) -> str:
    if "size is zero" in reason or "zero size" in reason.lower():
        return f"{path} holds an image without voxels (an axis of size 0): export it again."
    if "Unable to determine ImageIO" in reason:
        return (
            f"{path} can't be read: it is damaged or in a format that SimpleITK doesn't know; "
            "export it as .nii.gz or .nrrd."
        )
    return f"{path} can't be read: it is damaged or a file that belongs to it is missing."


def _damaged(path: Path) -> ImageError:
    return ImageError(
        f"{path} is truncated or damaged, or a file that belongs to it is missing: copy or export "
        "it again."
    )
