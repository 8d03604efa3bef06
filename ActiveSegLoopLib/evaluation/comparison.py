"""Two segmentations compared structure by structure: overlap, volume, surface, fit for print."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ActiveSegLoopLib.errors import EvaluationError
from ActiveSegLoopLib.evaluation.overlap import Overlap, count_overlap
from ActiveSegLoopLib.evaluation.surface_distance import (
    SurfaceDistance,
    Weighting,
    measure,
    plain,
    summarize_distances,
    surface_distance,
    why_undefined,
)
from ActiveSegLoopLib.evaluation.surfaces import SmoothingEffect, extract_surface
from ActiveSegLoopLib.evaluation.verdict import (
    PRINT_LIMIT_MM,
    Criterion,
    require_criterion,
    verdict_of,
)
from ActiveSegLoopLib.images.volume import Volume, require_same_geometry


@dataclass(frozen=True)
class StructureComparison:
    """One structure in a first segmentation (the reference) and a second one."""

    value: int
    name: str
    overlap: Overlap
    surface_dice: float
    tolerance_mm: float
    surface: SurfaceDistance
    fits: bool | None
    verdict: str
    # What it did to the first and the second surface; None where none was asked or one is empty.
    smoothing: tuple[SmoothingEffect | None, SmoothingEffect | None] = (None, None)

    @property
    def dice(self) -> float:
        """Dice coefficient; NaN when both are empty."""
        return self.overlap.dice

    @property
    def iou(self) -> float:
        """Intersection over union; NaN when both are empty."""
        return self.overlap.iou

    @property
    def first_ml(self) -> float:
        """Volume in the first segmentation in ml."""
        return self.overlap.truth_ml

    @property
    def second_ml(self) -> float:
        """Volume in the second segmentation in ml."""
        return self.overlap.predicted_ml

    @property
    def difference_ml(self) -> float:
        """Second volume minus first in ml."""
        return self.second_ml - self.first_ml

    @property
    def false_positive_ml(self) -> float:
        """Volume in ml that only the second has."""
        return self.overlap.false_positive_ml

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None for what is undefined."""
        return plain({
            "value": self.value,
            "name": self.name,
            "dice": self.dice,
            "iou": self.iou,
            "surface_dice": self.surface_dice,
            "tolerance_mm": self.tolerance_mm,
            "first_ml": self.first_ml,
            "second_ml": self.second_ml,
            "difference_ml": self.difference_ml,
            "false_positive_ml": self.false_positive_ml,
            "surface": self.surface.to_dict(),
            "fits": self.fits,
            "verdict": self.verdict,
            "smoothing": [effect and asdict(effect) for effect in self.smoothing],
        })


@dataclass(frozen=True)
class _Options:
    tolerance_mm: float
    limit_mm: float
    criterion: Criterion
    weighting: Weighting
    samples: int | None
    smoothing: float
    seed: int

    def __post_init__(self) -> None:
        if not self.tolerance_mm >= 0 or math.isinf(self.tolerance_mm):
            raise EvaluationError(
                f"The tolerance must be 0 mm or more, not {self.tolerance_mm:g}."
            )
        require_criterion(self.limit_mm, self.criterion)


def compare_segmentations(
    first: Volume,
    second: Volume,
    labels: Mapping[int, str],
    tolerance_mm: float = 1.0,
    limit_mm: float = PRINT_LIMIT_MM,
    criterion: Criterion = "rms",
    weighting: Weighting = "points",
    samples: int | None = None,
    smoothing: float = 0.0,
    seed: int = 0,
) -> list[StructureComparison]:
    """Compare the structures (value: name) of two label maps on one grid.

    tolerance_mm: of the surface Dice. limit_mm, criterion: of the verdict. weighting, samples,
    seed: as in surface_distance. smoothing: as in extract_surface. Raises ImageError for different
    grids, EvaluationError for options that make no sense.
    """
    options = _Options(tolerance_mm, limit_mm, criterion, weighting, samples, smoothing, seed)
    require_same_geometry(first, second, "the first segmentation", "The second segmentation")
    if not labels:
        raise EvaluationError("There is no structure to compare: name at least one label.")
    # Files round their grids; the same numbers let surfaces be compared voxel by voxel.
    second = Volume(second.array, first.geometry)
    return [_compare(first, second, value, name, options) for value, name in labels.items()]


def compare_pairs(
    segmentations: Mapping[str, Volume], labels: Mapping[int, str], **options: Any
) -> dict[tuple[str, str], list[StructureComparison]]:
    """Compare every two of several segmentations, as model, corrected and manual.

    segmentations: label maps by name. The result has (name of the first, of the second) for each
    pair, in order. Options and errors as in compare_segmentations.
    """
    if len(segmentations) < 2:
        raise EvaluationError("A comparison needs two segmentations or more.")
    return {
        pair: compare_segmentations(*(segmentations[name] for name in pair), labels, **options)
        for pair in itertools.combinations(segmentations, 2)
    }



def _compare(
    first: Volume, second: Volume, value: int, name: str, options: _Options
) -> StructureComparison:
    voxel_volume = first.geometry.voxel_volume
    overlap = count_overlap(first.array, second.array, value, voxel_volume=voxel_volume)
    a, b = (extract_surface(volume, value, options.smoothing) for volume in (first, second))
    reason = why_undefined(a, b)
    if reason:
        distance = surface_distance(a, b, options.weighting)
        # One found where there is none: nothing agrees. None anywhere: undefined.
        surface_dice = math.nan if a.is_empty and b.is_empty else 0.0
    else:
        measured = measure(a, b, options.samples, options.seed)
        distance = summarize_distances(measured, options.weighting)
        surface_dice = measured.within(options.tolerance_mm)
    verdict = verdict_of(distance, options.limit_mm, options.criterion)
    return StructureComparison(
        value, name, overlap, surface_dice, options.tolerance_mm, distance, verdict.fits,
        verdict.words, (a.smoothing, b.smoothing),
    )
