"""Which files make a case, what it is called, and which label file belongs to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.images.dicom_files import is_dicom
from ActiveSegLoopLib.images.opening import no_access
from ActiveSegLoopLib.study.naming import (
    RARE_VOLUME_ENDINGS,
    VOLUME_ENDINGS,
    case_name,
    image_stem,
    safe_name,
    unique_name,
)

_Part = tuple[int, Path]  # which channel, and its image


@dataclass(frozen=True)
class CaseFiles:
    """A case to be: its name and one image file or DICOM folder per channel.

    stem: what a label file is called that belongs to it; None where only the case's name tells,
    because other images are called alike.
    """

    name: str
    images: tuple[Path, ...]
    stem: str | None = None


def find_cases(
    paths: Sequence[Path],
    channels: int | None = None,
    problem: Callable[[str], None] | None = None,
) -> list[CaseFiles]:
    """The cases that images and folders of images make, in the order given.

    A folder stands for the volumes in it, sorted by name; one without any is a DICOM folder, a
    single image. `channels` None makes each image a case; a number N joins NAME_0000 ... to the
    case NAME, as nnU-Net names them. Images of one name in several folders are called after these
    too. `problem` hears why something makes no case: a path that doesn't exist or may not be read,
    a channel that is missing, two images of one name in one folder; without it that raises
    ActiveSegLoopError.
    """
    problem = problem or _raise
    found: dict[str, list[_Part]] = {}
    for path in _images(paths, problem):
        try:
            stem, channel = _stem_and_channel(path, channels)
        except ActiveSegLoopError as error:
            problem(str(error))
            continue
        found.setdefault(stem, []).append((channel, path))
    cases: list[CaseFiles] = []
    for stem, parts in found.items():
        groups = _by_folder(parts)
        names = _names(stem, list(groups))
        for name, group in zip(names, groups.values()):
            fault = _fault(name, group, channels or 1)
            if fault is not None:
                problem(fault)
                continue
            name = unique_name(name, [case.name for case in cases])
            images = tuple(path for _, path in sorted(group))
            cases.append(CaseFiles(name, images, stem if len(groups) == 1 else None))
    return cases


def _raise(text: str) -> None:
    raise ActiveSegLoopError(text)


def _by_folder(parts: Sequence[_Part]) -> dict[Path, list[_Part]]:
    """Images of one name: one case, whose channels may lie in several folders, or one a folder."""
    if len({channel for channel, _ in parts}) == len(parts):
        return {parts[0][1].absolute().parent: list(parts)}
    groups: dict[Path, list[_Part]] = {}
    for part in parts:
        groups.setdefault(part[1].absolute().parent, []).append(part)
    return groups


def _names(stem: str, folders: Sequence[Path]) -> list[str]:
    """The stem as a case's name, with as many of its folders before it as tell several apart."""
    if len(folders) == 1:
        return [safe_name(stem)]
    for depth in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = [safe_name("-".join([*folder.parts[-depth:], stem])) for folder in folders]
        if len({name.casefold() for name in names}) == len(names):
            break
    return names


def _fault(name: str, group: Sequence[_Part], channels: int) -> str | None:
    numbers = sorted(channel for channel, _ in group)
    if numbers == list(range(channels)):
        return None
    twice = [path for channel, path in group if numbers.count(channel) > 1]
    if twice:
        return f"{twice[0]} and {twice[1]} would both be the case '{name}'; rename one of them."
    return (
        f"The case '{name}' has the channels {', '.join(f'{c:04d}' for c in numbers)}"
        f" but needs {', '.join(f'{c:04d}' for c in range(channels))}; give all of them."
    )


def _images(paths: Sequence[Path], problem: Callable[[str], None]) -> list[Path]:
    images: dict[Path, None] = {}  # a file named twice, directly and by its folder, counts once
    for path in paths:
        try:
            if path.exists():
                images |= dict.fromkeys(_volumes_in(path) or [path])
            else:
                problem(f"{path} doesn't exist.")
        except OSError as error:
            problem(no_access(path, error))
    return list(images)


