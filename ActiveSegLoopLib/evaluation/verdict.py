"""Whether a surface is close enough to another one for a 3D print."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ActiveSegLoopLib.errors import EvaluationError
from ActiveSegLoopLib.evaluation.surface_distance import SurfaceDistance

PRINT_LIMIT_MM = 2.0  # Kim et al. 2020: what 3D printing and navigation can bear
Criterion = Literal["rms", "p95", "maximum"]
CRITERIA: dict[str, str] = {
    "rms": "surface RMS",
    "p95": "95th percentile of the surface distance",
    "maximum": "largest surface distance",
}


@dataclass(frozen=True)
class Verdict:
    """Whether a surface is close enough to another to be printed, and why, in words.

    fits is None where nothing can be said.
    """

    fits: bool | None
    words: str


def verdict_of(
    distance: SurfaceDistance, limit_mm: float = PRINT_LIMIT_MM, criterion: Criterion = "rms"
) -> Verdict:
    """Whether the error between two surfaces is below a limit.

    criterion: "rms" (the paper's measure), "p95" or "maximum" of both directions together. Raises
    EvaluationError for a limit that isn't larger than 0 or another criterion.
    """
    require_criterion(limit_mm, criterion)
    if distance.reason:
        return Verdict(None, f"No verdict: {distance.reason}")
    stats = distance.symmetric
    number = getattr(stats, criterion)
    fits = number < limit_mm
    return Verdict(
        fits,
        f"{'Fit' if fits else 'Not fit'} for print: {CRITERIA[criterion]} {number:.2f} mm, "
        f"{'below' if fits else 'not below'} the limit of {limit_mm:g} mm; "
        f"{100 * stats.within_2mm:.1f} % of the surface lies within 2 mm, "
        f"the largest distance is {stats.maximum:.1f} mm.",
    )


def require_criterion(limit_mm: float, criterion: str) -> None:
    """Raise EvaluationError unless verdict_of can work with these."""
    if criterion not in CRITERIA:
        raise EvaluationError(f"'{criterion}' is no criterion: use one of {', '.join(CRITERIA)}.")
    if not limit_mm > 0 or math.isinf(limit_mm):
        raise EvaluationError(f"The limit must be larger than 0 mm, not {limit_mm:g}.")
