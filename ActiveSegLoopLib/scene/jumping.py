"""Slices of a case's grid and the slice views: going to one, and knowing which one is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.scene.grids import to_numpy, to_ras, to_vtk

# A view whose normal is turned further than this from a plane's doesn't show the plane (cosine).
_ALIGNED = 0.95
_OBLIQUE = 1e-3


def slice_point(
    geometry: Geometry, plane: str, index: int, near: tuple[float, ...] | None = None
) -> tuple[float, float, float]:
    """A RAS point in mm on a slice of a plane: its center, or the point closest to `near` (RAS).

    Raises ImageError for a slice outside the grid.
    """
    axis = geometry.axis_of(plane)
    if not 0 <= index < geometry.shape[axis]:
        raise ImageError(
            f"There is no {plane} slice {index}: the image has {geometry.shape[axis]}, 0 to "
            f"{geometry.shape[axis] - 1}."
        )
    if near is None:
        place = (np.array(geometry.shape) - 1) / 2
    else:
        place = geometry.world_to_index(to_ras(near))
    place[axis] = index
    return tuple(float(v) for v in to_ras(geometry.index_to_world(place)))


def slice_index(geometry: Geometry, plane: str, ras: tuple[float, ...]) -> int | None:
    """The slice of a plane in which a RAS point lies; None outside the grid."""
    axis = geometry.axis_of(plane)
    index = int(np.rint(geometry.world_to_index(to_ras(ras))[axis]))
    return index if 0 <= index < geometry.shape[axis] else None


def jump_to_slice(
    geometry: Geometry, plane: str, index: int, near: tuple[float, ...] | None = None
) -> tuple[float, float, float]:
    """Move all slice views to a slice of a plane: see slice_point; returns the RAS point."""
    point = slice_point(geometry, plane, index, near)
    jump_to_point(point)
    return point


def jump_to_point(ras: tuple[float, ...]) -> None:
    """Move all slice views so that they go through a RAS point; what they show else stays."""
    for node in slice_nodes():
        node.JumpSliceByOffsetting(*ras)


def view_points() -> list[tuple[Any, tuple[float, ...]]]:
    """Where the slice views are: each one's node and a RAS point in its slice, for `go_back`."""
    return [(node, tuple(to_numpy(node.GetSliceToRAS())[:3, 3])) for node in slice_nodes()]


def go_back(points: Sequence[tuple[Any, tuple[float, ...]]]) -> None:
    """Move the slice views to where they were; one that was removed meanwhile is left out."""
    for node, point in points:
        if node.GetScene() is not None:
            node.JumpSliceByOffsetting(*point)


def fit_views(volume_node: Any, nodes: Sequence[Any] | None = None) -> None:
    """Center slice views on a volume, as large as fits, as Slicer does with one it loads.

    nodes: the views; by default all.
    """
    from ActiveSegLoopLib.scene.volumes import geometry_of

    geometry = geometry_of(volume_node)
    shape = np.array(geometry.shape)
    center = to_ras(geometry.index_to_world((shape - 1) // 2))  # in the middle of a voxel
    sides = to_ras(geometry.affine()[:3, :3].T) * shape[:, np.newaxis]
    for node in slice_nodes() if nodes is None else nodes:
        matrix = to_numpy(node.GetSliceToRAS())
        width, height, _depth = node.GetDimensions()
        spans = np.abs(sides @ matrix[:3, :3]).sum(axis=0)  # across, up, and through the view
        scale = max(spans[0] / width, spans[1] / height)
        steps = np.array(geometry.spacing)[np.argmax(np.abs(sides @ matrix[:3, 2]))]
        before = node.StartModify()
        node.SetFieldOfView(scale * width, scale * height, steps)
        matrix[:3, 3] = center
        node.GetSliceToRAS().DeepCopy(to_vtk(matrix))
        node.SetSliceOrigin(0.0, 0.0, 0.0)
        node.UpdateMatrices()
        node.EndModify(before)


def align_views(volume_node: Any) -> None:
    """Turn the slice views along a volume's own planes, where it lies oblique in the scanner.

    Only so does a view show one slice of the volume, which can be labeled and accepted.
    """
    from ActiveSegLoopLib.scene.volumes import geometry_of

    cosines = np.abs(np.array(geometry_of(volume_node).direction))
    if np.minimum(cosines, 1 - cosines).max() > _OBLIQUE:
        for node in slice_nodes():
            node.RotateToVolumePlane(volume_node)


def shown_slice(
    geometry: Geometry, plane: str, images: Sequence[Any] | None = None
) -> int | None:
    """The slice of a plane that a slice view shows; None where no view lies along the plane.

    Those that are in the window's layout count, and only where there is none the others. images:
    the volume nodes one of which a view has to show; by default any image will do.
    """
    axis = geometry.axis_of(plane)
    normal = to_ras(geometry.affine()[:3, axis] / geometry.spacing[axis])
    along = {
        node: cosine for node in slice_nodes()
        if (cosine := abs(float(to_numpy(node.GetSliceToRAS())[:3, 2] @ normal))) >= _ALIGNED
    }
    found = [node for node in seen(list(along)) if images is None or shows(node, images)]
    if not found:
        return None
    best = max(found, key=along.get)
    return slice_index(geometry, plane, to_numpy(best.GetSliceToRAS())[:3, 3])


def seen(nodes: Sequence[Any]) -> Sequence[Any]:
    """Those of some slice views that are in the window's layout; all, where none of them is."""
    return [node for node in nodes if node.IsMappedInLayout()] or nodes


def shows(slice_node: Any, images: Sequence[Any]) -> bool:
    """Whether a slice view has one of these volume nodes at the back, under all others."""
    composite = composite_of(slice_node)
    shown = None if composite is None else composite.GetBackgroundVolumeID()
    return shown is not None and slicer.mrmlScene.GetNodeByID(shown) in images


def composite_of(slice_node: Any) -> Any:
    """The node that says which volumes a slice view shows; None for a view without one."""
    return slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(slice_node)


def slice_nodes() -> list[Any]:
    """The slice views' nodes of the scene."""
    found = slicer.mrmlScene.GetNodesByClass("vtkMRMLSliceNode")
    nodes = [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]
    found.UnRegister(None)
    return nodes
