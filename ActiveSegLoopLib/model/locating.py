"""The locator's part of the cascade: boxes around each organ instance, and how wide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from torch import Tensor

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.regions import Box, find_boxes
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.fingerprint import labeled_boxes
from ActiveSegLoopLib.model.plan import Plan
from ActiveSegLoopLib.model.preparing import LabeledCase, in_lps, network_input, normalized_settings

# Margins that are never gone below or beyond, and what is added where only cases that the locator
# was trained on can tell how far it is off.
_LEAST_MM, _MOST_MM, _SEEN_BEFORE_MM = 6.0, 40.0, 5.0
# Of a case's labeled voxels this share must lie inside the boxes, in this share of the cases.
_INSIDE, _CASES = 0.999, 0.95

# What is organ with at least this probability is worth a look by the segmenter: a missed part is
# lost for good, a box too large costs only time.
FOUND = 0.2

Locate = Callable[[np.ndarray], Tensor]


def organ_boxes(
    locate: Locate,
    plan: Plan,
    upright: Sequence[Volume],
    settings: Sequence[dict],
    margin_mm: float | None = None,
) -> list[Box]:
    """Boxes in voxels of LPS-oriented volumes around each organ instance, none if none is found.

    `locate(input)` gives the locator's probabilities (2, z, y, x); the margin is the plan's.
    """
    image, coarse, geometry = network_input(upright, settings, None, plan.locator.spacing)
    found = find_boxes(
        (locate(image)[1] > FOUND).cpu().numpy(),
        coarse.spacing,
        plan.margin_mm if margin_mm is None else margin_mm,
        plan.minimum_mm3,
        plan.gap_mm,
    )
    return [_onto(box, coarse, geometry) for box in found]


def measured_margin(
    locate: Locate,
    plan: Plan,
    cases: Iterable[LabeledCase],
    unseen: bool,
    warn: Callable[[str], None],
) -> float | None:
    """The margin in mm that keeps what is labeled inside the boxes; None if no case can tell.

    Measured on cases that the locator wasn't trained on where there are any (`unseen`), and without
    the organs that no margin reaches: they would only make every region larger. `warn` is told.
    """
    needed, labeled_cases, missed = [], 0, 0
    for case in cases:
        upright, channels, annotated = in_lps(*case.load())
        labeled = np.argwhere(channels > 0)
        if not len(labeled):
            continue
        labeled_cases += 1
        boxes = organ_boxes(locate, plan, upright, normalized_settings(plan, upright), 0.0)
        if not boxes:
            missed += 1
            continue
        spacing = np.array(upright[0].geometry.spacing)
        outside = np.min([_mm_outside(labeled, b, spacing) for b in boxes], axis=0)
        organs = labeled_boxes(channels, annotated, upright[0].geometry.spacing)
        lost = _out_of_reach(labeled, outside, organs)
        if lost.mean() > 1 - _INSIDE:
            missed += 1
            outside = outside[~lost]
        if len(outside):
            needed.append(np.quantile(outside, _INSIDE))
    if not needed:
        return None
    if missed:
        warn(
            f"In {missed} of {labeled_cases} case(s) the locator missed an organ where no margin "
            "reaches it; more labeled cases or a longer training may help."
        )
    margin = float(np.quantile(needed, _CASES, method="higher"))
    return float(np.clip(margin + (0.0 if unseen else _SEEN_BEFORE_MM), _LEAST_MM, _MOST_MM))


def _out_of_reach(labeled: np.ndarray, outside: np.ndarray, organs: Sequence[Box]) -> np.ndarray:
    """Which labeled voxels (n, 3) are of an organ that no box touches and no margin takes in.

    `outside`: how far (mm) each lies outside the boxes.
    """
    lost = np.zeros(len(labeled), bool)
    for organ in organs:
        inside = np.all((labeled >= organ.lower) & (labeled < organ.upper), axis=1)
        away = outside[inside]
        if away.min() > 0 and away.max() > _MOST_MM:
            lost |= inside
    return lost


def _mm_outside(voxels: np.ndarray, box: Box, spacing: np.ndarray) -> np.ndarray:
    """How far, along the worst axis, each voxel (n, 3) lies outside a box; 0 inside."""
    below = np.array(box.lower) - voxels
    above = voxels + 1 - np.array(box.upper)
    return (np.maximum(np.maximum(below, above), 0) * spacing).max(axis=1)


def _onto(box: Box, coarse: Geometry, geometry: Geometry) -> Box:
    """A box of the coarse grid in voxels of the grid with the same edges, rounded outward."""
    scale = np.array(geometry.shape) / np.array(coarse.shape)
    lower = np.floor(np.array(box.lower) * scale).astype(int)
    upper = np.ceil(np.array(box.upper) * scale).astype(int)
    return Box(tuple(lower), tuple(np.minimum(upper, geometry.shape)))
