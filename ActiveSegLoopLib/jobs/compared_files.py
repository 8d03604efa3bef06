"""Segmentations to compare: which files belong together, and which structures in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.errors import EvaluationError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.labels import present_values
from ActiveSegLoopLib.images.placing import place, whole_voxel_offset
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.segmentation import Segment, read_segmentation
from ActiveSegLoopLib.images.volume import Volume, require_same_geometry
from ActiveSegLoopLib.jobs.case_files import LabelFolder

MOST_VALUES = 255  # that a study's label maps can have


@dataclass(frozen=True)
class Loaded:
    """Segmentations of one case, in order, on one grid and in common values.

    labels: value to name; lacking: for each segmentation the structures that its file doesn't know.
    """

    labels: dict[int, str]
    volumes: list[Volume]
    lacking: list[list[str]]


def matching_files(paths: Sequence[Path]) -> tuple[dict[str, list[Path]], list[str]]:
    """The files of each case by its name, and the names of cases that not every folder has.

    Files are one case; folders are matched by their files' names without endings. Raises
    EvaluationError for a mixture, or for folders without a common case.
    """
    for path in paths:
        if not path.exists():
            raise EvaluationError(f"{path} doesn't exist.")
    folders = [path.is_dir() for path in paths]
    if not any(folders):
        return {"": list(paths)}, []
    if not all(folders):
        raise EvaluationError(
            f"{paths[folders.index(True)]} is a folder and {paths[folders.index(False)]} a file: "
            "compare files with files or folders with folders."
        )
    listed = [LabelFolder(path) for path in paths]
    names = [set(folder.names) for folder in listed]
    common = sorted(set.intersection(*names))
    if not common:
        raise EvaluationError(
            f"{' and '.join(map(str, paths))} have no case in common: the files of a case must "
            "have the same name but for their endings."
        )
    alone = sorted(set.union(*names) - set(common))
    return {name: [folder.of(name) for folder in listed] for name in common}, alone


@dataclass
class _Structure:
    """A structure of the comparison, as the files know it."""

    name: str
    ids: set[str] = field(default_factory=set)


def load(
    paths: Sequence[Path],
    names: Mapping[int, str] | None = None,
    only: Sequence[str] | None = None,
) -> Loaded:
    """Read segmentations of one image.

    The segments of .seg.nrrd files are matched by name, else by id. Any other file holds values:
    `names` says what they are; without it they are those of the segments of the first .seg.nrrd
    given, or "label 3". only: leave out other structures. Raises EvaluationError for files without
    a common structure, one in `only` that no file has, or an image in place of a label map;
    ImageError for files that can't be read or don't lie on one grid.
    """
    files = [_read(path) for path in paths]
    named = next((segments for _, segments in files if segments is not None), [])
    meant = dict(names or {}) or {segment.value: segment.name for segment in named}
    structures: list[_Structure] = []
    tables: list[dict[int, int]] = []  # for each file its value to the place in structures
    for path, (volume, segments) in zip(paths, files):
        if segments is None:
            present = present_values(volume.array)
            if len(present) > MOST_VALUES:
                raise EvaluationError(
                    f"{path} holds {len(present)} different values, as an image does: give the "
                    "label map of its structures."
                )
            segments = [
                Segment(f"value {value}", value, meant.get(value, f"label {value}"), (0, 0, 0))
                for value in sorted({*present, *meant})
            ]
        tables.append({s.value: _place_of(s, structures) for s in segments})
    chosen = _chosen(structures, only)
    # A file without any structure is an empty segmentation, which can be compared.
    known = [set(table.values()) for table in tables if table]
    # Whoever asks for a structure by name wants to know that a file lacks it.
    if not chosen or only is None and not set(chosen) & set.intersection(*known):
        own = [
            f"{path} has {', '.join(structures[n].name for n in table.values()) or 'none'}"
            for path, table in zip(paths, tables)
        ]
        raise EvaluationError(f"The files have no structure in common: {'; '.join(own)}.")
    values = _values(chosen, tables)
    volumes = []
    for (volume, _), table in zip(files, tables):
        lookup = np.zeros(int(volume.array.max(initial=0)) + 1, np.uint16)
        for value, number in table.items():
            if value < len(lookup):
                lookup[value] = values.get(number, 0)
        volumes.append(volume.with_array(lookup[volume.array]))
    return Loaded(
        {value: structures[number].name for number, value in values.items()},
        _on_one_grid(volumes, paths),
        [
            [structures[n].name for n in chosen if n not in table.values()] for table in tables
        ],
    )


def _read(path: Path) -> tuple[Volume, list[Segment] | None]:
    if path.name.lower().endswith(".seg.nrrd"):
        return read_segmentation(path)
    return read_labelmap(path), None


def _place_of(segment: Segment, structures: list[_Structure]) -> int:
    """Where a segment's structure is in the list, to which it is added if it isn't known."""
    found = [n for n, s in enumerate(structures) if s.name.casefold() == segment.name.casefold()]
    found = found or [n for n, s in enumerate(structures) if segment.id in s.ids]
    if not found:
        structures.append(_Structure(segment.name))
        found = [len(structures) - 1]
    structures[found[0]].ids.add(segment.id)
    return found[0]


def _chosen(structures: Sequence[_Structure], only: Sequence[str] | None) -> list[int]:
    if only is None:
        return list(range(len(structures)))
    known = {structure.name.casefold(): n for n, structure in enumerate(structures)}
    for name in only:
        if name.casefold() not in known:
            raise EvaluationError(
                f"None of the files has the structure '{name}'; there are "
                f"{', '.join(structure.name for structure in structures) or 'none'}."
            )
    return list(dict.fromkeys(known[name.casefold()] for name in only))


def _values(chosen: Sequence[int], tables: Sequence[Mapping[int, int]]) -> dict[int, int]:
    """A value for each structure: that of the first file that has it, or a free one."""
    wanted = {number: value for table in reversed(tables) for value, number in table.items()}
    values: dict[int, int] = {}
    for number in chosen:
        value = wanted[number]
        while value in values.values():
            value = max(value, max(wanted.values())) + 1
        values[number] = value
    return values


def _on_one_grid(volumes: Sequence[Volume], paths: Sequence[Path]) -> list[Volume]:
    """The volumes on the first one's grid, grown where others reach farther, as after cropping."""
    first = volumes[0].geometry
    low, high = np.zeros(3, int), np.array(first.shape)
    for volume, path in zip(volumes[1:], paths[1:]):
        offset = whole_voxel_offset(volume.geometry, first)
        if offset is None:
            require_same_geometry(first, volume, str(paths[0]), str(path))
            offset = (0, 0, 0)
        low = np.minimum(low, offset)
        high = np.maximum(high, np.add(offset, volume.geometry.shape))
    grid = Geometry(high - low, first.spacing, first.index_to_world(low), first.direction)
    return [
        volume if not grid.difference(volume.geometry) else place(volume, grid)
        for volume in volumes
    ]
