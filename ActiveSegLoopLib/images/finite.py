"""Voxels that aren't numbers to compute with: undefined, infinite, or too large for a model."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError

_LARGEST = float(np.finfo(np.float32).max)
_FLOATS = {"16": "f4", "64": "f8"}  # NIfTI's codes
_HEADER_SIZES = (348, 540)  # of NIfTI-1 (and Analyze) and NIfTI-2, the header's first number


def require_finite(array: np.ndarray, path: Path) -> None:
    """Raise ImageError, naming the file, for a voxel that no 32-bit float can hold."""
    if array.dtype.kind != "f":
        return
    with np.errstate(all="ignore"):
        if not np.isfinite(array.sum(dtype=np.float64)):  # one bad voxel spoils the sum
            finite = np.isfinite(array)
            bad = array.size - int(np.count_nonzero(finite))
            if bad:
                raise _not_finite(path, bad, int(np.argmin(finite)), array.shape)
    if array.itemsize <= 4 or array.size == 0:
        return
    extreme = max(array.max(), array.min(), key=abs)
    if abs(extreme) > _LARGEST:
        raise ImageError(
            f"{path} holds values up to {extreme:.3g}, too large to compute with (32-bit floats "
            f"end at {_LARGEST:.3g}): replace them first."
        )


class NiftiFloats:
    """The float voxels of a NIfTI file as its bytes come along.

    ITK's reader replaces NaN and infinity by 0 without a word, so they have to be found here.
    """

    def __init__(self, path: Path, data: Path, reader: sitk.ImageFileReader) -> None:
        self._path = path
        self._shape = reader.GetSize()[::-1]
        kind = _FLOATS[reader.GetMetaData("datatype")]
        self._type = np.dtype(_byte_order(data) + kind)
        self._skip = int(float(reader.GetMetaData("vox_offset")))
        self._left = math.prod(self._shape) * reader.GetNumberOfComponents()
        self._seen = self._bad = self._first = 0
        self._rest = b""

    @classmethod
    def of(cls, path: Path, data: Path, reader: sitk.ImageFileReader) -> NiftiFloats | None:
        """What checks this file, `data` having its voxels; None where nothing can be hidden."""
        keys = reader.GetMetaDataKeys()
        if "datatype" not in keys or reader.GetMetaData("datatype") not in _FLOATS:
            return None
        return cls(path, data, reader)

    def take(self, content: bytes) -> None:
        """Look at the next bytes of the file, unpacked."""
        if self._left == 0:
            return
        skipped = min(self._skip, len(content))
        self._skip -= skipped
        content = self._rest + content[skipped:]
        count = min(len(content) // self._type.itemsize, self._left)
        self._rest = content[count * self._type.itemsize :]
        finite = np.isfinite(np.frombuffer(content, self._type, count))
        bad = count - int(np.count_nonzero(finite))
        if bad and not self._bad:
            self._first = self._seen + int(np.argmin(finite))
        self._bad += bad
        self._seen += count
        self._left -= count

    def require_finite(self) -> None:
        """Raise ImageError when a voxel seen so far isn't finite."""
        if self._bad:  # the components of a vector image lie one after the other
            first = self._first % math.prod(self._shape)
            raise _not_finite(self._path, self._bad, first, self._shape)


def _not_finite(path: Path, bad: int, first: int, shape: tuple[int, ...]) -> ImageError:
    place = (0, *(int(i) for i in np.unravel_index(first, shape)))[-3:]  # also of a 2D image
    voxels = "1 voxel that isn't a finite number" if bad == 1 else (
        f"{bad} voxels that aren't finite numbers"
    )
    return ImageError(
        f"{path} holds {voxels} (NaN or infinite), the first at {place} (z, y, x): replace "
        f"{'it' if bad == 1 else 'them'} first."
    )


def _byte_order(data: Path) -> str:
    """NumPy's sign of the order in which the header's numbers are stored."""
    with open(_header_file(data), "rb") as file:
        start = file.read(4)
        if start.startswith(b"\x1f\x8b"):
            file.seek(0)
            start = gzip.GzipFile(fileobj=file).read(4)
    return "<" if int.from_bytes(start, "little") in _HEADER_SIZES else ">"


def _header_file(data: Path) -> Path:
    """The file with the header, which for .img is the .hdr beside it."""
    name = data.name
    for voxels, header in ((".img.gz", ".hdr.gz"), (".img", ".hdr")):
        if name.lower().endswith(voxels):
            candidates = [
                data.with_name(name[: -len(voxels)] + end)
                for end in (header, header.upper(), ".hdr", ".hdr.gz")
            ]
            return next((c for c in candidates if c.exists()), data)
    return data
