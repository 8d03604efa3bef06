"""Volumes to files that are either whole or not there."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.itk import to_sitk
from ActiveSegLoopLib.images.quiet import quiet_itk
from ActiveSegLoopLib.images.volume import Volume

# Level 1 is several times faster than the default and label maps hardly grow.
COMPRESSION_LEVEL = 1


def write_volume(path: str | os.PathLike, volume: Volume) -> None:
    """Write a volume; the ending of the name chooses the format (.nii.gz, .nrrd, .mha, ...).

    Boolean masks are stored as uint8. The file appears whole or not at all; a file of that name
    is replaced. Raises ImageError when the format or the folder can't be written.
    """
    with replacing(path) as temporary:
        write_sitk(temporary, to_sitk(volume), path)


def write_sitk(temporary: Path, image: sitk.Image, path: str | os.PathLike) -> None:
    """Write a SimpleITK image to a temporary name; errors name the path it is meant for."""
    try:
        with quiet_itk():
            sitk.WriteImage(
                image, str(temporary), useCompression=True, compressionLevel=COMPRESSION_LEVEL
            )
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("sitk::ERROR:").strip()
        raise ImageError(f"{path} can't be written: {reason}") from error


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary name beside the path, with the same endings; renamed to it when all went well.

    The file is flushed to the disk before it is renamed, the folder after it.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ImageError(f"{path} can't be written: the folder {path.parent} doesn't exist.")
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp{_endings(path)}")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _endings(path: Path) -> str:
    name = path.name.lower()
    for double in (".seg.nrrd", ".nii.gz", ".img.gz"):
        if name.endswith(double):
            return path.name[-len(double) :]
    return path.suffix


def _flush(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows can't open folders; its rename is journaled
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
