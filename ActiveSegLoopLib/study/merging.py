"""A new label map over an earlier one: what a person labeled before isn't lost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ActiveSegLoopLib.study.annotation import Annotated
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
    old_codes, new_codes = parent_annotated.codes, annotated.codes
    old, new = _with_background(parent_annotated.subsets), _with_background(annotated.subsets)
    kept = old[:, None] & ~new[None]  # labels (last axis) that stay the parent's to say
    place = kept.any(axis=2)[old_codes, new_codes]
    if not place.any():
        return values
    before = parent_values()[place]
    after = values[place]
    a, b = schema.to_channels(after), schema.to_channels(before)
    p, n = old_codes[place], new_codes[place]
    stays = kept[p, n, b] & ~new[n, a]
    refused = kept[p, n, a] & ~old[p, b]
    after = np.where(stays | refused, before, after)
    # The parent's label was no statement, and the new map says that it isn't there either.
    after[refused & new[n, b]] = 0
    merged = values.copy()
    merged[place] = after
    return merged


def _with_background(subsets: np.ndarray) -> np.ndarray:
    """Columns by network channel: one more for the background, which isn't a label to annotate."""
    return np.pad(subsets, ((0, 0), (1, 0)))
