"""The work of one round: plan, prepare, train both networks, save the model, validate it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.evaluation.overlap import dice_per_label
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.checkpoint import load_metadata
from ActiveSegLoopLib.model.device import memory_gb
from ActiveSegLoopLib.model.distribution import is_first_process, same_everywhere, wait_for_all
from ActiveSegLoopLib.model.fingerprint import CaseFingerprint, fingerprint_case
from ActiveSegLoopLib.model.inference import predict
from ActiveSegLoopLib.model.locating import measured_margin
from ActiveSegLoopLib.model.model_files import Model, load_model, save_model
from ActiveSegLoopLib.model.plan import Plan, make_plan
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.preparing import LabeledCase, Preparation, in_lps
from ActiveSegLoopLib.model.presets import Preset
from ActiveSegLoopLib.model.stages import StageTraining
from ActiveSegLoopLib.model.trainer import CHECKPOINT, Stopped
from ActiveSegLoopLib.study.annotation import Annotated
from ActiveSegLoopLib.study.files import atomic_write
from ActiveSegLoopLib.study.revisions import Revision
from ActiveSegLoopLib.study.rounds import CACHE, Round
from ActiveSegLoopLib.study.study import Study

# So many of the training cases are enough to measure the boxes' margin on.
_MARGIN_CASES = 30


def work_folder(current: Round) -> Path:
    """Where a round keeps what is needed to go on after a kill; of no use once it has ended."""
    return current.folder / "training"


class RoundTraining:
    """The work of one round, from its revisions to its model's folder.

    `process` is (this process's number, how many train together). The labels are those that the
    study has now: one that joins while the round is trained is for the next one.
    """

    def __init__(
        self,
        study: Study,
        current: Round,
        recipe: Preset,
        device: torch.device,
        process: tuple[int, int],
        report: Callable[..., None],
        should_stop: Callable[[], bool],
    ) -> None:
        self.study = study
        self.schema = study.schema
        self.round = current
        self.recipe = recipe
        self.device = device
        self.process = process
        self.report = report
        self.should_stop = should_stop
        self.work = work_folder(current)
        self.training = [self._labeled(r) for r in current.revisions]
        self.validation = [self._labeled(r) for r in current.validation]
        self.earlier = self._earlier_model()

    def run(self) -> dict:
        """Do all of it; returns the round's metrics. Raises Stopped when asked to stop."""
        started = time.perf_counter() - self._seconds_before()
        plan = self._plan()
        preparation = Preparation(self.study.folder / CACHE, plan, self._unlearned())
        locator = None
        stages = {}
        if plan.locator is not None:
            locator, stages["locator"] = self._train("locator", preparation)
            preparation.plan = self._with_measured_margin(preparation.plan, locator)
        segmenter, stages["segmenter"] = self._train("segmenter", preparation)
        if not is_first_process():
            return {}
        model = Model(self.schema, preparation.plan, segmenter, locator)
        saved = save_model(self.round.folder, model)
        if not self._another_is_trained():
            preparation.forget_unused()
        metrics = {
            "seconds": round(time.perf_counter() - started, 1),
            "training_cases": len(self.training),
            "stages": stages,
            "model_sha256": saved,
        }
        if self.validation:
            metrics |= self._validate()
        return metrics

    def _seconds_before(self) -> float:
        """How long the networks were trained before this round was interrupted."""
        checkpoints = self.work.glob(f"*{CHECKPOINT}")
        return sum(load_metadata(path).get("seconds", 0.0) for path in checkpoints)

    def _plan(self) -> Plan:
        """The plan: made once, by the first process, and the same after a kill."""
        path = self.work / "plan.json"
        if is_first_process() and not path.exists():
            plan = self._new_plan()
            with atomic_write(path) as temporary:
                Path(temporary).write_text(json.dumps(plan.to_dict()))
        wait_for_all()
        plan = Plan.from_dict(json.loads(path.read_text()))
        self.report("plan", **plan.to_dict())
        return plan

    def _new_plan(self) -> Plan:
        fingerprints: list[CaseFingerprint] = []
        for case in self._one_by_one(self.training, "reading"):
            found = fingerprint_case(*in_lps(*case.load()))
            if found is not None:
                fingerprints.append(found)
        if not fingerprints:
            raise ModelError(
                "None of the labeled cases holds any label other than background; draw at least "
                "one first."
            )
        return make_plan(
            fingerprints, len(self.schema.labels), self.recipe.plan, memory_gb(self.device)
        )

    def _train(self, name: str, preparation: Preparation) -> tuple[nn.Module, dict]:
        stage = StageTraining(
            name, preparation, self.recipe, self.device, self.round.seed, self.process, self.work,
            mirror=not self.schema.sides_matter, report=self.report,
            should_stop=self.should_stop, initial=self.earlier and getattr(self.earlier, name),
            # The locator tells labels from background only, not from each other.
            unlearned=self._unlearned() if name == "segmenter" else (),
        )
        network, result = stage.train(self.training, self.validation)
        self.device = stage.device
        return network, asdict(result)

    def _unlearned(self) -> list[int]:
        """Positions of the labels that none of the revisions trained on is annotated for."""
        entries = [entry for revision in self.round.revisions for entry in revision.annotations]
        ids = self.schema.ids
        learned = {id for entry in entries if entry.slices != {} for id in entry.classes or ids}
        return [position for position, id in enumerate(ids) if id not in learned]

    def _earlier_model(self) -> Model | None:
        """The model whose weights this training starts with; None for a fresh start."""
        number = self.round.settings.get("warm_start_from")
        if number is None:
            return None
        begun_from = self.study.round(number)
        earlier = load_model(begun_from.folder, begun_from.model_sha256)
        return earlier if earlier.schema.ids == self.schema.ids else None

    def _with_measured_margin(self, plan: Plan, locator: nn.Module) -> Plan:
        margin = plan.margin_mm
        if is_first_process():
            def locate(image: np.ndarray) -> torch.Tensor:
                return predict(locator, plan.locator, image, self.device)

            unseen = bool(self.validation)
            cases = self.validation or self.training[:_MARGIN_CASES]
            cases = self._one_by_one(cases, "measuring the margin")
            measured = measured_margin(
                locate, plan, cases, unseen, lambda text: self.report("warning", text=text)
            )
            if measured is None:
                self.report("warning", text="The locator found no organ in any case.")
            else:
                margin = measured
        return replace(plan, margin_mm=same_everywhere(margin, self.device))

    def _another_is_trained(self) -> bool:
        """Whether another round of the study is being trained, from the same cache."""
        store = self.study.round_store
        others = [r.number for r in self.study.rounds() if r.number != self.round.number]
        return any(store.is_trained(number) for number in others)

    def _one_by_one(self, cases: Sequence[LabeledCase], doing: str) -> Iterator[LabeledCase]:
        """The cases, with progress. Raises Stopped when asked to stop."""
        for index, case in enumerate(cases):
            if self.should_stop():
                raise Stopped(f"Stopped while {doing}.")
            yield case
            self.report("progress", stage=doing, step=index + 1, total=len(cases))

    def _labeled(self, revision: Revision) -> LabeledCase:
        case = self.study.case(revision.case)

        def load():
            labelmap = self.study.labelmap(revision)
            channels = Volume(self.schema.to_channels(labelmap.array), labelmap.geometry)
            annotated = self.study.annotated(revision)
            subsets = annotated.subsets[:, : len(self.schema.labels)]
            return self.study.volumes(case), channels, Annotated(annotated.codes, subsets)

        annotations = [entry.to_dict() for entry in revision.annotations]
        content = [case.fingerprint, revision.sha256, annotations, self.schema.ids]
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return LabeledCase(case.name, key, load)

    def _validate(self) -> dict:
        """Dice per case and label on the original grid, where annotated."""
        predictor = Predictor.load(self.round.folder, str(self.device))
        names = {c: label.name for c, label in enumerate(self.schema.labels, start=1)}
        per_case = {}
        for case in self._one_by_one(self.validation, "validating"):
            volumes, truth, annotated = case.load()
            prediction = predictor.segment(volumes)
            for text in prediction.warnings:
                self.report("warning", text=f"{case.name}: {text}")
            found = self.schema.to_channels(prediction.labelmap.array)
            known = {channel: annotated.label(channel - 1) for channel in names}
            per_case[case.name] = dice_per_label(truth.array, found, names, known)
        values = np.array([list(d.values()) for d in per_case.values()], dtype=float)
        per_label = {
            name: float(np.nanmean(column)) if not np.isnan(column).all() else None
            for name, column in zip(names.values(), values.T, strict=True)
        }
        defined = [v for v in per_label.values() if v is not None]
        return {
            "validation": {
                case: {k: None if np.isnan(v) else v for k, v in row.items()}
                for case, row in per_case.items()
            },
            "dice": per_label,
            "mean_dice": float(np.mean(defined)) if defined else None,
        }