def left_out(paths: Sequence[Path]) -> Iterator[str]:
    """What find_cases doesn't take, in sentences: DICOM files of folders that hold volumes."""
    for folder in paths:
        try:
            volumes = _volumes_in(folder)
            files = [p for p in sorted(folder.iterdir()) if is_dicom(p)] if volumes else []
        except OSError:
            continue  # find_cases has said so
        if files:
            yield (
                f"{folder} stands for the volumes in it, such as {volumes[0].name}; DICOM files "
                f"there, such as {files[0].name}, were left out: give a folder that holds only "
                "them."
            )


def _volumes_in(folder: Path) -> list[Path]:
    """The volumes of a folder; none of what is no folder.

    Files with a rare ending are taken where there are no others and no DICOM images.
    """
    if not folder.is_dir():
        return []
    volumes, rare = ([p for p in found if not _is_segmentation(p)] for found in _by_ending(folder))
    if volumes or not rare or any(map(is_dicom, folder.rglob("*"))):
        return volumes
    return rare


def _by_ending(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files of a folder that end as volumes do, and those with a rare ending, by name."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    usual, rare = (
        [path for path in files if path.name.lower().endswith(endings)]
        for endings in (VOLUME_ENDINGS, RARE_VOLUME_ENDINGS)
    )
    return usual, rare


def _is_segmentation(path: Path) -> bool:
    return path.name.lower().endswith(".seg.nrrd")


def _stem_and_channel(path: Path, channels: int | None) -> tuple[str, int]:
    if channels is None:
        return image_stem(path.absolute()), 0
    match = re.fullmatch(r"(.+)_(\d{4})((\.\w+)*)", path.absolute().name)
    if not match:
        raise ActiveSegLoopError(
            f"{path} isn't named as one of several channels: the {channels} images of a case are "
            f"called NAME_0000 to NAME_{channels - 1:04d}."
        )
    return image_stem(Path(match[1] + match[3])), int(match[2])


class LabelFolder:
    """The label files of a folder, found by the name of the case they belong to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, list[Path]] = {}
        self._stems: dict[str, list[Path]] = {}
        try:
            if not folder.is_dir():
                raise ActiveSegLoopError(f"The folder of labels {folder} doesn't exist.")
            usual, rare = _by_ending(folder)
        except OSError as error:
            raise ActiveSegLoopError(no_access(folder, error)) from error
        stems = {image_stem(path) for path in usual}
        # A surface may lie beside the label map of its name.
        for path in (*usual, *(path for path in rare if image_stem(path) not in stems)):
            self._files.setdefault(case_name(path), []).append(path)
            self._stems.setdefault(image_stem(path), []).append(path)

    @property
    def names(self) -> list[str]:
        """The cases that have a file here."""
        return list(self._files)

    def of(self, name: str) -> Path | None:
        """The label file of the case `name`; None if there is none, an error if there are two."""
        return self._only(name, self._files.get(name, []))

    def of_case(self, case: CaseFiles) -> Path | None:
        """The label file that is called like the case's image, or like the case; see `of`."""
        found = self._stems.get(case.stem) or self._stems.get(case.name) or []
        return self._only(case.name, found)

    def _only(self, name: str, found: Sequence[Path]) -> Path | None:
        if len(found) > 1:
            raise ActiveSegLoopError(
                f"The case '{name}' has two label files, {found[0].name} and {found[1].name} in "
                f"{self._folder}; keep one."
            )
        return found[0] if found else None


def group_of(case: CaseFiles, pattern: re.Pattern | None) -> str | None:
    """The patient of a case: what `pattern` (its first group, if it has one) finds in the name.

    A pattern with a slash that isn't in the name is looked for in the whole path, whose folders are
    parted by slashes.
    """
    if pattern is None:
        return None
    path = case.images[0].absolute()
    name = path.name
    match = pattern.search(name)
    if match is None and "/" in pattern.pattern:
        name = path.as_posix()
        match = pattern.search(name)
    if not match:
        raise ActiveSegLoopError(
            f"--group-regex '{pattern.pattern}' finds nothing in the name {name}; the patient's "
            "part of every name must match (of the path, where the pattern has a slash)."
        )
    found = match[1] if pattern.groups else match[0]
    if not found:
        raise ActiveSegLoopError(f"--group-regex '{pattern.pattern}' finds no patient in {name}.")
    return found
