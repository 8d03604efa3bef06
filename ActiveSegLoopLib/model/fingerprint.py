"""What the plan needs to know of a case: sizes, spacing, organs' boxes, intensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.regions import Box, find_boxes
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.annotation import Annotated

# Parts of an organ (or its vessels) that lie closer than this belong to one region of interest.
GAP_MM = 10.0


@dataclass(frozen=True)
class CaseFingerprint:
    """Shape (z, y, x), spacing (mm), boxes of the organ instances (mm, without margin; volumes
    in mm3) and, per channel, intensity percentiles of the image and of the labeled foreground.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    box_sizes: tuple[tuple[float, float, float], ...]
    box_volumes: tuple[float, ...]
    gap_mm: float
    intensities: tuple[dict[str, float], ...]


def fingerprint_case(
    volumes: Sequence[Volume], channels: np.ndarray, annotated: Annotated
) -> CaseFingerprint | None:
    """The fingerprint of one case on its LPS grid; None if no label was drawn in it."""
    geometry = volumes[0].geometry
    foreground = channels > 0
    if not foreground.any():
        return None
    gap = region_gap_mm(geometry, annotated)
    boxes = find_boxes(foreground, geometry.spacing, margin_mm=0.0, gap_mm=gap)
    spacing = np.array(geometry.spacing)
    return CaseFingerprint(
        shape=geometry.shape,
        spacing=geometry.spacing,
        box_sizes=tuple(tuple(float(v) for v in np.array(b.shape) * spacing) for b in boxes),
        box_volumes=tuple(_foreground_mm3(foreground, b, geometry) for b in boxes),
        gap_mm=gap,
        intensities=tuple(_intensities(v.array, foreground) for v in volumes),
    )


def region_gap_mm(geometry: Geometry, annotated: Annotated) -> float:
    """How far apart parts of one region may lie: farther where only some slices are labeled."""
    known = annotated.any()
    gap = GAP_MM
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        slices = np.flatnonzero(known.any(axis=others))
        if len(slices) > 1 and known.any():
            gap = max(gap, 1.5 * float(np.diff(slices).max()) * geometry.spacing[axis])
    return gap


def _foreground_mm3(foreground: np.ndarray, box: Box, geometry: Geometry) -> float:
    return float(np.count_nonzero(foreground[box.slices]) * geometry.voxel_volume)


def _intensities(array: np.ndarray, foreground: np.ndarray) -> dict[str, float]:
    low, high = np.percentile(array[::2, ::2, ::2], (0.5, 99.5))
    inside = array[foreground].astype(np.float32)
    inner_low, inner_high = np.percentile(inside, (0.5, 99.5))
    inside = np.clip(inside, inner_low, inner_high)
    return {
        "low": float(low),
        "high": float(high),
        "foreground_low": float(inner_low),
        "foreground_high": float(inner_high),
        "foreground_mean": float(inside.mean()),
        "foreground_std": float(max(inside.std(), 1e-3)),
    }
