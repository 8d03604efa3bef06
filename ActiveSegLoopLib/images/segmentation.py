"""Segmentations as 3D Slicer stores them: .seg.nrrd with ids, names, colors and terminology."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.itk import geometry_of, to_sitk
from ActiveSegLoopLib.images.labels import LARGEST_VALUE, present_values, whole_labels
from ActiveSegLoopLib.images.opening import open_image
from ActiveSegLoopLib.images.placing import place, whole_voxel_offset
from ActiveSegLoopLib.images.regions import Box, box_of
from ActiveSegLoopLib.images.segment_header import StoredSegment, header_fields, parse_header
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import replacing, write_sitk


@dataclass(frozen=True)
class Segment:
    """One structure of a segmentation.

    id: what identifies it; value: that of its voxels, 1 to 65535; color: r, g, b from 0 to 1;
    terminology: Slicer's terminology entry as text, or None. Raises ImageError for what Slicer's
    format can't hold.
    """

    id: str
    value: int
    name: str
    color: tuple[float, float, float]
    terminology: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", int(self.value))
        object.__setattr__(self, "color", tuple(float(c) for c in self.color))
        if not 1 <= self.value <= LARGEST_VALUE:
            raise ImageError(
                f"The value {self.value} of segment '{self.id}' isn't from 1 to {LARGEST_VALUE}."
            )
        if len(self.color) != 3 or not all(0 <= c <= 1 for c in self.color):
            raise ImageError(
                f"The color of segment '{self.id}' needs 3 numbers from 0 to 1, not {self.color}."
            )
        for what, text in (("id", self.id), ("name", self.name)):
            if not text or text != text.strip() or _has_control(text):
                raise ImageError(f"{text!r} can't be a segment's {what}: use one line of text.")
        if self.terminology and ("|" in self.terminology or _has_control(self.terminology)):
            raise ImageError(
                f"The terminology of segment '{self.id}' must be one line without '|'."
            )


def _has_control(text: str) -> bool:
    return any(ord(character) < 32 for character in text)


def write_segmentation(
    path: str | os.PathLike, labelmap: Volume, segments: Sequence[Segment]
) -> None:
    """Write a label map as .seg.nrrd that 3D Slicer opens with these segments.

    The file appears whole or not at all. Raises ImageError, and writes nothing, when segments
    share an id or value, or when a voxel's value belongs to no segment.
    """
    array = _checked(Path(path), labelmap.array, segments)
    image = to_sitk(labelmap.with_array(array))
    stored = [
        StoredSegment(s.id, s.name, s.value, s.color, s.terminology, layer=0) for s in segments
    ]
    for key, value in header_fields(stored, labelmap.geometry).items():
        image.SetMetaData(key, value)
    with replacing(path) as temporary:
        write_sitk(temporary, image, path)


def _checked(path: Path, array: np.ndarray, segments: Sequence[Segment]) -> np.ndarray:
    if not path.name.lower().endswith(".seg.nrrd"):
        raise ImageError(f"{path} can't be written: a segmentation's name ends in .seg.nrrd.")
    for what in ("id", "value"):
        seen = [getattr(segment, what) for segment in segments]
        twice = [value for value in seen if seen.count(value) > 1]
        if twice:
            raise ImageError(f"{path} can't be written: two segments share the {what} {twice[0]}.")
    labels = whole_labels(array, path)
    strange = set(present_values(labels)) - {segment.value for segment in segments}
    if strange:
        raise ImageError(
            f"{path} can't be written: the voxel value {min(strange)} belongs to no segment."
        )
    return labels


def read_segmentation(path: str | os.PathLike) -> tuple[Volume, list[Segment]]:
    """Read a .seg.nrrd: the label map (uint8 or uint16) and its segments in the file's order.

    Segments keep their values where these are distinct, otherwise they are numbered 1, 2, ... in
    the file's order (Slicer reuses values on separate layers). Voxels that belong to no segment are
    background, as in Slicer. A file that Slicer cropped comes back on the reference image's grid,
    where it states that and all labeled voxels lie in it. A label map without segments gives a
    segment "Segment_<value>" for each value, as Slicer names them. Raises ImageError, naming the
    file, when segments overlap: a label map can't hold that.
    """
    path = Path(path)
    image = open_image(path, vectors=True)
    geometry = geometry_of(image, path)
    header = parse_header(path, image)
    layers = whole_labels(sitk.GetArrayFromImage(image), path)
    layers = layers[..., None] if layers.ndim == 3 else layers
    if header.segments:
        array, segments = _merged(path, layers, header.segments)
    elif layers.shape[-1] == 1:
        array = layers[..., 0]
        segments = [_unnamed(value) for value in present_values(array)]
    else:
        raise ImageError(f"{path} isn't a segmentation: it has several layers but no segments.")
    if header.reference is not None and geometry.shape == (1, 1, 1):
        # How Slicer stores that all segments are empty.
        return Volume(np.zeros(header.reference.shape, np.uint8), header.reference), segments
    labelmap = Volume(array, geometry)
    if header.reference is not None and _was_cropped_from(header.reference, labelmap):
        labelmap = place(labelmap, header.reference)
    return labelmap, segments


def _was_cropped_from(reference: Geometry, labelmap: Volume) -> bool:
    """Whether the reference is another grid, whose voxels hold all labeled voxels."""
    offset = whole_voxel_offset(labelmap.geometry, reference)
    if offset is None or not reference.difference(labelmap.geometry):
        return False
    labeled = box_of(labelmap.array)
    if labeled is None:
        return True
    whole = Box((0, 0, 0), reference.shape)
    return whole.contains(labeled.seen_from(np.negative(offset)))


def _merged(
    path: Path, layers: np.ndarray, stored: Sequence[StoredSegment]
) -> tuple[np.ndarray, list[Segment]]:
    """One label map from the layers of a file, and its segments."""
    values = [segment.value for segment in stored]
    if len(set(values)) < len(values) or min(values) < 1 or max(values) > LARGEST_VALUE:
        values = list(range(1, len(stored) + 1))
    for segment in stored:
        if not 0 <= segment.layer < layers.shape[-1]:
            raise ImageError(
                f"{path} is damaged: the layer of segment '{segment.name}' is missing."
            )
    try:
        segments = [
            Segment(segment.id, value, segment.name, segment.color, segment.terminology)
            for segment, value in zip(stored, values)
        ]
    except ImageError as error:
        raise ImageError(f"{path} can't be used: {error}") from error
    if layers.shape[-1] == 1 and values == [segment.value for segment in stored]:
        if set(present_values(layers[..., 0])) <= set(values):
            return layers[..., 0], segments
    array = np.zeros(layers.shape[:3], np.uint8 if max(values) <= 255 else np.uint16)
    for segment, value in zip(stored, values):
        mask = layers[..., segment.layer] == segment.value
        shared = array[mask]
        if shared.any():
            other = stored[values.index(int(shared.max()))]
            raise ImageError(
                f"{path}: the segments '{other.name}' and '{segment.name}' overlap in "
                f"{np.count_nonzero(shared == shared.max())} voxels: make them not overlap in the "
                "Segment Editor and save again."
            )
        array[mask] = value
    return array, segments


def _unnamed(value: int) -> Segment:
    name = f"Segment_{value}"
    # Hues a golden angle apart stay distinct however many there are.
    phase = 2 * np.pi * (value * 0.618034 + np.array([0, 1 / 3, 2 / 3]))
    return Segment(name, value, name, tuple(np.round(0.5 + 0.4 * np.cos(phase), 3)))
