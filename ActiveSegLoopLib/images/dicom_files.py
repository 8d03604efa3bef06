"""Which files are DICOM, and damaged slices, which GDCM silently leaves out of a series."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.itk import read_header

_ENDINGS = (".dcm", ".ima")
_HEAD_BYTES = 1 << 14
# The SOP class, in the file's preface or, where that is missing, among the tags: explicit or not.
_KIND = re.compile(rb"(?:\x02\x00\x02\x00|\x08\x00\x16\x00)(?:UI..|....)([0-9.]+)", re.DOTALL)
# Of single slices and volumes, by modality; 4.2 is spectra. Plans, reports and such aren't here.
_IMAGE_KIND = re.compile(
    rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.(?!4\.2$)(1|2|3|4|6|7|12|13|20|128|130)(\.\d+)*"
)


def is_dicom(path: Path) -> bool:
    """Whether a file that isn't hidden begins as DICOM files do."""
    return not path.name.startswith(".") and _head(path, 132)[128:] == b"DICM"


def require_no_damaged_slice(others: Iterable[Path], slices: Iterable[Path]) -> None:
    """Raise ImageError for a file that may be a slice of a DICOM series but can't be read.

    others: the files that are in no series; slices: one file of each series. What isn't DICOM, and
    what is of a kind without an image (plans, reports, DICOMDIR), may lie there.
    """
    looking = sorted(path for path in others if _looks_like_dicom(path))
    known = {_kind(path) for path in slices} if looking else set()
    for path in looking:
        kind = _kind(path)
        may_be_slice = kind is None or kind in known or _IMAGE_KIND.fullmatch(kind)
        if may_be_slice and not _can_be_read(path):
            raise ImageError(
                f"{path} can't be read: it looks like a damaged slice of a DICOM series; copy or "
                "export it again, or move it elsewhere if it is none."
            )


def _head(path: Path, length: int) -> bytes:
    """So many bytes of the beginning of a file; empty where it can't be opened."""
    if not path.is_file():
        return b""
    try:
        with open(path, "rb") as file:
            return file.read(length)
    except OSError:
        return b""


def _looks_like_dicom(path: Path) -> bool:
    ending = path.name.lower().endswith(_ENDINGS) and not path.name.startswith(".")
    return ending or is_dicom(path)


def _kind(path: Path) -> bytes | None:
    match = _KIND.search(_head(path, _HEAD_BYTES))
    return match and match[1]


def _can_be_read(path: Path) -> bool:
    try:
        read_header(path)
    except RuntimeError:
        return False
    return True
