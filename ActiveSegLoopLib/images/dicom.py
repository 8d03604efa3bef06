"""DICOM folders: the series in them, and one of them as a volume on a regular grid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.dicom_files import require_no_damaged_slice
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.itk import from_sitk, read_header
from ActiveSegLoopLib.images.opening import open_image
from ActiveSegLoopLib.images.quiet import quiet_itk
from ActiveSegLoopLib.images.volume import Volume

_UID, _DESCRIPTION, _POSITION, _ORIENTATION, _THICKNESS = (
    "0020|000e",
    "0008|103e",
    "0020|0032",
    "0020|0037",
    "0018|0050",
)
# How far a slice may lie from where a regular grid has it.
_ALONG_TOLERANCE = 0.1  # of the slice spacing
_ACROSS_TOLERANCE = 0.5  # of a pixel, over the whole stack


@dataclass(frozen=True)
class Series:
    """One DICOM series of a folder: its UID, description, number of slices and z, y, x shape."""

    uid: str
    description: str
    count: int
    shape: tuple[int, int, int]
    files: tuple[Path, ...] = field(repr=False, default=())


def list_series(folder: str | os.PathLike) -> list[Series]:
    """The DICOM image series in a folder and the folders in it, the largest first.

    Raises ImageError when the folder doesn't exist, holds no DICOM image or a damaged one.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImageError(f"{folder} isn't a folder.")
    files: dict[str, list[str]] = {}
    others: set[Path] = set()
    with quiet_itk():
        for parent, inner, outer in os.walk(folder):
            inner.sort()
            others |= {Path(parent, name) for name in outer}
            for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(parent):
                names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(parent, uid)
                files.setdefault(uid, []).extend(names)
                others -= set(map(Path, names))
        require_no_damaged_slice(others, [Path(names[0]) for names in files.values()])
        found = [_described(uid, names) for uid, names in files.items()]
    if not found:
        raise ImageError(f"{folder} holds no DICOM images: give an image file or a DICOM folder.")
    return sorted(found, key=lambda series: (-series.count, series.uid))


def _described(uid: str, names: Sequence[str]) -> Series:
    try:
        reader = read_header(names[0])
    except RuntimeError as error:
        raise ImageError(f"{names[0]} can't be read: it is a damaged DICOM file.") from error
    size = (*reader.GetSize(), 1)[:3]
    description = ""
    if _DESCRIPTION in reader.GetMetaDataKeys():
        description = reader.GetMetaData(_DESCRIPTION).strip()
    count = len(names) if len(names) > 1 else size[2]
    return Series(uid, description, count, (count, size[1], size[0]), tuple(map(Path, names)))


def choose_series(folder: str | os.PathLike, uid: str | None = None) -> Series:
    """The series of a DICOM folder that has this UID, or the only one where it is None.

    Raises ImageError, which lists the series, when the choice is open or there is no such series.
    """
    if uid is not None and not Path(folder).is_dir():
        raise ImageError(f"{folder} isn't a folder: a series can only be chosen in a DICOM folder.")
    found = list_series(folder)
    chosen = [series for series in found if uid is None or series.uid == uid]
    if len(chosen) == 1:
        return chosen[0]
    listing = "; ".join(
        f"{series.uid} ({series.description or 'no description'}, {series.count} slices)"
        for series in found
    )
    if uid is None:
        raise ImageError(f"{folder} holds {len(found)} DICOM series, choose one: {listing}.")
    raise ImageError(f"{folder} holds no DICOM series {uid}, only: {listing}.")


def read_series(folder: str | os.PathLike, uid: str | None = None) -> Volume:
    """Read one series of a DICOM folder; uid chooses it where there are several.

    Slices are sorted along their normal; rescale slope and intercept are applied. Raises
    ImageError when the choice is open (it lists the series), and when the slices don't lie on a
    regular grid: tilted gantry, missing or unevenly spaced slices, several images at one place.
    """
    return _volume(Path(folder), choose_series(folder, uid))


def require_not_one_of_many(path: Path, image: sitk.Image) -> None:
    """Raise ImageError when a file is a single slice of a DICOM series that lies beside it."""
    if _UID not in image.GetMetaDataKeys() or image.GetSize()[2] > 1:
        return
    uid = image.GetMetaData(_UID).strip()
    with quiet_itk():
        count = len(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path.parent), uid))
    if count > 1:
        raise ImageError(
            f"{path} is one of the {count} slices of a DICOM series: give its folder instead."
        )


