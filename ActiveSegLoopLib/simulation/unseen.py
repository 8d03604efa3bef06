"""What a model is worth, on the test cases above all, and whether its scores know its errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ActiveSegLoopLib.evaluation.overlap import dice_per_label, summarize
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.selection.attention_maps import p_scores
from ActiveSegLoopLib.selection.looking import mean_dice
from ActiveSegLoopLib.selection.maps import Maps, uncertainty_maps
from ActiveSegLoopLib.selection.scores import as_items, measure
from ActiveSegLoopLib.simulation.compared_scores import ATTENTION, SCORES, compared_scores
from ActiveSegLoopLib.simulation.records import plain
from ActiveSegLoopLib.simulation.settings import ExperimentSettings
from ActiveSegLoopLib.simulation.truth import Truth
from ActiveSegLoopLib.study.schema import LabelSchema
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
    None where undefined. With `settings.correlations` also "correlations": by score Spearman's rank
    correlation of the slices' scores with 1 - their true Dice, over all slices of all test cases in
    which the truth or the segmentation has any label.
    """
    schema = study.schema
    names = schema.names
    cases, errors, scores = {}, [], {}
    compared = compared_scores(settings) if settings.correlations else []
    for case in study.cases("test"):
        go_on()
        labels = truth.labelmap(study, case.name)
        volumes = study.volumes(case)
        if settings.correlations:
            maps = uncertainty_maps(
                predictor, volumes, settings.passes, seed, plain=True
            )
            found = maps.plain
            dice = mean_dice(*(as_items(v.array, v.geometry, settings.plane)
                               for v in (labels, found)), list(names))
            known = np.isfinite(dice)
            errors.append(1 - dice[known])
            for score, values in slice_scores(
                maps, settings.plane, schema, compared
            ).items():
                scores.setdefault(score, []).append(values[known])
        else:
            found = predictor.segment(volumes).labelmap
        cases[case.name] = dice_per_label(labels.array, found.array, names)
    dice = _by_label(cases, schema)
    tested = {
        "mean_dice": plain(summarize(dice.values()).mean),
        "dice": plain(dice),
        "cases": plain(cases),
    }
    if settings.correlations:
        tested["correlations"] = {
            score: plain(rank_correlation(np.concatenate(values), np.concatenate(errors)))
            for score, values in scores.items()
        }
    return tested


def score_pool(
    study: Study, truth: Truth, predictor: Predictor, go_on: Callable[[], None]
) -> dict:
    """The mean Dice of the pool's volumes, whole ones: "pool_dice", a mean as in score_unseen.

    What the person gets who wants just these volumes segmented and has labeled some slices of them;
    Zhang 2020's part A. The same volumes whatever is labeled, so that strategies compare.
    """
    cases = {}
    for case in study.cases("pool"):
        go_on()
        found = predictor.segment(study.volumes(case)).labelmap
        labels = truth.labelmap(study, case.name)
        cases[case.name] = dice_per_label(labels.array, found.array, study.schema.names)
    return {"pool_dice": plain(summarize(_by_label(cases, study.schema).values()).mean)}


def _by_label(cases: Mapping[str, Mapping[str, float]], schema: LabelSchema) -> dict[str, float]:
    """The mean Dice of each label over the cases in which it is defined."""
    return {
        name: summarize(row[name] for row in cases.values()).mean
        for name in schema.names.values()
    }


def slice_scores(
    maps: Maps, plane: str, schema: LabelSchema, scores: Sequence[str] = SCORES
) -> dict[str, np.ndarray]:
    """Those scores of each slice that this model can give; the higher, the less it is trusted."""
    found = {}
    for score in scores:
        name, _, aggregation = score.partition(".")
        if name == ATTENTION:
            if maps.attention is not None:
                found[score] = 1 - getattr(p_scores(maps, plane), aggregation or "dice")
        elif name == "error":
            found[score] = measure(maps, name, plane, schema).overall
        elif getattr(maps, name) is not None:
            found[score] = measure(maps, name, plane, schema, aggregation).overall
    return found


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation; NaN for fewer than three pairs or where one doesn't vary."""
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)
