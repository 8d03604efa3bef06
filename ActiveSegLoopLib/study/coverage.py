"""Which slices of a case are annotated, told from its annotations without reading a label map."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ActiveSegLoopLib.images.geometry import PLANES, Geometry
from ActiveSegLoopLib.study.annotation import Annotation
from ActiveSegLoopLib.study.schema import LabelSchema


def annotated_slices(
    annotations: Iterable[Annotation], geometry: Geometry, plane: str, schema: LabelSchema
) -> np.ndarray:
    """Per slice of a plane and label whether all of it is annotated: bool (slices, labels).

    annotations: resolved ones, such as a revision's; labels in the schema's order. A slice counts
    when it, the whole volume, or every slice of another plane is annotated for the label.
    """
    counts = {other: geometry.shape[geometry.axis_of(other)] for other in PLANES}
    covered = {other: np.zeros((n, len(schema.ids)), bool) for other, n in counts.items()}
    for entry in annotations:
        columns = [schema.ids.index(id) for id in entry.classes or schema.ids]
        if entry.slices is None:
            covered[plane][:, columns] = True
            continue
        for other, indices in entry.slices.items():
            covered[other][np.ix_(indices, columns)] = True
    for other in PLANES:
        covered[plane] |= covered[other].all(axis=0)
    return covered[plane]


def annotated_volume(
    annotations: Iterable[Annotation], geometry: Geometry, schema: LabelSchema
) -> np.ndarray:
    """Per label whether the whole volume is annotated for it: bool (labels,)."""
    return annotated_slices(annotations, geometry, PLANES[0], schema).all(axis=0)
