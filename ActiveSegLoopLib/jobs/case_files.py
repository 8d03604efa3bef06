"""Which files make a case, what it is called, and which label file belongs to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.study.naming import case_name

# The endings by which a folder of volumes is told from a DICOM folder.
_ENDINGS = (
    ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".gipl", ".gipl.gz", ".hdr", ".tif",
    ".tiff",
)


@dataclass(frozen=True)
class CaseFiles:
    """A case to be: its name and one image file or DICOM folder per channel."""

    name: str
    images: tuple[Path, ...]


def find_cases(paths: Sequence[Path], channels: int | None = None) -> list[CaseFiles]:
    """The cases that images and folders of images make, in the order given.

    A folder stands for the volumes in it, sorted by name; one without any is a DICOM folder, a
    single image. `channels` None makes each image a case; a number N joins NAME_0000 ... to the
    case NAME, as nnU-Net names them. Raises ActiveSegLoopError for a path that doesn't exist, a
    channel that is missing, or two cases of one name.
    """
    found: dict[str, dict[int, Path]] = {}
    for path in _images(paths):
        name, channel = _name_and_channel(path, channels)
        parts = found.setdefault(name, {})
        if channel in parts:
            raise ActiveSegLoopError(
                f"{parts[channel]} and {path} would both be the case '{name}'; rename one of them."
            )
        parts[channel] = path
    for name, parts in found.items():
        wanted = range(channels or 1)
        if sorted(parts) != list(wanted):
            raise ActiveSegLoopError(
                f"The case '{name}' has the channels {', '.join(f'{c:04d}' for c in sorted(parts))}"
                f" but needs {', '.join(f'{c:04d}' for c in wanted)}; give all of them."
            )
    return [
        CaseFiles(name, tuple(parts[channel] for channel in sorted(parts)))
        for name, parts in found.items()
    ]


def _images(paths: Sequence[Path]) -> list[Path]:
    images: dict[Path, None] = {}  # a file named twice, directly and by its folder, counts once
    for path in paths:
        if not path.exists():
            raise ActiveSegLoopError(f"{path} doesn't exist.")
        inside = _volumes_in(path) if path.is_dir() else []
        images |= dict.fromkeys(inside or [path])
    return list(images)


def _volumes_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file()
        and not path.name.startswith(".")
        and path.name.lower().endswith(_ENDINGS)
        and not path.name.lower().endswith(".seg.nrrd")
    )


def _name_and_channel(path: Path, channels: int | None) -> tuple[str, int]:
    if channels is None:
        return case_name(path.absolute()), 0
    match = re.fullmatch(r"(.+)_(\d{4})((\.\w+)*)", path.absolute().name)
    if not match:
        raise ActiveSegLoopError(
            f"{path} isn't named as one of several channels: with --channels {channels} the images "
            f"of a case are called NAME_0000 to NAME_{channels - 1:04d}."
        )
    return case_name(Path(match[1] + match[3])), int(match[2])


class LabelFolder:
    """The label files of a folder, found by the name of the case they belong to."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ActiveSegLoopError(f"The folder of labels {folder} doesn't exist.")
        self._folder = folder
        self._files: dict[str, list[Path]] = {}
        for path in sorted(folder.iterdir()):
            hidden = path.name.startswith(".")
            if path.is_file() and not hidden and path.name.lower().endswith(_ENDINGS):
                self._files.setdefault(case_name(path), []).append(path)

    @property
    def names(self) -> list[str]:
        """The cases that have a file here."""
        return list(self._files)

    def of(self, name: str) -> Path | None:
        """The label file of the case `name`; None if there is none, an error if there are two."""
        found = self._files.get(name, [])
        if len(found) > 1:
            raise ActiveSegLoopError(
                f"The case '{name}' has two label files, {found[0].name} and {found[1].name} in "
                f"{self._folder}; keep one."
            )
        return found[0] if found else None


def group_of(case: CaseFiles, pattern: re.Pattern | None) -> str | None:
    """The patient of a case: what `pattern` (its first group, if it has one) finds in the name."""
    if pattern is None:
        return None
    name = case.images[0].absolute().name
    match = pattern.search(name)
    if not match:
        raise ActiveSegLoopError(
            f"--group-regex '{pattern.pattern}' finds nothing in the name {name}; the patient's "
            "part of every name must match."
        )
    found = match[1] if pattern.groups else match[0]
    if not found:
        raise ActiveSegLoopError(f"--group-regex '{pattern.pattern}' finds no patient in {name}.")
    return found