def _volume(folder: Path, series: Series) -> Volume:
    images = [open_image(path) for path in series.files]
    if len(images) == 1:
        return _single(series.files[0], images[0])
    sizes = {image.GetSize() for image in images}
    pixels = np.array([image.GetSpacing()[:2] for image in images])
    if len(sizes) > 1 or images[0].GetSize()[2] > 1 or np.ptp(pixels, axis=0).max() > 1e-3:
        listing = ", ".join(" x ".join(map(str, size)) for size in sorted(sizes))
        raise ImageError(
            f"{folder}: the DICOM series {series.uid} mixes images that don't stack ({listing} "
            f"voxels, pixels of {pixels.min():.3g} to {pixels.max():.3g} mm); keep those of one "
            "volume in a folder."
        )
    positions = np.array([_numbers(folder, series, image, _POSITION, 3) for image in images])
    axes = np.array([_numbers(folder, series, image, _ORIENTATION, 6) for image in images])
    geometry, order = _regular_grid(folder, series, images[0], positions, axes)
    array = np.concatenate([sitk.GetArrayViewFromImage(images[i]) for i in order])
    if array.dtype == np.float64:
        array = array.astype(np.float32)  # 16-bit values with a slope and an intercept
    return Volume(array, geometry)


def _single(path: Path, image: sitk.Image) -> Volume:
    if image.GetSize()[2] == 1 and _THICKNESS in image.GetMetaDataKeys():
        thickness = image.GetMetaData(_THICKNESS).strip()
        if thickness and float(thickness) > 0:
            image.SetSpacing((*image.GetSpacing()[:2], float(thickness)))
    return from_sitk(image, path)


def _numbers(folder: Path, series: Series, image: sitk.Image, tag: str, count: int) -> list[float]:
    text = image.GetMetaData(tag) if tag in image.GetMetaDataKeys() else ""
    try:
        numbers = [float(part) for part in text.split("\\")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not np.all(np.isfinite(numbers)):
        raise ImageError(
            f"{folder}: slices of the DICOM series {series.uid} don't say where they lie "
            "(image position and orientation): export the series again."
        )
    return numbers


def _regular_grid(
    folder: Path, series: Series, image: sitk.Image, positions: np.ndarray, axes: np.ndarray
) -> tuple[Geometry, np.ndarray]:
    """The grid on which the slices lie and their order, or the reason why there is none."""
    who = f"{folder}: the DICOM series {series.uid}"
    if np.abs(axes - axes[0]).max() > 1e-3:
        raise ImageError(
            f"{who} mixes slices of different orientations (such as a localizer); keep those of "
            "one volume in a folder."
        )
    row, column = axes[0, :3], axes[0, 3:]
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    along = positions @ normal
    steps = np.diff(along)
    spacing = (along[-1] - along[0]) / (len(along) - 1)
    same = int(np.count_nonzero(steps < 1e-3))
    if same:
        raise ImageError(
            f"{who} has {same} images at a place where another one lies (several time points or "
            "echoes?); keep those of one volume in a folder."
        )
    drift = positions[-1] - positions[0] - (along[-1] - along[0]) * normal
    if np.linalg.norm(drift) > _ACROSS_TOLERANCE * min(image.GetSpacing()[:2]):
        tilt = np.degrees(np.arctan2(np.linalg.norm(drift), along[-1] - along[0]))
        raise ImageError(
            f"{who} was scanned with the gantry tilted by {tilt:.1f} degrees, so its slices don't "
            "lie on a regular grid: regularize it first (3D Slicer's DICOM preferences, "
            "acquisition geometry regularization)."
        )
    off = np.abs(along - (along[0] + spacing * np.arange(len(along))))
    if off.max() > _ALONG_TOLERANCE * spacing:
        raise ImageError(f"{who} {_gap(steps, along)}")
    geometry = Geometry(
        (len(along), *image.GetSize()[1::-1]),
        (spacing, *image.GetSpacing()[1::-1]),
        positions[0],
        np.column_stack([row, column, normal]).ravel(),
    )
    return geometry, order


def _gap(steps: np.ndarray, along: np.ndarray) -> str:
    usual = float(np.median(steps))
    missing = int(sum(round(step / usual) - 1 for step in steps if step > 1.5 * usual))
    worst = int(np.argmax(np.abs(steps - usual)))
    where = f"{steps[worst]:.3g} mm after slice {worst + 1} instead of {usual:.3g} mm"
    if missing:
        return (
            f"lacks {missing} {'slice' if missing == 1 else 'slices'} ({where}): export it again."
        )
    return f"has unevenly spaced slices ({where}): resample it to even spacing first."
