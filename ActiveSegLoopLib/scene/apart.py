"""How far apart two surfaces lie at each point, and where most; nothing of it touches the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.evaluation.surface_distance import point_distances
from ActiveSegLoopLib.evaluation.surfaces import Surface
from ActiveSegLoopLib.scene.grids import to_ras


@dataclass(frozen=True)
class WorstSpot:
    """Where two surfaces lie farthest apart: RAS in mm, and the distance in mm."""

    ras: tuple[float, float, float]
    mm: float


@dataclass(frozen=True, eq=False)
class Apart:
    """A surface, its points' distances in mm from another one (positive outside), the worst spot.

    The worst spot is on either surface: what only one of them has may lie far from the other.
    """

    surface: Surface
    distances: np.ndarray
    worst: WorstSpot


def apart(here: Surface, there: Surface) -> Apart | None:
    """How far a surface lies from another one; None where one of the two is empty."""
    if here.is_empty or there.is_empty:
        return None
    distances = point_distances(here, there)
    spots = (_farthest(here, distances), _farthest(there, point_distances(there, here)))
    return Apart(here, distances, max(spots, key=lambda spot: spot.mm))


def _farthest(surface: Surface, distances: np.ndarray) -> WorstSpot:
    at = int(np.argmax(np.abs(distances)))
    return WorstSpot(tuple(to_ras(surface.points[at])), float(abs(distances[at])))
