"""Whether an image is the one that it was: the size and SHA-256 of its bytes, and of its voxels."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.orientation import to_lps
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.files import sha256_of

# File systems round times to as much as this (FAT): a file that is younger when it is hashed could
# change again and show the same time.
SETTLED_NANOSECONDS = 2_000_000_000
_IGNORED = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Fingerprint:
    """Bytes and SHA-256 (hexadecimal) of an image's file or files."""

    size: int
    sha256: str


def fingerprint(path: Path, files: Sequence[Path] | None = None) -> Fingerprint:
    """The fingerprint of an image file with the files that it names, or of a DICOM folder.

    files: those of the folder that count, all of them when left out. Several files count by their
    contents, not by their names or order. Raises StudyError when they can't be read.
    """
    try:
        parts = files_of(path) if files is None else files
        size = sum(part.stat().st_size for part in parts)
        digests = sorted(sha256_of(part) for part in parts)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(digests) == 1:
        return Fingerprint(size, digests[0])
    return Fingerprint(size, hashlib.sha256("\n".join(digests).encode()).hexdigest())


def voxel_digest(volume: Volume) -> str | None:
    """SHA-256 (hexadecimal) of an image's shape and values in LPS order, however it was saved.

    Neither the type of the values nor the grid's place and spacing count: a copy with a mended
    header is the same image. None for a constant image, as which a missing channel may come.
    """
    array = to_lps(volume).array
    if array.min() == array.max():
        return None
    digest = hashlib.sha256(repr(array.shape).encode())
    for plane in array:
        digest.update(np.add(plane, 0.0, dtype="<f8", order="C"))  # -0 becomes 0
    return digest.hexdigest()


def stamp(path: Path) -> str | None:
    """A short text that changes when the files are written again, without reading them.

    None when they were written so recently that another change might not show. Raises StudyError
    when they can't be read.
    """
    digest = hashlib.sha256()
    newest = 0
    try:
        for part in files_of(path):
            state = part.stat()
            digest.update(f"{part.name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
            newest = max(newest, state.st_mtime_ns)
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest() if time.time_ns() - newest > SETTLED_NANOSECONDS else None


def files_of(path: Path) -> list[Path]:
    """The files that hold an image, sorted by name: it and those that its header names.

    A folder's files but hidden ones and those that Windows leaves there; folders in it don't
    count. Raises OSError.
    """
    if path.is_dir():
        with os.scandir(path) as entries:
            return sorted(
                path / entry.name
                for entry in entries
                if entry.is_file()
                and not entry.name.startswith(".")
                and entry.name.lower() not in _IGNORED
            )
    return [path, *sorted(set(_data_files(path)) - {path})]


def _unreadable(path: Path, error: OSError) -> StudyError:
    """Names the file that can't be read, which may be another one than the header given."""
    reason = error.strerror or error
    if error.filename is None or Path(error.filename) == path:
        return StudyError(f"{path} can't be read: {reason}.")
    return StudyError(f"{error.filename}, which belongs to {path}, can't be read: {reason}.")


def _data_files(path: Path) -> list[Path]:
    """Where the voxels lie when the header is a file of its own."""
    ending = path.suffix.lower()
    if ending in (".hdr", ".img"):
        pairs = (path.with_suffix(other) for other in (".hdr", ".img", ".HDR", ".IMG", ".img.gz"))
        return [other for other in pairs if other.is_file()]
    if ending == ".mhd":
        return _named(path, r"ElementDataFile\s*=\s*(.+)", inline="LOCAL")
    if ending in (".nhdr", ".nrrd"):
        return _named(path, r"data ?file\s*:\s*(.+)", inline=None)
    return []


def _named(path: Path, pattern: str, inline: str | None) -> list[Path]:
    with open(path, "rb") as file:
        # A header ends with an empty line (NRRD) or its data file (MetaImage); voxels may follow.
        head = re.split(rb"\r?\n\r?\n", file.read(1 << 20))[0].decode("latin-1")
    lines = head.splitlines()
    for number, line in enumerate(lines):
        match = re.fullmatch(pattern, line.strip(), re.IGNORECASE)
        if match is None or match[1] == inline:
            continue
        return [path.parent / name for name in _names(path, match[1], lines[number + 1 :])]
    return []


def _names(path: Path, text: str, following: list[str]) -> list[str]:
    """One name; "LIST" and names on the lines below; or a pattern, first, last, step and more."""
    words = text.split()
    if words[:1] == ["LIST"]:
        return [name.strip() for name in following if name.strip()]
    if "%" in text and len(words) > 3:
        try:
            first, last, step = map(int, words[1:4])
            return [words[0] % number for number in range(first, last + 1, step)]
        except (ValueError, TypeError) as error:
            raise StudyError(
                f"{path} names its data files in a way that can't be understood: '{text}'."
            ) from error
    return [text]
