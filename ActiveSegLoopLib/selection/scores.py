"""Scores of slices and volumes from what a model says of each voxel.

An item is a slice of a plane, or the whole volume (plane None). All scores are 0 or more, and the
higher, the less the model is to be trusted there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.regions import Box, box_of
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.schema import LabelSchema

if TYPE_CHECKING:
    from ActiveSegLoopLib.selection.maps import Maps

# How the voxels of an item become one number; see aggregate.
AGGREGATIONS = ("foreground", "foreground_sum", "sum", "mean", "top")
MEASURES = ("entropy", "variance", "mutual_information", "error")
RIM_MM = 3.0  # around what is predicted, at least one voxel
TOP_SHARE = 0.02  # of an item's voxels
# How much a section's size tells of the error, see _expected_error.
SIZE_COUNTS = 3


@dataclass(frozen=True, eq=False)
class Measure:
    """A score of each item: overall (items,), and for each label of the schema (items, labels).

    unweighted: of the error, where the labels are weighed by the chance that they are there, the
    same without these weights (items, labels).
    """

    overall: np.ndarray
    labels: np.ndarray
    unweighted: np.ndarray | None = None


def as_items(array: np.ndarray, geometry: Geometry, plane: str | None) -> np.ndarray:
    """The voxels of each slice of a plane (slices, voxels), or all in one row (plane None)."""
    if plane is None:
        return array.reshape(1, -1)
    axis = geometry.axis_of(plane)
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)


def count_foreground(labelmap: Volume, plane: str | None, schema: LabelSchema) -> np.ndarray:
    """Voxels of each label (the schema's order) in each item: int (items, labels)."""
    items = as_items(labelmap.array, labelmap.geometry, plane)
    values = [label.value for label in schema.labels]
    return np.array([np.bincount(item, minlength=256)[values] for item in items])


def measure(
    maps: Maps, name: str, plane: str | None, schema: LabelSchema, aggregation: str = "foreground"
) -> Measure:
    """A score of each item of a case: overall, and for each label of the schema.

    name: "entropy", "variance" (over MC dropout, Rahimi 2021) or "mutual_information" (BALD),
    aggregated as `aggregate` says, for a label its probability times the map (ClaSP PE) over what
    is predicted of any label; or "error", for which there is no aggregation: 1 - the Dice of the
    prediction that is to be expected (see `_expected_error`), given that the item holds anything.
    Of each label it is weighed by the squared chance that the label is there (its highest
    probability, 1 where it is predicted), overall it is the mean by these weights. Raises
    SelectionError for a map that the model doesn't give, or that isn't a number everywhere.
    """
    if name not in MEASURES or aggregation not in AGGREGATIONS:
        raise SelectionError(
            f"'{name}:{aggregation}' isn't a score: use one of {', '.join(MEASURES)}, and one of "
            f"{', '.join(AGGREGATIONS)}."
        )
    known = {label.value for label in maps.schema.labels}
    values = [label.value for label in schema.labels]
    geometry = maps.labelmap.geometry
    box = _box(maps)
    sizes = _sizes(geometry, plane)
    labels = np.zeros((len(sizes), len(values)))
    labelmap = maps.labelmap.array[box.slices]
    if name == "error":
        weights = np.zeros((len(sizes), len(values)))
        for column, value in enumerate(values):
            if value in known:
                probability = _finite(maps.probability(value), name)[box.slices]
                labels[:, column], weights[:, column] = _expected_error(
                    probability, labelmap == value, geometry, plane, box
                )
        weighted = labels * weights
        total = weights.sum(axis=1)
        mean = np.divide(weighted.sum(axis=1), total, out=np.zeros(len(sizes)), where=total > 0)
        return Measure(mean, weighted, labels)
    dense = getattr(maps, name)
    if dense is None:
        raise SelectionError(
            f"This model can't tell the {name.replace('_', ' ')}: it needs a model with dropout "
            "and more than one pass; use the entropy instead."
        )
    dense = _finite(dense, name)[box.slices]
    region = with_rim(labelmap > 0, geometry)
    if not region.any():
        region[:] = True  # the model sees nothing: look everywhere

    def aggregated(part: np.ndarray) -> np.ndarray:
        found = np.zeros(len(sizes))
        rows = slice(None) if plane is None else box.slices[geometry.axis_of(plane)]
        found[rows] = aggregate(
            as_items(part, geometry, plane), as_items(region, geometry, plane), aggregation,
            sizes[0],
        )
        return found

    for column, value in enumerate(values):
        if value in known:
            probability = _finite(maps.probability(value), name)[box.slices]
            labels[:, column] = aggregated(probability * dense)
    return Measure(aggregated(dense), labels)


def aggregate(
    items: np.ndarray, region: np.ndarray, how: str, size: int | None = None
) -> np.ndarray:
    """One number per item (row) of voxels (items, voxels).

    how: "sum" over all voxels, as the papers have it, which favors large images; "mean" over all;
    "foreground": mean over the region, what is predicted and its rim; "foreground_sum": sum over
    it; "top": mean of the highest 2 %. region: bool like items. size: voxels of a whole item where
    only a part of it is given (the rest being 0).
    """
    size = items.shape[1] if size is None else size
    if how in ("sum", "mean"):
        total = items.sum(axis=1, dtype=np.float64)
        return total if how == "sum" else total / size
    if how == "top":
        wanted = max(1, round(TOP_SHARE * size))
        count = min(wanted, items.shape[1])
        highest = np.partition(items, items.shape[1] - count, axis=1)[:, -count:]
        return highest.sum(axis=1, dtype=np.float64) / wanted
    total = np.sum(items, axis=1, dtype=np.float64, where=region)
    return total if how == "foreground_sum" else total / np.maximum(1, region.sum(axis=1))


def with_rim(mask: np.ndarray, geometry: Geometry, width_mm: float = RIM_MM) -> np.ndarray:
    """A mask (z, y, x) and the voxels within a box of width_mm around it, at least one voxel."""
    wide = mask
    for axis, spacing in enumerate(geometry.spacing):
        reach = max(1, int(width_mm / spacing))
        wide = ndimage.maximum_filter1d(wide, 2 * reach + 1, axis=axis, mode="constant")
    return wide


def _expected_error(
    probability: np.ndarray, predicted: np.ndarray, geometry: Geometry, plane: str | None, box: Box
) -> tuple[np.ndarray, np.ndarray]:
    """1 - expected Dice per item, and the squared chance that the label is there at all.

    The Dice that the probabilities let expect voxel by voxel is too high: where a model is wrong,
    it mostly draws a label beyond its ends, all voxels alike. So it is multiplied with the highest
    probability, the chance that any of the label is there. And small sections lie near the ends:
    the Dice that a section of this size can have with one of typical size (the mean over the
    label's voxels) is multiplied, too, to a power that falls as the model is surer.
    """
    count = len(_sizes(geometry, plane))
    rows = slice(None) if plane is None else box.slices[geometry.axis_of(plane)]
    p, s = (as_items(array, geometry, plane) for array in (probability, predicted))
    both, total, highest, size = np.zeros((4, count))
    both[rows] = np.sum(p, axis=1, dtype=np.float64, where=s)
    size[rows] = s.sum(axis=1)
    total[rows] = p.sum(axis=1, dtype=np.float64) + size[rows]
    highest[rows] = p.max(axis=1)
    expected = np.divide(2 * both, total, out=np.zeros(count), where=total > 0) * highest
    typical = (size**2).sum() / max(1.0, size.sum())
    alike = np.minimum(1, 2 * size / np.maximum(1.0, size + typical))
    expected *= alike ** (SIZE_COUNTS * (1 - expected))
    return 1 - expected, np.where(size > 0, 1.0, highest) ** 2


def _box(maps: Maps) -> Box:
    """Where there is anything; all maps are 0 outside."""
    found = box_of((maps.entropy != 0) | (maps.labelmap.array > 0))
    if found is None:
        return Box((0, 0, 0), maps.labelmap.array.shape)
    # With what the rim may need.
    reach = [max(1, int(RIM_MM / spacing)) for spacing in maps.labelmap.geometry.spacing]
    return found.dilated(reach).clipped(maps.labelmap.array.shape)


def _sizes(geometry: Geometry, plane: str | None) -> np.ndarray:
    """Voxels of each item."""
    voxels = int(np.prod(geometry.shape))
    if plane is None:
        return np.array([voxels])
    count = geometry.shape[geometry.axis_of(plane)]
    return np.full(count, voxels // count)


def _finite(array: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(array).all():
        raise SelectionError(
            f"The map of the {name.replace('_', ' ')} isn't a number (NaN) everywhere: check the "
            "image's values, or train the model again."
        )
    return array
