"""Segmentation nodes as label maps of the study: by segment id, on the case's own grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import slicer
import vtk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.placing import whole_voxel_offset
from ActiveSegLoopLib.images.segmentation import Segment
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.scene.grids import geometry_from, ras_matrix, require_no_transform
from ActiveSegLoopLib.scene.segmentations import labelmap_name, segment_ids
from ActiveSegLoopLib.scene.volumes import image_array


@dataclass(frozen=True, eq=False)
class Layer:
    """A part of the grid, `low` (z, y, x) its first voxel; which segment each value stands for."""

    array: np.ndarray
    low: tuple[int, int, int]
    ids: Mapping[int, str]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A copy of what a segmentation node showed, which other threads may work on."""

    name: str
    geometry: Geometry
    layers: tuple[Layer, ...]
    names: Mapping[str, str]

    def labelmap(self, segments: Sequence[Segment], strict: bool = True) -> Volume:
        """The label map (uint8 or uint16) with the values of `segments`, told by their id.

        A segment of the user's own, which is none of these, may be there as long as it is empty.
        strict: raise ImageError where one isn't, or where segments overlap, which no label map can
        hold. Otherwise the user's own are left out, and the segment of the later layer wins.
        """
        values = {segment.id: segment.value for segment in segments}
        largest = max(values.values(), default=0)
        result = np.zeros(self.geometry.shape, np.uint8 if largest <= 255 else np.uint16)
        overlaps: dict[tuple[int, int], int] = {}
        for number, layer in enumerate(self.layers):
            table = self._table(layer, values, result.dtype, strict)
            place = _slices(layer)
            for z, labels in enumerate(layer.array):
                mapped = _mapped(labels, table)
                part = result[layer.low[0] + z][place[1:]]
                if number == 0:
                    part[...] = mapped
                    continue
                drawn = mapped > 0
                shared = drawn & (part > 0)
                if shared.any():
                    pairs = np.stack([part[shared], mapped[shared]]).astype(np.int64)
                    codes, counts = np.unique(pairs[0] << 16 | pairs[1], return_counts=True)
                    for code, count in zip(codes.tolist(), counts.tolist()):
                        pair = code >> 16, code & 0xFFFF
                        overlaps[pair] = overlaps.get(pair, 0) + count
                part[drawn] = mapped[drawn]
        if overlaps and strict:
            self._tell_overlap(overlaps, segments)
        return Volume(result, self.geometry)

    def _table(
        self, layer: Layer, values: Mapping[str, int], dtype: np.dtype, strict: bool
    ) -> np.ndarray:
        """For every value of a layer that of its segment's label; 0 where it has no segment."""
        largest = max([int(layer.array.max(initial=0)), *layer.ids])
        table = np.zeros(largest + 1, dtype)
        for value, id in layer.ids.items():
            if id in values:
                table[value] = values[id]
            elif strict and (layer.array == value).any():
                raise ImageError(
                    f"The segment '{self.names[id]}' of '{self.name}' is no label of the study: "
                    "remove it, or draw it in the segment of a label."
                )
        return table

    def _tell_overlap(
        self, overlaps: Mapping[tuple[int, int], int], segments: Sequence[Segment]
    ) -> NoReturn:
        names = {s.value: self.names.get(s.id, s.name) for s in segments}
        (first, second), count = max(overlaps.items(), key=lambda item: item[1])
        raise ImageError(
            f"The segments '{names[first]}' and '{names[second]}' of '{self.name}' overlap in "
            f"{count} voxels: make them not overlap in the Segment Editor."
        )


def labelmap_of(
    node: Any, segments: Sequence[Segment], geometry: Geometry, strict: bool = True
) -> Volume:
    """What a segmentation node shows as a label map on a grid: see snapshot, Snapshot.labelmap.

    Segments on other grids are resampled (nearest voxel). Neither node nor scene is changed.
    """
    return snapshot(node, geometry, strict).labelmap(segments, strict)


def is_empty(node: Any, ids: Sequence[str]) -> bool:
    """Whether none of these segments has a voxel; one that isn't made of voxels counts as drawn."""
    segmentation = node.GetSegmentation()
    present = [segmentation.GetSegment(id) for id in ids if segmentation.GetSegment(id) is not None]
    if present and not segmentation.ContainsRepresentation(labelmap_name()):
        return False
    for segment in present:
        image = segment.GetRepresentation(labelmap_name())
        if image is not None and image.GetNumberOfPoints() > 0:
            if (image_array(image) == segment.GetLabelValue()).any():
                return False
    return True


