"""What a model is worth on the test cases, and whether its scores know where it is wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ActiveSegLoopLib.evaluation.overlap import dice_per_label, summarize
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.simulation.experiment import ExperimentSettings
from ActiveSegLoopLib.simulation.truth import Truth
from ActiveSegLoopLib.study.study import Study


def score_unseen(
    study: Study,
    truth: Truth,
    predictor: Predictor,
    settings: ExperimentSettings,
    seed: int,
    go_on: Callable[[], None],
) -> dict:
    """Dice of the test cases: "cases" by case and label, "dice" by label, "mean_dice".

    A label's Dice is the mean over the cases in which it is, the mean Dice that over the labels;
    None where undefined.
    """
    names = study.schema.names
    cases = {}
    for case in study.cases("test"):
        go_on()
        labels = truth.labelmap(study, case.name)
        found = predictor.segment(study.volumes(case)).labelmap
        cases[case.name] = dice_per_label(labels.array, found.array, names)
    dice = {name: summarize(row[name] for row in cases.values()).mean for name in names.values()}
    return {
        "mean_dice": plain(summarize(dice.values()).mean),
        "dice": {name: plain(value) for name, value in dice.items()},
        "cases": {
            case: {name: plain(value) for name, value in row.items()}
            for case, row in cases.items()
        },
    }


def slice_dice(truth: Volume, found: Volume, plane: str, names) -> np.ndarray:
    """The mean Dice per slice over the labels that are in it, in truth or prediction; else NaN."""
    axis = truth.geometry.axis_of(plane)
    one, other = np.moveaxis(truth.array, axis, 0), np.moveaxis(found.array, axis, 0)
    rows = []
    for value in names:
        a, b = (one == value).sum((1, 2)), (other == value).sum((1, 2))
        both = ((one == value) & (other == value)).sum((1, 2))
        rows.append(np.where(a + b > 0, 2 * both / np.maximum(a + b, 1), np.nan))
    table = np.array(rows, float)
    known = np.isfinite(table).sum(axis=0)
    return np.where(known > 0, np.nansum(table, axis=0) / np.maximum(known, 1), np.nan)


def plain(value: float) -> float | None:
    """A number for JSON, which has no NaN."""
    return None if value != value else round(float(value), 6)
