"""Where an image's voxels lie in the patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from typing import Any

import numpy as np

from ActiveSegLoopLib.errors import ImageError

POSITION_TOLERANCE = 1e-3  # voxels
DIRECTION_TOLERANCE = 1e-4
ORTHOGONALITY_TOLERANCE = 1e-3
PLANES = ("axial", "coronal", "sagittal")
_WORLD_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}  # the normal of each plane in LPS


@dataclass(frozen=True)
class Geometry:
    """The grid of a 3D image: array axes are z, y, x; the world is LPS in mm.

    shape: voxels along z, y, x. spacing: mm along z, y, x. origin: LPS x, y, z of the center of
    voxel (0, 0, 0). direction: 9 numbers as SimpleITK's GetDirection(): row-major, column i is the
    LPS direction of image axis x, y, z. Raises ImageError for what can't be a grid.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        for name, kind, count in (
            ("shape", int, 3),
            ("spacing", float, 3),
            ("origin", float, 3),
            ("direction", float, 9),
        ):
            values = tuple(kind(v) for v in getattr(self, name))
            if len(values) != count:
                raise ImageError(f"A geometry's {name} needs {count} numbers, not {len(values)}.")
            if not np.all(np.isfinite(values)):
                raise ImageError(f"A geometry's {name} must be finite numbers, not {values}.")
            object.__setattr__(self, name, values)
        if min(self.shape) < 1:
            raise ImageError(f"An image of {_times(self.shape)} voxels (z, y, x) is empty.")
        if min(self.spacing) <= 0:
            raise ImageError(
                f"The voxel spacing must be larger than 0 mm along every axis, not "
                f"{_times(self.spacing)} (z, y, x)."
            )
        axes = self._directions
        worst = np.abs(axes.T @ axes - np.eye(3)).max()
        if worst > ORTHOGONALITY_TOLERANCE:
            raise ImageError(
                "The image's axes aren't at right angles to each other (sheared, off by "
                f"{worst:.3f}): resample it onto a regular grid first."
            )

    @property
    def _directions(self) -> np.ndarray:
        return np.array(self.direction).reshape(3, 3)

    @property
    def voxel_volume(self) -> float:
        """The volume of one voxel in mm3."""
        return float(np.prod(self.spacing))

    @property
    def extent(self) -> tuple[float, float, float]:
        """Edge-to-edge size in mm along z, y, x."""
        return tuple(n * s for n, s in zip(self.shape, self.spacing))

    def affine(self) -> np.ndarray:
        """4x4 matrix from array index (z, y, x, 1) to LPS (x, y, z, 1) in mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = self._directions[:, ::-1] * np.array(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    def index_to_world(self, index: Any) -> np.ndarray:
        """LPS points (..., 3) in mm of array indices (..., 3) in z, y, x; fractions are allowed."""
        matrix = self.affine()
        return np.asarray(index, float) @ matrix[:3, :3].T + matrix[:3, 3]

    def world_to_index(self, points: Any) -> np.ndarray:
        """Array indices (..., 3) in z, y, x, with fractions, of LPS points (..., 3) in mm."""
        inverse = np.linalg.inv(self.affine())
        return np.asarray(points, float) @ inverse[:3, :3].T + inverse[:3, 3]

    def corners(self) -> np.ndarray:
        """LPS centers (8, 3) of the voxels at the corners of the grid."""
        return self.index_to_world(list(product(*((0, n - 1) for n in self.shape))))

    def axis_of(self, plane: str) -> int:
        """The array axis (0, 1, 2) across the slices of a plane: "axial", "coronal", "sagittal".

        Each plane gets another axis, the one most aligned with its normal, also on oblique grids.
        """
        if plane not in _WORLD_AXIS:
            raise ImageError(f"'{plane}' isn't a plane: use one of {', '.join(PLANES)}.")
        return self.lps_axes()[_WORLD_AXIS[plane]]

    def lps_axes(self) -> tuple[int, int, int]:
        """The array axes closest to the left-right, anterior-posterior and inferior-superior axes.

        The assignment of all three together that is best aligned (largest sum of cosines).
        """
        return self._lps_axes

    @cached_property
    def _lps_axes(self) -> tuple[int, int, int]:
        # Kept: it is asked for slice by slice.
        cosines = np.abs(self._directions[:, ::-1])  # rows: world x, y, z; columns: array axes
        # Rounding lets the first of equally good assignments win whatever the last digits are.
        return max(
            permutations(range(3)),
            key=lambda order: round(sum(cosines[world, order[world]] for world in range(3)), 6),
        )

    def difference(self, other: Geometry) -> str | None:
        """In words what differs between two grids, None when they are the same.

        Tolerances: every corner voxel within 1e-3 voxel, every direction cosine within 1e-4.
        """
        if self.shape != other.shape:
            return f"{_times(self.shape)} against {_times(other.shape)} voxels (z, y, x)"
        turned = np.abs(np.subtract(self.direction, other.direction)).max()
        shift = np.abs(self.world_to_index(other.corners()) - self.world_to_index(self.corners()))
        if shift.max() <= POSITION_TOLERANCE and turned <= DIRECTION_TOLERANCE:
            return None
        words = []
        spacing_shift = np.abs(np.divide(other.spacing, self.spacing) - 1) * self.shape
        if spacing_shift.max() > POSITION_TOLERANCE:
            words.append(
                f"spacing {_times(self.spacing)} against {_times(other.spacing)} mm (z, y, x)"
            )
        if turned > DIRECTION_TOLERANCE:
            words.append(f"axes turned by {_angle(self, other)}")
        distance = float(np.linalg.norm(np.subtract(self.origin, other.origin)))
        if distance > POSITION_TOLERANCE * min(self.spacing) or not words:
            words.append(f"origins {distance:.4g} mm apart")
        return ", ".join(words)

    def overlaps(self, other: Geometry) -> bool:
        """Whether any of a coarse grid of points over this image lies in the other."""
        ticks = [np.linspace(0, n - 1, min(n, 16)) for n in self.shape]
        points = np.stack(np.meshgrid(*ticks, indexing="ij"), axis=-1).reshape(-1, 3)
        indices = other.world_to_index(self.index_to_world(points))
        inside = (indices >= -0.5) & (indices <= np.array(other.shape) - 0.5)
        return bool(inside.all(axis=1).any())

    def to_dict(self) -> dict[str, list]:
        """Plain lists for JSON."""
        return {
            "shape": list(self.shape),
            "spacing": list(self.spacing),
            "origin": list(self.origin),
            "direction": list(self.direction),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Sequence]) -> Geometry:
        """The geometry that to_dict described; raises ImageError when a field is missing."""
        try:
            return cls(data["shape"], data["spacing"], data["origin"], data["direction"])
        except (KeyError, TypeError, ValueError) as error:
            raise ImageError(f"This isn't a stored geometry: {error!r}.") from error


def _times(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.6g}" for value in values)


def _angle(one: Geometry, other: Geometry) -> str:
    if np.linalg.det(one._directions) * np.linalg.det(other._directions) < 0:
        return "a mirror image"
    rotation = one._directions.T @ other._directions
    degrees = np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))
    return f"{degrees:.3g} degrees"
