"""What the plan needs to know of a case: sizes, spacing, organs' boxes, intensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.images.regions import Box, find_boxes
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.islands import smallest_part
from ActiveSegLoopLib.study.annotation import Annotated

# Parts of an organ (or its vessels) that lie closer than this belong to one region of interest.
GAP_MM = 10.0


@dataclass(frozen=True)
class CaseFingerprint:
    """Shape (z, y, x), spacing (mm), boxes of the organ instances (mm, without margin; volumes
    in mm3) and, per channel, intensity percentiles of the image and of the labeled foreground.
    `smallest_parts`: per label the volume of its smallest part (mm3); None where it isn't there
    or not annotated everywhere.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    box_sizes: tuple[tuple[float, float, float], ...]
    box_volumes: tuple[float, ...]
    intensities: tuple[dict[str, float], ...]
    smallest_parts: tuple[float | None, ...]


def fingerprint_case(
    volumes: Sequence[Volume], channels: np.ndarray, annotated: Annotated
) -> CaseFingerprint | None:
    """The fingerprint of one case on its LPS grid; None if no label was drawn in it.

    `channels` (z, y, x) holds only what is annotated (see preparing.in_lps).
    """
    geometry = volumes[0].geometry
    foreground = channels > 0
    if not foreground.any():
        return None
    organs = _between_slices(foreground, annotated)
    boxes = find_boxes(organs, geometry.spacing, 0.0, gap_mm=GAP_MM)
    spacing = np.array(geometry.spacing)
    return CaseFingerprint(
        shape=geometry.shape,
        spacing=geometry.spacing,
        box_sizes=tuple(tuple(float(v) for v in np.array(b.shape) * spacing) for b in boxes),
        box_volumes=tuple(
            float(np.count_nonzero(organs[b.slices]) * geometry.voxel_volume) for b in boxes
        ),
        intensities=tuple(_intensities(v.array, foreground) for v in volumes),
        smallest_parts=tuple(
            smallest_part(channels == label + 1, geometry.voxel_volume)
            if annotated.label(label).all() else None
            for label in range(annotated.subsets.shape[1])
        ),
    )


def labeled_boxes(
    channels: np.ndarray,
    annotated: Annotated,
    spacing: tuple[float, float, float],
    margin_mm: float = 0.0,
) -> list[Box]:
    """A box around each organ instance in a label map (z, y, x), `margin_mm` wider on every side.

    An organ of which only some slices are labeled is one all the same.
    """
    organs = _between_slices(channels > 0, annotated)
    return find_boxes(organs, spacing, margin_mm, gap_mm=GAP_MM)


def _between_slices(foreground: np.ndarray, annotated: Annotated) -> np.ndarray:
    """The foreground (bool), going on between labeled slices if both of them show some of it."""
    known = annotated.any()
    filled = foreground.copy()
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        labeled = np.flatnonzero(known.any(axis=others))
        source, target = np.moveaxis(foreground, axis, 0), np.moveaxis(filled, axis, 0)
        for before, after in zip(labeled[:-1], labeled[1:]):
            if after > before + 1 and source[before].any() and source[after].any():
                target[before + 1 : after] |= source[before] | source[after]
    return filled


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
