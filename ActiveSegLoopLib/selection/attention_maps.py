"""How far the attention agrees with the segmentation, slice by slice (Zhang 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.selection.maps import Maps


@dataclass(frozen=True)
class PScores:
    """Per slice of a plane, in the order of the image's array; 1 where both results are empty.

    `dice` is P-DSC, averaged over the labels that either result has in the slice, 0 for one that
    only one has; `accuracy` is P-accuracy; `labels` P-DSC per label value, NaN where neither result
    has it.
    """

    dice: np.ndarray
    accuracy: np.ndarray
    labels: dict[int, np.ndarray]


def p_scores(maps: Maps, plane: str) -> PScores:
    """P-DSC and P-accuracy of each slice of a plane (Zhang 2020, equations 2 and 4).

    SR1 is the likeliest class without dropout, SR2 that of the strongest attention. Raises
    ModelError for maps of a model without attention, ImageError for an unknown plane.
    """
    if maps.attention is None or maps.likeliest is None:
        raise ModelError(
            "This model has no attention maps; train one with attention, such as the preset "
            "zhang2020, or choose another strategy."
        )
    axis = maps.geometry.axis_of(plane)
    values = [label.value for label in maps.schema.labels]
    return agreement(maps.likeliest.array, maps.attention.array, axis, values)


def agreement(first: np.ndarray, second: np.ndarray, axis: int, values: list[int]) -> PScores:
    """The scores of two label maps (z, y, x) of the same shape, per slice along an array axis."""
    others = tuple(a for a in range(3) if a != axis)

    def count(mask: np.ndarray) -> np.ndarray:
        return np.count_nonzero(mask, axis=others)

    labels = {
        value: _ratio(
            2 * count((first == value) & (second == value)),
            count(first == value) + count(second == value),
        )
        for value in values
    }
    rows = np.array(list(labels.values()))
    present = ~np.isnan(rows)
    dice = _ratio(np.where(present, rows, 0).sum(axis=0), present.sum(axis=0))
    same = (first == second) & (first != 0)
    accuracy = _ratio(2 * count(same), count(first != 0) + count(second != 0))
    return PScores(
        np.where(np.isnan(dice), 1.0, dice), np.where(np.isnan(accuracy), 1.0, accuracy), labels
    )


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
