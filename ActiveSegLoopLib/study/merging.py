"""A new label map over an earlier one: what a person labeled before isn't lost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ActiveSegLoopLib.study.annotation import Annotated
from ActiveSegLoopLib.study.counting import value_counts
from ActiveSegLoopLib.study.schema import LabelSchema


def merge(
    values: np.ndarray,
    annotated: Annotated,
    parent_annotated: Annotated,
    parent_values: Callable[[], np.ndarray],
    schema: LabelSchema,
) -> np.ndarray:
    """The label values (uint8; z, y, x) to store: the new ones unless they undo what was annotated.

    Where the parent was annotated for labels for which the new map isn't, the parent's label stays
    if it is one of those, and the new label isn't taken if it is one of those and the parent said
    background. What the new map annotates itself always wins. parent_values is called only when
    there is such a place.
    """
    old, new = _with_background(parent_annotated.subsets), _with_background(annotated.subsets)
    kept = old[:, None] & ~new[None]  # labels (last axis) that stay the parent's to say
    if not kept[np.ix_(_used(parent_annotated.codes), _used(annotated.codes))].any():
        return values
    before = parent_values()
    merged = values.copy()
    for z in range(len(values)):  # slice by slice: whole CTs are large
        place = np.nonzero(before[z] != values[z])
        p, n = parent_annotated.codes[z][place], annotated.codes[z][place]
        a = schema.to_channels(values[z][place])
        b = schema.to_channels(before[z][place])
        refused = kept[p, n, a] & ~old[p, b]
        stays = kept[p, n, b] & ~new[n, a]
        after = np.where(stays | refused, before[z][place], values[z][place])
        # The parent's label was no statement, and the new map says that it isn't there either.
        after[refused & new[n, b]] = 0
        merged[z][place] = after
    return merged


def _used(codes: np.ndarray) -> np.ndarray:
    """The codes that some voxel has."""
    return np.flatnonzero(value_counts(codes))


def _with_background(subsets: np.ndarray) -> np.ndarray:
    """Columns by network channel: one more for the background, which isn't a label to annotate."""
    return np.pad(subsets, ((0, 0), (1, 0)))
