"""How far two surfaces are apart, in mm: from points of one to the closest point of the other.

The closest point is sought on the other's triangles, not only among its corners, and found
exactly. Kim et al. 2020 (Scientific Reports 10:366, equation 3) report the RMS over the points.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ActiveSegLoopLib.errors import EvaluationError
from ActiveSegLoopLib.evaluation.closest import closest_distances
from ActiveSegLoopLib.evaluation.lattice_distance import lattice_distances
from ActiveSegLoopLib.evaluation.surfaces import Surface

Weighting = Literal["points", "area"]
_ROUNDING = 1e-6  # mm: voxels of 1 mm make many distances of just 1 mm


@dataclass(frozen=True)
class DistanceStats:
    """Distances in mm of so many points; every number but the count is NaN for none.

    All but signed_mean are of the distances without their sign. sd is that of these points (divided
    by n), so that rms^2 = mean^2 + sd^2; maximum is the Hausdorff distance of this direction;
    within_1mm and within_2mm are shares from 0 to 1; signed_mean is NaN where no sign was asked.
    """

    count: int
    rms: float
    mean: float
    sd: float
    median: float
    p95: float
    maximum: float
    within_1mm: float
    within_2mm: float
    signed_mean: float


_UNDEFINED = DistanceStats(0, *[math.nan] * 9)


@dataclass(frozen=True)
class SurfaceDistance:
    """Distances of the first surface's points from the second, the reverse, and all together.

    Signs: a_to_b is positive where the first surface lies outside the second, b_to_a where the
    second lies outside the first; symmetric as a_to_b. Where a surface is empty, nothing is
    defined: `reason` says so, and every number is NaN.
    """

    a_to_b: DistanceStats
    b_to_a: DistanceStats
    symmetric: DistanceStats
    weighting: Weighting = "points"
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None for what is undefined."""
        return plain(asdict(self))


@dataclass(frozen=True, eq=False)
class MeasuredPoints:
    """Signed or plain distances in mm of points of both surfaces.

    Where samples is given, so many points drawn evenly over each; else the corners of triangles.
    """

    a: Surface
    b: Surface
    a_to_b: np.ndarray
    b_to_a: np.ndarray
    samples: int | None
    signed: bool

    @cached_property
    def areas(self) -> tuple[np.ndarray, np.ndarray]:
        """The area in mm2 that each point stands for, of both surfaces."""
        if self.samples is None:
            return tuple(one.point_areas[one.used_points] for one in (self.a, self.b))
        return tuple(
            np.full(self.samples, one.areas.sum() / self.samples) for one in (self.a, self.b)
        )

    def within(self, limit_mm: float) -> float:
        """Share (0 to 1) of both surfaces' area not farther than this from the other.

        The surface Dice at a tolerance of Nikolov et al. 2021 (J Med Internet Res 23:e26151).
        """
        mine, its = self.areas
        near = mine[np.abs(self.a_to_b) <= limit_mm + _ROUNDING].sum()
        near += its[np.abs(self.b_to_a) <= limit_mm + _ROUNDING].sum()
        return float(near / (mine.sum() + its.sum()))


def surface_distance(
    a: Surface,
    b: Surface,
    weighting: Weighting = "points",
    samples: int | None = None,
    seed: int = 0,
    signed: bool = True,
) -> SurfaceDistance:
    """The distances between two surfaces in both directions and together.

    weighting: "points" counts every point of a surface alike, as the paper does; "area" counts it
    as the area around it. samples: measure at so many points drawn evenly over each surface
    instead of at its own points (they stand for equal areas already). Raises EvaluationError for
    signed distances from a surface that isn't closed, or options that make no sense.
    """
    if weighting not in ("points", "area"):
        raise EvaluationError(f"The weighting must be 'points' or 'area', not '{weighting}'.")
    if samples is not None and samples < 1:
        raise EvaluationError(f"At least one point must be sampled, not {samples}.")
    reason = why_undefined(a, b)
    if reason:
        return SurfaceDistance(_UNDEFINED, _UNDEFINED, _UNDEFINED, weighting, reason)
    return summarize_distances(measure(a, b, samples, seed, signed), weighting)


