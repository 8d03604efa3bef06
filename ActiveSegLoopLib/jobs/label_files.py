"""Label maps from outside the study, in the study's own values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ActiveSegLoopLib.errors import ImageError, StudyError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.placing import place, whole_voxel_offset
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.segmentation import Segment, read_segmentation
from ActiveSegLoopLib.images.volume import Volume, require_same_geometry
from ActiveSegLoopLib.study.schema import LabelSchema


def read_label_file(path: Path, schema: LabelSchema, grid: Geometry, image: object) -> Volume:
    """A label file in the schema's values on the grid of `image`, which only errors name.

    The segments of a .seg.nrrd are recognized by their id, else by their name, whatever their
    values, and may cover a part of the grid, as Slicer crops them; any other file holds the
    schema's values already, on the whole grid. Raises ImageError for a file that can't be read or
    lies elsewhere, StudyError for a segment or value that the schema doesn't have.
    """
    if path.name.lower().endswith(".seg.nrrd"):
        volume, segments = read_segmentation(path)
        volume = volume.with_array(_in_schema_values(path, volume.array, segments, schema))
        if whole_voxel_offset(volume.geometry, grid) is not None:
            return _placed(path, volume, grid)
    else:
        volume = read_labelmap(path)
        _require_known_values(path, volume, schema)
    require_same_geometry(grid, volume, str(image), str(path))
    return volume


def _placed(path: Path, volume: Volume, grid: Geometry) -> Volume:
    try:
        return place(volume, grid)
    except ImageError as error:
        raise ImageError(f"{path} doesn't fit: {error}") from error


def _require_known_values(path: Path, volume: Volume, schema: LabelSchema) -> None:
    known = {0, *(label.value for label in schema.labels)}
    strange = sorted(set(np.unique(volume.array).tolist()) - known)
    if strange:
        raise StudyError(
            f"{path} holds the value {strange[0]}, which no label of the study has; its labels "
            f"are {', '.join(f'{label.value}={label.name}' for label in schema.labels)}."
        )


def _in_schema_values(
    path: Path, array: np.ndarray, segments: list[Segment], schema: LabelSchema
) -> np.ndarray:
    by_id = {label.id: label.value for label in schema.labels}
    by_name = {label.name.casefold(): label.value for label in schema.labels}
    table = np.zeros(int(array.max(initial=0)) + 1, np.uint8)
    present = set(np.unique(array).tolist()) - {0}
    for segment in segments:
        if segment.value not in present:
            continue  # an empty segment says nothing
        present.remove(segment.value)
        value = by_id.get(segment.id, by_name.get(segment.name.casefold()))
        if value is None:
            raise StudyError(
                f"{path} has the segment '{segment.name}', which the study doesn't know; its "
                f"labels are {', '.join(label.name for label in schema.labels)}."
            )
        table[segment.value] = value
    if present:
        raise StudyError(f"{path} has voxels of the value {min(present)}, which is no segment's.")
    return table[array]
