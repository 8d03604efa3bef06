"""Closed surfaces of structures in label maps.

vtkDiscreteFlyingEdges3D puts a point in the middle of every edge between a voxel of the structure
and one outside. That is what 3D Slicer shows with smoothing 0, and it can't be moved by what lies
around. vtkSurfaceNets3D, the alternative, always draws its points towards their neighbors: less
like stairs, but smaller than what was drawn, so it isn't offered here.

Such a surface is rough by a part of a voxel, and the closest point on a rough surface is where it
sticks out: between smooth shapes some voxels apart, distances come out up to about a fifth of a
voxel too small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ActiveSegLoopLib.errors import EvaluationError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.regions import box_of
from ActiveSegLoopLib.images.volume import Volume

SMALLEST_SPACING, LARGEST_SPACING = 1e-4, 1e3  # mm


@dataclass(frozen=True, eq=False)
class Lattice:
    """The voxels that an unsmoothed surface was made of.

    mask: bool (z, y, x), the structure with one voxel of background around it; offset: the label
    map's index (z, y, x) of its first voxel, -1 where it lies outside; doubled: (3, n) the points'
    indices (z, y, x) in the mask times two, of which one is odd.
    """

    mask: np.ndarray
    offset: tuple[int, int, int]
    geometry: Geometry  # of the label map
    doubled: np.ndarray

    def fits(self, other: Lattice) -> bool:
        """Whether the voxels of both coincide exactly."""
        mine, its = self.geometry, other.geometry
        return (mine.spacing, mine.origin, mine.direction) == (
            its.spacing, its.origin, its.direction
        )


@dataclass(frozen=True)
class SmoothingEffect:
    """How smoothing moved a surface: its points (mm) and the volume inside (ml before, after)."""

    factor: float
    rms: float
    largest: float
    volume_before: float
    volume_after: float

    def __str__(self) -> str:
        change = 100 * (self.volume_after / self.volume_before - 1)
        return (
            f"Smoothing {self.factor:g} moved the surface by {self.rms:.2f} mm (RMS, at most "
            f"{self.largest:.2f} mm) and changed its volume by {change:+.1f} %."
        )


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles in the patient: points (n, 3) float64 LPS mm; triangles (m, 3) numbers of points.

    Seen from outside the points of a triangle run counterclockwise. Without triangles it is
    empty. Raises EvaluationError for arrays that can't be that.
    """

    points: np.ndarray
    triangles: np.ndarray
    lattice: Lattice | None = field(default=None, repr=False)
    smoothing: SmoothingEffect | None = None

    def __post_init__(self) -> None:
        points = np.ascontiguousarray(self.points, np.float64)
        triangles = np.asarray(self.triangles)
        if points.size == 0:
            points = points.reshape(0, 3)
        if triangles.size == 0:
            triangles = np.zeros((0, 3), np.int64)
        if points.ndim != 2 or points.shape[1] != 3:
            raise EvaluationError(
                f"A surface's points need three coordinates each, not an array of {points.shape}."
            )
        if triangles.ndim != 2 or triangles.shape[1] != 3 or triangles.dtype.kind not in "iu":
            raise EvaluationError(
                "A surface's triangles need the whole numbers of three points each, not an array "
                f"of {triangles.shape} {triangles.dtype}: triangulate its polygons first."
            )
        if self.lattice is None and not np.isfinite(points).all():
            bad = int(np.count_nonzero(~np.isfinite(points).all(axis=1)))
            raise EvaluationError(
                f"{bad} of the surface's {len(points)} points aren't finite numbers (NaN or "
                "infinite): make the surface again."
            )
        if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(points)):
            wrong = triangles.min() if triangles.min() < 0 else triangles.max()
            raise EvaluationError(
                f"A triangle of the surface names the point {wrong}, but there are only "
                f"{len(points)}, counted from 0: make the surface again."
            )
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "triangles", np.ascontiguousarray(triangles, np.int64))

    @property
    def is_empty(self) -> bool:
        """Whether there is no triangle."""
        return len(self.triangles) == 0

    @cached_property
    def double_area_normals(self) -> np.ndarray:
        """(m, 3): normals of the triangles, outwards, as long as twice their area in mm2."""
        a, b, c = (self.points[self.triangles[:, i]] for i in range(3))
        return np.cross(b - a, c - a)

    @cached_property
    def areas(self) -> np.ndarray:
        """(m,): areas of the triangles in mm2."""
        return 0.5 * np.sqrt(np.einsum("ij,ij->i", *[self.double_area_normals] * 2))

    @cached_property
    def point_areas(self) -> np.ndarray:
        """(n,): the area in mm2 that each point stands for, a third of its triangles'."""
        thirds = np.repeat(self.areas / 3, 3)
        return np.bincount(self.triangles.ravel(), thirds, len(self.points))

    @cached_property
    def used_points(self) -> np.ndarray | slice:
        """What selects the points that are a corner of some triangle: a bool array or all."""
        if self.lattice is not None:
            return slice(None)
        used = np.zeros(len(self.points), bool)
        used[self.triangles] = True
        return slice(None) if used.all() else used

    @property
    def volume_ml(self) -> float:
        """The volume inside in ml; larger than 0 when the triangles face outwards."""
        if self.is_empty:
            return 0.0
        first = self.points[self.triangles[:, 0]] - self.points[0]
        return float(np.einsum("ij,ij->", first, self.double_area_normals)) / 6000

    @cached_property
    def open_edges(self) -> int:
        """Edges that not as many triangles run along in one direction as in the other."""
        if self.lattice is not None:
            return 0
        from scipy.sparse import coo_array

        corners = self.triangles.T
        start, end = corners.ravel(), corners[[1, 2, 0]].ravel()
        way = np.where(start < end, 1, -1)
        edges = np.minimum(start, end), np.maximum(start, end)
        balance = coo_array((way, edges), (len(self.points),) * 2).tocsr()  # adds up
        return int(np.count_nonzero(balance.data))

    def require_closed(self, name: str = "The surface") -> None:
        """Raise EvaluationError unless an inside and an outside can be told apart."""
        if self.open_edges:
            raise EvaluationError(
                f"{name} isn't closed or its triangles face both ways ({self.open_edges} edges "
                "don't join two triangles), so that inside and outside can't be told apart: close "
                "it or ask for distances without a sign."
            )


