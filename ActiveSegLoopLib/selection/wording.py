"""Reasons in words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ActiveSegLoopLib.selection.candidates import Candidates


def relative_per_label(candidates: Candidates, need: str) -> np.ndarray:
    """A measure for each label (n, labels) in terms of its mean over all: rare labels count alike.

    0 for labels of which the model tells nothing.
    """
    values = candidates.measure_per_label(need)
    mean = values.mean(axis=0) if len(values) else np.zeros(values.shape[1])
    return np.divide(values, mean, out=np.zeros(values.shape), where=mean > 0)


def not_learned(candidates: Candidates, need: str, label: int | None) -> str:
    """Words for a label (position or None) of which a measure tells nothing anywhere, else "".

    So it is as long as nobody has annotated it for a training: the model then never predicts it.
    """
    if label is None or candidates.measure_per_label(need)[:, label].any():
        return ""
    name = candidates.labels[label].name
    return f"nothing is known of '{name}' yet: the model hasn't learned it"


def worst_label(candidates: Candidates, need: str) -> Callable[[int], str]:
    """Words for the label of a candidate whose measure is highest against the label's mean.

    Gives " on 'ureter'" for a candidate's number, or nothing when the study has only one label.
    """
    relative = relative_per_label(candidates, need)
    unknown = not_learned(candidates, need, candidates.focus)

    def words(number: int) -> str:
        focus = candidates.focus
        if focus is None:
            if len(candidates.labels) == 1 or not relative[number].any():
                return ""
            focus = int(relative[number].argmax())
        elif unknown:
            return f" ({unknown})"
        elif not relative[number, focus]:
            return f" (nothing is known of '{candidates.labels[focus].name}' there)"
        return f" on '{candidates.labels[focus].name}'"

    return words
