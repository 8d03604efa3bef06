"""Truncated, damaged and undefined voxels found where ITK's readers silently fill in zeros."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.finite import NiftiFloats

# What stores voxels one after the other, so that a file's size tells whether it is whole.
_RAW = (".nii", ".img", ".gipl", ".mrc", ".rec", ".vtk")
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
_UNPACKED = 1 << 22  # zeros pack a thousandfold: never all that a chunk holds at once


def require_whole_file(path: Path, reader: sitk.ImageFileReader) -> None:
    """Raise ImageError when the file holds less than its header announces, or doesn't unpack.

    So it does for float voxels of NIfTI that aren't finite, which are checked in the same pass.
    reader: has read the file's information. Formats whose readers notice by themselves (NRRD,
    MetaImage, PNG, DICOM, HDF5) are left to them.
    """
    data = _data_file(path)
    name = data.name.lower()
    if not data.exists():
        raise ImageError(f"{path} can't be read: its voxels should be in {data}, which is missing.")
    if name.endswith((".jpg", ".jpeg")):
        whole = _ends_as_jpeg(data)
    elif name.removesuffix(".gz").endswith(_RAW) and not _is_ascii_vtk(data):
        floats = NiftiFloats.of(path, data, reader)
        if floats is None and not name.endswith(".gz"):
            found = os.path.getsize(data)
        else:
            found = _unpacked_size(data, floats)
        whole = found >= _voxel_bytes(reader) + _header_bytes(data, reader)
        if whole and floats is not None:
            floats.require_finite()
    else:
        whole = True
    if not whole:
        raise ImageError(f"{data} is truncated or damaged: copy or export it again.")


def _data_file(path: Path) -> Path:
    """The file with the voxels, which for .hdr is the .img beside it."""
    name = path.name
    for header, data in ((".hdr.gz", ".img.gz"), (".hdr", ".img")):
        if name.lower().endswith(header):
            candidates = [path.with_name(name[: -len(header)] + end) for end in (data, ".img")]
            return next((c for c in candidates if c.exists()), candidates[0])
    return path


def _voxel_bytes(reader: sitk.ImageFileReader) -> int:
    voxels = math.prod(reader.GetSize()) * reader.GetNumberOfComponents()
    if "bitpix" in reader.GetMetaDataKeys():  # a scaled NIfTI file is stored smaller than it's read
        bits = int(reader.GetMetaData("bitpix")) // reader.GetNumberOfComponents()
        return voxels * bits // 8
    kind = sitk.GetPixelIDValueAsString(reader.GetPixelID())
    return voxels * next((bits // 8 for bits in (64, 32, 16) if f"{bits}-bit" in kind), 1)


def _header_bytes(data: Path, reader: sitk.ImageFileReader) -> int:
    name = data.name.lower().removesuffix(".gz")
    if name.endswith(".nii") and "vox_offset" in reader.GetMetaDataKeys():
        return int(float(reader.GetMetaData("vox_offset")))
    return {".gipl": 256, ".mrc": 1024, ".rec": 1024}.get(Path(name).suffix, 0)


def _is_ascii_vtk(data: Path) -> bool:
    if data.suffix.lower() != ".vtk":
        return False
    with open(data, "rb") as file:
        return any(line.strip().upper() == b"ASCII" for line, _ in zip(file, range(4)))


def _ends_as_jpeg(data: Path) -> bool:
    """Whether the end-of-image marker is there; some programs write something after it."""
    with open(data, "rb") as file:
        file.seek(max(0, os.path.getsize(data) - 4096))
        return b"\xff\xd9" in file.read()


def _unpacked_size(data: Path, floats: NiftiFloats | None) -> int:
    """Bytes that a file unpacks to, its checksums verified; 0 when it is damaged."""
    size = 0
    try:
        for content in _unpacked(data):
            size += len(content)
            if floats is not None:
                floats.take(content)
    except (zlib.error, EOFError):
        return 0
    return size


def _unpacked(data: Path) -> Iterator[bytes]:
    """A file's content piece by piece, unpacked if it is packed, whatever its name says.

    Raises zlib.error or EOFError when it is damaged.
    """
    with open(data, "rb") as file:
        rest = file.read(_CHUNK)
        if not rest.startswith(_GZIP):
            while rest:
                yield rest
                rest = file.read(_CHUNK)
        while rest.startswith(_GZIP):  # a file may consist of several packed pieces
            piece = zlib.decompressobj(wbits=31)
            while not piece.eof:
                content = piece.decompress(rest, _UNPACKED)
                yield content
                rest = piece.unused_data if piece.eof else (
                    piece.unconsumed_tail or file.read(_CHUNK)
                )
                if not (rest or content or piece.eof):
                    raise EOFError
            if len(rest) < len(_GZIP):
                rest += file.read(_CHUNK)
