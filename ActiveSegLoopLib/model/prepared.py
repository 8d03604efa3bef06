"""Cases ready for training: in memory, or in a folder from which they're opened patch by patch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ActiveSegLoopLib.study.files import flush

# The file that says how many parts of a case were stored.
_COUNT = "parts"


@dataclass(frozen=True)
class PreparedCase:
    """One case ready for training; the arrays may lie on disk (memory maps).

    `image` (channels, z, y, x) float16, normalized; `channels` (z, y, x) uint8: 0 background,
    c the schema's c-th label; `codes` (z, y, x) uint8 and `subsets` (K, labels) bool: label c is
    annotated at a voxel where `subsets[codes[voxel], c]`. `points` has the voxels (n, 3) to
    center patches on: index 0 any annotated voxel, c those of label c.
    """

    name: str
    image: np.ndarray
    channels: np.ndarray
    codes: np.ndarray
    subsets: np.ndarray
    points: tuple[np.ndarray, ...]

    def open(self) -> PreparedCase:
        """Itself: it is in memory already."""
        return self


class Openable(Protocol):
    """A prepared case, in memory or on disk."""

    name: str

    def open(self) -> PreparedCase:
        """Its arrays."""


@dataclass(frozen=True)
class StoredCase:
    """A prepared case in a folder.

    An open memory map keeps a file descriptor, and a study may have more cases than a process may
    have open files: so arrays are opened for a patch and let go of after it.
    """

    name: str
    folder: Path

    def open(self) -> PreparedCase:
        """Its arrays, the large ones as memory maps."""
        image, channels, codes = (
            np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ("image", "channels", "codes")
        )
        subsets, points, ends = (
            np.load(self.folder / f"{name}.npy", allow_pickle=False)
            for name in ("subsets", "points", "ends")
        )
        return PreparedCase(
            self.name, image, channels, codes, subsets, tuple(np.split(points, ends[:-1]))
        )


def store(folder: Path, case: PreparedCase) -> None:
    """Write a prepared case into a new folder, down to the disk."""
    folder.mkdir()
    points = np.concatenate(case.points)
    ends = np.cumsum([len(kind) for kind in case.points])
    arrays = {
        "image": case.image, "channels": case.channels, "codes": case.codes,
        "subsets": case.subsets, "points": points, "ends": ends,
    }
    for name, array in arrays.items():
        path = folder / f"{name}.npy"
        np.save(path, array)
        flush(path)


def store_all(folder: Path, cases: Iterable[PreparedCase]) -> None:
    """Write the parts of a case into an empty folder, each into one of its own, and how many."""
    count = 0
    for case in cases:
        store(folder / str(count), case)
        count += 1
    path = folder / _COUNT
    path.write_text(str(count))
    flush(path)


def stored_all(folder: Path, name: str) -> list[StoredCase] | None:
    """The parts of the case `name` that store_all wrote; None where one is missing or damaged.

    That files are as long as their headers say is seen without reading the large ones.
    """
    try:
        count = int((folder / _COUNT).read_text())
        parts = [StoredCase(name, folder / str(part)) for part in range(count)]
        for part in parts:
            part.open()
    except (OSError, ValueError, EOFError):
        return None
    return parts


def patch_points(
    channels: np.ndarray, codes: np.ndarray, subsets: np.ndarray, limit: int = 2000
) -> tuple[np.ndarray, ...]:
    """Voxels to center patches on, `limit` of each kind at most: annotated ones, then each label's.

    Drawn with a fixed seed, so that preparing a case twice gives the same.
    """
    random = np.random.default_rng(0)
    annotated = subsets.any(axis=1)[codes]
    kinds = [annotated]
    for label in range(subsets.shape[1]):
        kinds.append((channels == label + 1) & subsets[codes, label])
    points = []
    for kind in kinds:
        found = np.flatnonzero(kind)
        if len(found) > limit:
            found = random.choice(found, limit, replace=False)
        points.append(np.stack(np.unravel_index(found, kind.shape), axis=1).astype(np.int32))
    return tuple(points)
