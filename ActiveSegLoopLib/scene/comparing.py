"""Comparing manual, model's and corrected labels in the scene: table, colored surface, verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ActiveSegLoopLib.errors import EvaluationError
from ActiveSegLoopLib.evaluation.comparison import StructureComparison, compare_pairs
from ActiveSegLoopLib.evaluation.surfaces import extract_surface
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.segmentation import Segment
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.scene.apart import Apart, WorstSpot, apart
from ActiveSegLoopLib.scene.colored_models import colored_model
from ActiveSegLoopLib.scene.labelmaps import Snapshot, snapshot
from ActiveSegLoopLib.scene.tables import comparison_table
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.study import Study

SOURCES = ("manual", "model", "corrected")
Source = Callable[[], Volume]


@dataclass(frozen=True, eq=False)
class Compared:
    """Pairs of segmentations compared: structures by (name of the first, of the second).

    surfaces: by pair the surface of the second one with its distances from the first; only for the
    structure that was asked for, where both have it.
    """

    pairs: Mapping[tuple[str, str], Sequence[StructureComparison]]
    surfaces: Mapping[tuple[str, str], Apart]
    structure: str | None


@dataclass(frozen=True, eq=False)
class Shown:
    """What a comparison has in the scene; models and worst spots only where both have voxels."""

    tables: Mapping[tuple[str, str], Any]
    models: Mapping[tuple[str, str], Any]
    worst: Mapping[tuple[str, str], WorstSpot]


def sources(study: Study, case: Case) -> dict[str, Source]:
    """The labels of a case that can be compared: "manual", "model", "corrected" where they exist.

    The newest revision of each origin, and the newest prediction. Each is read when it is called.
    """
    found: dict[str, Source] = {}
    revisions = study.revisions(case)
    for origin in ("manual", "corrected"):
        newest = next((r for r in reversed(revisions) if r.origin == origin), None)
        if newest is not None:
            found[origin] = lambda newest=newest: study.labelmap(newest)
    for finished in reversed(study.rounds()):
        path = study.prediction(finished, case)
        if path is not None:
            found["model"] = lambda path=path: read_labelmap(path)
            break
    return {name: found[name] for name in SOURCES if name in found}


def on_screen(node: Any, geometry: Geometry, segments: Sequence[Segment]) -> Source:
    """What a segmentation node shows now, copied at once; the label map is made when called."""
    seen: Snapshot = snapshot(node, geometry)
    return lambda: seen.labelmap(segments)


def compare(
    chosen: Mapping[str, Source],
    segments: Sequence[Segment],
    structure: str | None = None,
    tolerance_mm: float = 1.0,
    limit_mm: float = 2.0,
) -> Compared:
    """Compare every two of two or three label maps; doesn't touch the scene.

    chosen: by name, from `sources` and `on_screen`. structure: the id of the label whose surface is
    to be shown, None for none.
    """
    if not 2 <= len(chosen) <= 3:
        raise EvaluationError(
            f"Choose two or three segmentations to compare, not {len(chosen)}."
        )
    maps = {name: read() for name, read in chosen.items()}
    labels = {segment.value: segment.name for segment in segments}
    pairs = compare_pairs(maps, labels, tolerance_mm=tolerance_mm, limit_mm=limit_mm)
    surfaces = {}
    if structure is not None:
        value = next((s.value for s in segments if s.id == structure), None)
        if value is None:
            raise EvaluationError(f"There is no label '{structure}' to show.")
        made = {name: extract_surface(volume, value) for name, volume in maps.items()}
        for first, second in pairs:
            found = apart(made[second], made[first])
            if found is not None:
                surfaces[first, second] = found
    return Compared(pairs, surfaces, structure)


def show_comparison(
    compared: Compared,
    name: str,
    limit_mm: float = 2.0,
    words: Mapping[str, str] = MappingProxyType({}),
) -> Shown:
    """Put a comparison into the scene, over what a former one of this name has shown there.

    words: what to call the segmentations in the names of the nodes, where not as in the pairs.
    """
    tables, models, worst = {}, {}, {}
    for pair, structures in compared.pairs.items():
        first, second = (words.get(one, one) for one in pair)
        title = f"{name}: {first} - {second}"
        tables[pair] = comparison_table(structures, title)
        if pair in compared.surfaces:
            found = compared.surfaces[pair]
            models[pair] = colored_model(
                found.surface, found.distances, f"{title}, {compared.structure}", limit_mm
            )
            worst[pair] = found.worst
    return Shown(tables, models, worst)
