"""The cases of a comparison one after another, and their surfaces to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ActiveSegLoopLib.errors import EvaluationError
from ActiveSegLoopLib.evaluation.comparison import compare_pairs
from ActiveSegLoopLib.evaluation.surface_distance import point_distances
from ActiveSegLoopLib.evaluation.surface_files import write_surface
from ActiveSegLoopLib.evaluation.surfaces import Surface, extract_surface
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.jobs.compared_files import load, matching_files
from ActiveSegLoopLib.jobs.comparison_tables import Compared
from ActiveSegLoopLib.study.naming import case_name

Report = Callable[..., None]


@dataclass(frozen=True)
class Comparing:
    """What to compare: files or folders, what they are called, and how to measure.

    labels, only: as `load` takes them. surface: a .vtp file to write or None. measuring: options of
    compare_segmentations.
    """

    paths: Sequence[Path]
    called: Sequence[str]
    labels: Mapping[int, str] | None
    only: Sequence[str] | None
    surface: Path | None
    measuring: Mapping[str, Any]

    def cases(self) -> tuple[dict[str, list[Path]], list[str]]:
        """The files of each case, and the cases that are left out."""
        return matching_files(self.paths)

    def compare(
        self, case: str, members: Sequence[Path], report: Report
    ) -> tuple[list[Compared], list[Path]]:
        """Compare every two of a case's segmentations; also the files of surfaces written."""
        loaded = load(members, self.labels, self.only)
        for path, lacking in zip(members, loaded.lacking):
            for structure in lacking:
                report(
                    "warning",
                    text=f"{path} doesn't have the structure '{structure}': it counts as empty.",
                )
        volumes = dict(zip(self.called, loaded.volumes))
        pairs = compare_pairs(volumes, loaded.labels, **self.measuring)
        written = []
        for pair in pairs if self.surface is not None else ():
            path = self._surface_path(case, pair)
            first, second = (volumes[name] for name in pair)
            if write_distances(path, first, second, loaded.labels, self.measuring["smoothing"]):
                written.append(path)
            else:
                report("warning", text=f"{path} isn't written: {pair[0]} holds no structure.")
        return [Compared(case, *pair, found) for pair, found in pairs.items()], written

    def _surface_path(self, case: str, pair: tuple[str, str]) -> Path:
        """The file asked for, with what tells several apart."""
        parts = [self.surface.stem]
        if case:
            parts.append(case)
        if len(self.paths) > 2:
            parts += [case_name(Path(name)) for name in pair]
        return self.surface.with_name("-".join(parts) + self.surface.suffix)


def write_distances(
    path: Path, first: Volume, second: Volume, labels: Mapping[int, str], smoothing: float
) -> bool:
    """Write the first's surfaces as .vtp with their distance from the second's at every point.

    Point arrays: Distance (signed, mm; negative inside; NaN where the second has no such structure)
    and Label (the structure's value). False, and no file, when the first has no structure at all.
    """
    parts, distances, values = [], [], []
    for value in labels:
        a, b = (extract_surface(volume, value, smoothing) for volume in (first, second))
        if not a.is_empty:
            parts.append(a)
            distances.append(point_distances(a, b))
            values.append(np.full(len(a.points), value, np.int32))
    if not parts:
        return False
    starts = np.cumsum([0] + [len(part.points) for part in parts[:-1]])
    joined = Surface(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.triangles + start for part, start in zip(parts, starts)]),
    )
    arrays = {"Distance": np.concatenate(distances), "Label": np.concatenate(values)}
    write_surface(path, joined, arrays)
    return True


def require_places(csv: Path | None, surface: Path | None) -> None:
    """Raise EvaluationError, before anything is computed, where a result couldn't be written."""
    for path in (csv, surface):
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            what = "it is a folder" if path.is_dir() else f"the folder {path.parent} doesn't exist"
            raise EvaluationError(f"{path} can't be written: {what}.")
    if surface is not None and surface.suffix.lower() != ".vtp":
        raise EvaluationError(f"{surface} can't be written: a surface's name ends in .vtp.")


def names_of(paths: Sequence[Path], given: Sequence[str] | None) -> list[str]:
    """What the segmentations are called: as given, else as their files, else by their paths."""
    if given is None:
        named = [path.name if path.is_dir() else case_name(path) for path in paths]
        if len(set(named)) < len(named):
            named = [str(path) for path in paths]
        if len(set(named)) < len(named):  # a file compared with itself
            named = [f"{name} ({letter})" for name, letter in zip(named, "ABC")]
        return named
    if len(given) != len(paths) or len(set(given)) < len(given):
        raise EvaluationError(
            f"--names needs {len(paths)} different names for {len(paths)} segmentations, "
            f"not {' '.join(given)}."
        )
    return list(given)