def point_distances(a: Surface, b: Surface, signed: bool = True) -> np.ndarray:
    """(n,): how far each point of the first surface is from the second, in mm.

    Negative where it lies inside the second; NaN everywhere if the second is empty. Raises
    EvaluationError for signed distances from a surface that isn't closed.
    """
    if b.is_empty or not len(a.points):
        return np.full(len(a.points), np.nan)
    if signed:
        b.require_closed()
    if a.lattice is None or b.lattice is None or not a.lattice.fits(b.lattice):
        return closest_distances(a.points, b, signed)
    distance, inside = lattice_distances(a.lattice, b.lattice)
    far = np.flatnonzero(np.isnan(distance))
    if far.size:
        distance[far] = closest_distances(a.points[far], b, signed=False)
    return np.where(inside, -distance, distance) if signed else distance


def why_undefined(a: Surface, b: Surface) -> str:
    """In words why two surfaces have no distance; empty when they have one."""
    if a.is_empty and b.is_empty:
        return "Both surfaces are empty, so there is no distance between them."
    if a.is_empty or b.is_empty:
        which = "first" if a.is_empty else "second"
        return f"The {which} surface is empty, so its distance from the other is undefined."
    return ""


def measure(
    a: Surface, b: Surface, samples: int | None = None, seed: int = 0, signed: bool = True
) -> MeasuredPoints:
    """The distances that surface_distance sums up; neither surface may be empty."""
    if signed:
        a.require_closed("The first surface")
        b.require_closed("The second surface")
    if samples is None:
        found = [
            point_distances(one, other, signed)[one.used_points]
            for one, other in ((a, b), (b, a))
        ]
    else:
        random = np.random.default_rng(seed)
        found = [
            closest_distances(sample_points(one, samples, random), other, signed)
            for one, other in ((a, b), (b, a))
        ]
    return MeasuredPoints(a, b, *found, samples, signed)


def sample_points(surface: Surface, count: int, random: np.random.Generator) -> np.ndarray:
    """(count, 3): points drawn evenly over a surface's area."""
    edges = np.cumsum(surface.areas)
    if not edges[-1] > 0:
        raise EvaluationError("The surface has no area to draw points from: make it again.")
    number = np.searchsorted(edges, random.uniform(0, edges[-1], count), side="right")
    corners = surface.triangles[np.minimum(number, len(edges) - 1)]
    u, v = random.random((2, count, 1))
    u = np.sqrt(u)
    a, b, c = (surface.points[corners[:, i]] for i in range(3))
    return (1 - u) * a + u * (1 - v) * b + u * v * c


def summarize_distances(measured: MeasuredPoints, weighting: Weighting) -> SurfaceDistance:
    """The statistics of measured distances."""
    one, other = measured.areas if weighting == "area" else (None, None)
    both = None if one is None else np.concatenate([one, other])
    together = np.concatenate([measured.a_to_b, -measured.b_to_a])
    return SurfaceDistance(
        _stats(measured.a_to_b, one, measured.signed),
        _stats(measured.b_to_a, other, measured.signed),
        _stats(together, both, measured.signed),
        weighting,
    )


def _stats(signed: np.ndarray, weights: np.ndarray | None, has_sign: bool) -> DistanceStats:
    used = slice(None) if weights is None else weights > 0
    signed = signed[used]
    distance = np.abs(signed)
    if not len(distance):
        return _UNDEFINED
    if weights is None:
        median, p95 = np.percentile(distance, (50, 95))
        average = np.mean
    else:
        share = weights[used] / weights[used].sum()
        median, p95 = _weighted_percentiles(distance, share, (0.5, 0.95))

        def average(values: np.ndarray) -> float:
            return share @ values

    mean, square = float(average(distance)), float(average(distance**2))
    return DistanceStats(
        count=len(distance),
        rms=math.sqrt(square),
        mean=mean,
        sd=math.sqrt(max(0.0, float(average((distance - mean) ** 2)))),
        median=float(median),
        p95=float(p95),
        maximum=float(distance.max()),
        within_1mm=float(average((distance <= 1 + _ROUNDING).astype(float))),
        within_2mm=float(average((distance <= 2 + _ROUNDING).astype(float))),
        signed_mean=float(average(signed)) if has_sign else math.nan,
    )


def _weighted_percentiles(
    values: np.ndarray, share: np.ndarray, parts: tuple[float, ...]
) -> np.ndarray:
    """The smallest values that at least these parts of the weight don't exceed."""
    order = np.argsort(values)
    reached = np.cumsum(share[order])
    place = np.searchsorted(reached, np.array(parts) * reached[-1])
    return values[order][np.minimum(place, len(values) - 1)]


def plain(value: Any) -> Any:
    """The same with None for NaN, and without what JSON doesn't know."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else float(value)
    return value
