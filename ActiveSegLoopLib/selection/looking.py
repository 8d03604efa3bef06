"""Looking at one case as a strategy needs it: with the model, or at the image alone."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.selection.evidence import CaseEvidence
from ActiveSegLoopLib.selection.image_features import image_features
from ActiveSegLoopLib.selection.registry import Strategy, measures_of
from ActiveSegLoopLib.selection.scores import as_items, count_foreground, measure
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Study

if TYPE_CHECKING:
    from ActiveSegLoopLib.model.prediction import Predictor
    from ActiveSegLoopLib.selection.maps import Maps


@dataclass(frozen=True)
class Look:
    """How cases are looked at: for which strategy, with which model (None: without one).

    `schema`: the same for all cases, whatever labels are added meanwhile.
    """

    strategy: Strategy
    schema: LabelSchema
    predictor: Predictor | None
    passes: int
    seed: int

    def at(self, study: Study, case: Case, evidence: CaseEvidence) -> CaseEvidence:
        """The evidence of a case with what the strategy needs to see.

        Raises StudyError, ImageError, ModelError or SelectionError when it can't be seen.
        """
        needs, schema = self.strategy.needs, self.schema
        sees_model = self.predictor is not None and self.strategy.uses_model
        if not sees_model and "images" not in needs:
            return evidence
        volumes = study.volumes(case)
        if "images" in needs:
            evidence = replace(evidence, image=image_features(volumes, evidence.plane))
        if sees_model and needs_maps(self.strategy):
            maps = self._maps(case, volumes)
            evidence = with_maps(evidence, maps, self.strategy, schema)
            if "attention" in needs:
                evidence = _with_agreement(evidence, maps, study, case, schema)
        elif sees_model:
            labelmap = self.predictor.segment(volumes).labelmap
            evidence = replace(
                evidence, foreground=count_foreground(labelmap, evidence.plane, schema)
            )
        return evidence

    def _maps(self, case: Case, volumes: Sequence[Volume]) -> Maps:
        from ActiveSegLoopLib.selection.maps import uncertainty_maps

        needs = self.strategy.needs
        # A seed of its own, whatever cases come before.
        seed = zlib.crc32(f"{self.seed} {case.name}".encode()) % 2**31
        return uncertainty_maps(
            self.predictor,
            volumes,
            passes=self.passes if measures_of(needs) else 1,
            seed=seed,
            features="features" in needs,
            plain="attention" in needs,
        )


def needs_maps(strategy: Strategy) -> bool:
    """Whether a strategy needs more than a plain segmentation."""
    return bool(measures_of(strategy.needs)) or bool({"features", "attention"} & {*strategy.needs})


def with_maps(
    evidence: CaseEvidence, maps: Maps, strategy: Strategy, schema: LabelSchema
) -> CaseEvidence:
    """The evidence with what a strategy needs of a case's maps: numbers per item, no voxels.

    Raises SelectionError for a map that the model doesn't give, or that isn't a number everywhere.
    """
    plane = evidence.plane
    measures = {
        need: measure(maps, name, plane, schema, aggregation or strategy.aggregation)
        for need, name, aggregation in measures_of(strategy.needs)
    }
    features = None
    if "features" in strategy.needs:
        features = maps.features[None] if plane is None else maps.slice_features(plane)
    return replace(
        evidence,
        measures=measures,
        foreground=count_foreground(maps.labelmap, plane, schema),
        features=features,
    )


def _with_agreement(
    evidence: CaseEvidence, maps: Maps, study: Study, case: Case, schema: LabelSchema
) -> CaseEvidence:
    """With Zhang's P-scores of each slice, and the true Dice of those that are labeled."""
    if maps.attention is None:
        return evidence  # a model without attention
    from ActiveSegLoopLib.selection.attention_maps import p_scores

    scores = p_scores(maps, evidence.plane)
    unknown = np.full(evidence.items, np.nan)
    values = [label.value for label in schema.labels]
    per_label = np.stack([scores.labels.get(value, unknown) for value in values], axis=1)
    dice = np.full(evidence.items, np.nan)
    revision = study.latest(case)
    labeled = evidence.annotated.any(axis=1)
    if revision is not None and labeled.any():
        truth = as_items(study.labelmap(revision).array, case.geometry, evidence.plane)[labeled]
        found = as_items(maps.plain.array, case.geometry, evidence.plane)[labeled]
        dice[labeled] = mean_dice(truth, found, values, evidence.annotated[labeled])
    return replace(
        evidence, agreement=scores.dice, accuracy_agreement=scores.accuracy,
        label_agreement=per_label, dice=dice,
    )


def mean_dice(
    truth: np.ndarray,
    found: np.ndarray,
    values: Sequence[int],
    annotated: np.ndarray | None = None,
) -> np.ndarray:
    """Dice of each item (row of voxels), mean over the labels in either; NaN where none is.

    annotated: bool (items, labels), which labels of an item count; all of them without it.
    """
    rows = np.full((len(truth), len(values)), np.nan)
    for column, value in enumerate(values):
        one, other = truth == value, found == value
        total = one.sum(axis=1) + other.sum(axis=1)
        both = (one & other).sum(axis=1)
        np.divide(2 * both, total, out=rows[:, column], where=total > 0)
    if annotated is not None:
        rows[~annotated] = np.nan
    known = np.isfinite(rows).sum(axis=1)
    dice = np.nansum(rows, axis=1)
    return np.divide(dice, known, out=np.full(len(rows), np.nan), where=known > 0)