def extract_surface(labelmap: Volume, value: int, smoothing: float = 0.0) -> Surface:
    """The closed surface of the voxels that have `value`; empty where there is none.

    The grid may be anisotropic, oblique or mirrored; at the border of the image the surface is
    closed half a voxel outside. smoothing: 0 none, up to 1: 3D Slicer's smoothing factor (windowed
    sinc with 20 + 40 f iterations and pass band 10^(-4 f)); what it did is in `smoothing`. Raises
    EvaluationError for a value, factor or spacing that makes no sense.
    """
    if int(value) != value or value < 1:
        raise EvaluationError(f"The label value must be a whole number from 1 on, not {value}.")
    if not 0 <= smoothing <= 1:
        raise EvaluationError(f"The smoothing must be from 0 (none) to 1, not {smoothing:g}.")
    spacing = labelmap.geometry.spacing
    if min(spacing) < SMALLEST_SPACING or max(spacing) > LARGEST_SPACING:
        raise EvaluationError(
            f"A voxel spacing of {' x '.join(f'{s:g}' for s in spacing)} mm (z, y, x) isn't that "
            "of a patient's image: correct its header, which must be in mm."
        )
    if labelmap.array.dtype.kind == "f" and not np.isfinite(labelmap.array).all():
        raise EvaluationError("The label map holds voxels that aren't finite: export it again.")
    mask = labelmap.array == value
    box = box_of(mask)
    if box is None:
        return Surface(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    padded = np.pad(mask[box.slices], 1)
    offset = tuple(low - 1 for low in box.lower)
    index, triangles = flying_edges(padded)
    doubled = (2 * index.T).astype(np.int32, order="C")
    lattice = Lattice(padded, offset, labelmap.geometry, doubled)
    surface = _placed(index, triangles, lattice)
    return surface if smoothing == 0 else _smoothed(surface, index, triangles, smoothing)


def flying_edges(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points (n, 3: z, y, x) of a bool mask's surface in voxels, and its triangles (m, 3).

    It is open where the mask reaches the border. Triangles face outwards in z, y, x read as LPS.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersGeneral import vtkDiscreteFlyingEdges3D

    image = vtkImageData()
    image.SetDimensions(*mask.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(mask.view(np.uint8).ravel()))
    edges = vtkDiscreteFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 1)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    found = edges.GetOutput()
    points = vtk_to_numpy(found.GetPoints().GetData())[:, ::-1].astype(np.float64)
    triangles = vtk_to_numpy(found.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    return points, triangles.astype(np.int64)


def _placed(
    index: np.ndarray, triangles: np.ndarray, lattice: Lattice, moved: bool = False
) -> Surface:
    geometry = lattice.geometry
    if np.linalg.det(geometry.affine()[:3, [2, 1, 0]]) < 0:
        triangles = triangles[:, ::-1]  # a mirrored grid turns the inside out
    points = geometry.index_to_world(index + lattice.offset)
    return Surface(points, triangles, None if moved else lattice)


def _smoothed(
    surface: Surface, index: np.ndarray, triangles: np.ndarray, factor: float
) -> Surface:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkWindowedSincPolyDataFilter

    sinc = vtkWindowedSincPolyDataFilter()
    sinc.SetInputData(poly_data(index[:, ::-1], triangles))
    sinc.SetNumberOfIterations(20 + round(40 * factor))
    sinc.SetPassBand(10.0 ** (-4 * factor))
    sinc.BoundarySmoothingOff()
    sinc.FeatureEdgeSmoothingOff()
    sinc.NonManifoldSmoothingOn()
    sinc.NormalizeCoordinatesOn()
    sinc.Update()
    points = vtk_to_numpy(sinc.GetOutput().GetPoints().GetData())[:, ::-1]
    moved = _placed(points.astype(np.float64), triangles, surface.lattice, moved=True)
    shift = np.linalg.norm(moved.points - surface.points, axis=1)
    effect = SmoothingEffect(
        float(factor),
        math.sqrt(float(np.mean(shift**2))),
        float(shift.max()),
        surface.volume_ml,
        moved.volume_ml,
    )
    return Surface(moved.points, moved.triangles, None, effect)


def poly_data(points: np.ndarray, triangles: np.ndarray):
    """Points (n, 3) and triangles (m, 3) as vtkPolyData with coordinates in double precision."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    places = vtkPoints()
    places.SetData(numpy_to_vtk(np.ascontiguousarray(points, np.float64), deep=True))
    cells = vtkCellArray()
    cells.SetData(3, numpy_to_vtkIdTypeArray(triangles.astype(np.int64).ravel(), deep=True))
    data = vtkPolyData()
    data.SetPoints(places)
    data.SetPolys(cells)
    return data
