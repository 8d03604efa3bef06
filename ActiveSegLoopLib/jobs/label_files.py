"""Label maps from outside the study, in the study's own values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.segmentation import Segment, read_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.schema import LabelSchema


def read_label_file(path: Path, schema: LabelSchema) -> Volume:
    """A label file in the schema's values.

    The segments of a .seg.nrrd are recognized by their id, else by their name, whatever their
    values; any other file holds the schema's values already. Raises ImageError for a file that
    can't be read, StudyError for a segment or value that the schema doesn't have.
    """
    if path.name.lower().endswith(".seg.nrrd"):
        volume, segments = read_segmentation(path)
        if segments:
            return volume.with_array(_in_schema_values(path, volume.array, segments, schema))
    else:
        volume = read_labelmap(path)
    known = {0, *(label.value for label in schema.labels)}
    strange = sorted(set(np.unique(volume.array).tolist()) - known)
    if strange:
        raise StudyError(
            f"{path} holds the value {strange[0]}, which no label of the study has; its labels "
            f"are {', '.join(f'{label.value}={label.name}' for label in schema.labels)}."
        )
    return volume


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