def snapshot(node: Any, geometry: Geometry, strict: bool = True) -> Snapshot:
    """Copy a segmentation node's voxels, brought onto a grid.

    Raises ImageError for one that has nothing to make voxels of; with `strict` also for a node
    under a transform, and where voxels lie outside the grid, which otherwise are left out.
    """
    if strict:
        require_no_transform(node)
    segmentation = _with_voxels(node, geometry)
    layers: dict[Any, dict[int, str]] = {}
    names = {}
    for id in segment_ids(node):
        segment = segmentation.GetSegment(id)
        names[id] = segment.GetName()
        image = segment.GetRepresentation(labelmap_name())
        if image is not None and image.GetNumberOfPoints() > 0:
            layers.setdefault(image, {})[segment.GetLabelValue()] = id
    made = [_layer(node.GetName(), image, ids, geometry, strict) for image, ids in layers.items()]
    return Snapshot(node.GetName(), geometry, tuple(made), names)


def _with_voxels(node: Any, geometry: Geometry) -> Any:
    """The node's segmentation, or a copy of it converted to voxels on the grid."""
    segmentation = node.GetSegmentation()
    if segmentation.GetNumberOfSegments() == 0 or segmentation.ContainsRepresentation(
        labelmap_name()
    ):
        return segmentation
    copy = slicer.vtkSegmentation()
    copy.DeepCopy(segmentation)
    converter = slicer.vtkSegmentationConverter
    copy.SetConversionParameter(
        converter.GetReferenceImageGeometryParameterName(),
        converter.SerializeImageGeometry(_reference(geometry)),
    )
    if not copy.CreateRepresentation(labelmap_name()):
        raise ImageError(
            f"'{node.GetName()}' can't be turned into voxels: open it in the Segmentations module "
            "and create its binary label map."
        )
    return copy


def _layer(
    name: str, image: Any, ids: Mapping[int, str], geometry: Geometry, strict: bool
) -> Layer:
    """One layer's voxels as a part of the grid."""
    low, grid = _place(image, name)
    offset = whole_voxel_offset(grid, geometry)
    if offset is None:
        resampled = slicer.vtkOrientedImageData()
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
            image, _reference(geometry), resampled, False
        )
        image, offset = resampled, (0, 0, 0)
    array = image_array(image)
    first = np.maximum(offset, 0)
    last = np.minimum(np.add(offset, array.shape), geometry.shape)
    inside = tuple(slice(a - o, max(a, b) - o) for a, b, o in zip(first, last, offset))
    part = array[inside]
    if strict and part.size < array.size:
        drawn = np.isin(array, list(ids))
        lost = int(np.count_nonzero(drawn) - np.count_nonzero(drawn[inside]))
        if lost:
            raise ImageError(
                f"{lost} labeled voxels of '{name}' lie outside the image: erase them first."
            )
    return Layer(part.copy(), tuple(int(i) for i in first), dict(ids))


def _place(image: Any, name: str) -> tuple[tuple[int, ...], Geometry]:
    """An image's first index (z, y, x), and the grid that begins there."""
    extent = image.GetExtent()
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    shifted = vtk.vtkMatrix4x4()
    shifted.DeepCopy(matrix)
    corner = matrix.MultiplyPoint((extent[0], extent[2], extent[4], 1.0))
    for row in range(3):
        shifted.SetElement(row, 3, corner[row])
    return extent[4::-2], geometry_from(shifted, image.GetDimensions(), name)


def _reference(geometry: Geometry) -> Any:
    """An image without voxels that states a grid."""
    image = slicer.vtkOrientedImageData()
    z, y, x = geometry.shape
    image.SetExtent(0, x - 1, 0, y - 1, 0, z - 1)
    image.SetGeometryFromImageToWorldMatrix(ras_matrix(geometry))
    return image


def _slices(layer: Layer) -> tuple[slice, ...]:
    return tuple(slice(a, a + n) for a, n in zip(layer.low, layer.array.shape))


def _mapped(labels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """A slice's values by a table; several times faster for bytes than numpy's own indexing."""
    if labels.dtype != np.uint8 or table.dtype != np.uint8:
        return table[labels]
    whole = np.zeros(256, np.uint8)
    whole[: len(table)] = table[:256]
    translated = labels.tobytes().translate(whole.tobytes())
    return np.frombuffer(translated, np.uint8).reshape(labels.shape)
