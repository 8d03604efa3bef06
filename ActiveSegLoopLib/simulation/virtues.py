"""Zharov's experiment: what labels of a given quality, diversity and completeness are worth.

Zharov et al. 2022: quality is lowered by drawing only every n-th slice and interpolating between
them, diversity is the share of the volumes, completeness the share of the slices. The test cases
stay the same, and so does the training.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ActiveSegLoopLib.evaluation.overlap import iou, summarize
from ActiveSegLoopLib.images.interpolation import interpolate_slices
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.simulation.labeling import is_labeled
from ActiveSegLoopLib.simulation.records import plain
from ActiveSegLoopLib.simulation.run_key import RunKey
from ActiveSegLoopLib.simulation.runs import Laps, Run
from ActiveSegLoopLib.simulation.settings import ExperimentSettings
from ActiveSegLoopLib.simulation.unseen import score_unseen
from ActiveSegLoopLib.simulation.virtue_settings import Virtues, VirtueSettings
from ActiveSegLoopLib.study.annotation import Annotation


class VirtueRun(Run):
    """One training on labels of given virtues."""

    def round(self, number: int) -> dict:
        """Label, train and test."""
        virtues = virtues_of(self.settings, self.key)
        lap = Laps()
        labeled = self._label(virtues)
        lap("label")
        current = self.train(number)
        lap("train")
        # Only the Dice counts here.
        scoring = ExperimentSettings(plane=self.settings.plane, correlations=False)
        predictor = Predictor.load(current.folder, self.place.device)
        tested = score_unseen(
            self.study, self.truth, predictor, scoring, self.key.seed, self.go_on
        )
        lap("test")
        return {
            "round": number, **plain(labeled), "exhausted": False, **tested,
            "seconds": lap.seconds, "versions": dict(current.versions),
            "settings": dict(current.settings),
        }

    def _label(self, virtues: Virtues) -> dict:
        """Label the pool so far; what it came to: quality and the shares of volumes and slices."""
        settings, pool = self.settings, self.study.cases("pool")
        count = max(1, round(virtues.diversity * len(pool)))
        # A larger share holds the smaller ones.
        order = np.random.default_rng(self.key.seed).permutation(len(pool))
        chosen = sorted(order[:count].tolist())
        used = drawn = 0
        ious = []
        for number in chosen:
            self.go_on()
            case = pool[number]
            truth = self.truth.labelmap(self.study, case.name)
            labels = lowered(truth, virtues.interval, settings.plane, settings.interpolation)
            size = truth.array.shape[truth.geometry.axis_of(settings.plane)]
            slices, annotation = None, Annotation()
            if virtues.completeness < 1:
                slices = evenly(size, max(1, round(virtues.completeness * size)))
                annotation = Annotation({settings.plane: slices})
            if not is_labeled(self.study, case, slices, settings.plane):
                self.study.add_revision(case, labels, annotation, annotator="oracle")
            ious += quality(truth, labels, self.study.schema.names)
            used += size if slices is None else len(slices)
            drawn += size
        total = sum(c.geometry.shape[c.geometry.axis_of(settings.plane)] for c in pool)
        return {
            "virtues": {
                "interval": virtues.interval,
                "quality": summarize(ious).mean,
                "diversity": len(chosen) / len(pool),
                "completeness": used / drawn,
            },
            "units": used,
            "share": used / total,
        }


def virtues_of(settings: VirtueSettings, key: RunKey) -> Virtues:
    """The virtues that a run is called by."""
    return {virtues.name: virtues for virtues in settings.virtues()}[key.strategy]


def lowered(truth: Volume, interval: int, plane: str, interpolation: str) -> Volume:
    """Labels of which only every `interval`-th slice is drawn, those between interpolated.

    "nearest": the nearest drawn slice (the lower of two); "shape": see images.interpolation. Beyond
    the first and last drawn one, the nearest is repeated.
    """
    axis = truth.geometry.axis_of(plane)
    size = truth.array.shape[axis]
    drawn = np.array(evenly(size, max(1, -(-size // interval))))
    nearest = drawn[np.abs(np.arange(size)[:, None] - drawn[None]).argmin(axis=1)]
    labels = np.take(truth.array, nearest, axis)
    if interpolation == "shape" and len(drawn) > 1:
        labels = interpolate_slices(labels, drawn.tolist(), axis, truth.geometry.spacing)
    return truth.with_array(labels)


def evenly(size: int, count: int) -> tuple[int, ...]:
    """So many of the slices 0 to size - 1, at equal distances, as far from the ends."""
    return tuple(((np.arange(count) + 0.5) * size / count).astype(int).tolist())


def quality(truth: Volume, labels: Volume, names: Mapping[int, str]) -> list[float]:
    """The IoU of each label with the true one, where there is any."""
    found = [iou(truth.array, labels.array, value) for value in names]
    return [value for value in found if value == value]
