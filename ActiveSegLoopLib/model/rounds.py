"""One round of the loop: from the study's newest labels to a model that is part of the study."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.evaluation.overlap import dice_per_label
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.device import choose_device, memory_gb
from ActiveSegLoopLib.model.distribution import (
    end_processes,
    is_first_process,
    start_processes,
    wait_for_all,
)
from ActiveSegLoopLib.model.fingerprint import CaseFingerprint, fingerprint_case
from ActiveSegLoopLib.model.model_files import Model, save_model
from ActiveSegLoopLib.model.plan import Plan, make_plan
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.preparing import LabeledCase, Preparation, in_lps
from ActiveSegLoopLib.model.presets import Preset, get_preset
from ActiveSegLoopLib.model.stages import StageTraining
from ActiveSegLoopLib.model.trainer import Stopped, TrainingResult
from ActiveSegLoopLib.study.annotation import Annotated
from ActiveSegLoopLib.study.rounds import Round
from ActiveSegLoopLib.study.study import Study

# With this many labeled groups and no validation case, every fifth group is held out.
_GROUPS_TO_HOLD_OUT = 5


@dataclass(frozen=True)
class _Selection:
    training: tuple
    validation: tuple


def train_round(
    study: Study,
    preset: str = "default",
    device: str = "auto",
    iterations: int | None = None,
    seed: int = 0,
    report: Callable[..., None] = lambda kind, **data: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Round:
    """Train a model on the newest revisions of all pool cases and add it as a new round.

    A round that was interrupted is taken up where it stopped if it was started with the same
    settings. Under torchrun all processes train together, each with the whole batch size.
    Raises ModelError when nothing is labeled, Stopped when `should_stop()` became true.
    """
    chosen_device = choose_device(device)
    recipe = get_preset(preset, chosen_device.type == "cuda", iterations)
    part, parts = start_processes(chosen_device)
    try:
        settings = {"preset": preset, "recipe": asdict(recipe), "processes": parts}
        if is_first_process():
            _open_round(study, preset, settings, seed, report)
        wait_for_all()
        current = study.unfinished_round()
        training = _RoundTraining(
            study, current, recipe, chosen_device, seed, (part, parts),
            report if is_first_process() else lambda kind, **data: None, should_stop,
        )
        metrics = training.run()
        if is_first_process():
            current = study.finish_round(current, metrics, _versions(training.device))
            shutil.rmtree(training.work)
        wait_for_all()
        return current
    finally:
        end_processes()


def _open_round(study: Study, preset: str, settings: dict, seed: int, report) -> None:
    """Take up the unfinished round if it fits, else start a new one."""
    unfinished = study.unfinished_round()
    if unfinished is not None:
        if unfinished.settings == settings and unfinished.seed == seed:
            report("message", text=f"Going on with round {unfinished.number}.")
            return
        study.fail_round(unfinished)
        report("message", text=f"Round {unfinished.number} was never finished and is given up.")
    selection = _select(study, report)
    study.start_round(preset, settings, seed, selection.training, selection.validation)


def _select(study: Study, report: Callable[..., None]) -> _Selection:
    """The newest revision of each labeled case, for training or validation."""
    newest = {case.name: study.latest(case) for case in study.cases()}
    pool = [c for c in study.cases("pool") if newest[c.name] is not None]
    validation = [c for c in study.cases("validation") if newest[c.name] is not None]
    if not pool:
        raise ModelError(
            f"No pool case of the study {study.folder} is labeled yet; label at least one first."
        )
    if not validation:
        groups = list(dict.fromkeys(c.group for c in pool))
        held_out = set(groups[_GROUPS_TO_HOLD_OUT - 1 :: _GROUPS_TO_HOLD_OUT])
        validation = [c for c in pool if c.group in held_out]
        pool = [c for c in pool if c.group not in held_out]
        if validation:
            report(
                "message",
                text=f"No validation cases: {len(validation)} of the labeled pool cases (every "
                "fifth group, always the same) are held out to validate.",
            )
        else:
            report(
                "warning",
                text="Too few labeled cases to hold any out: the model is trained without "
                "validation and the last weights are kept.",
            )
    return _Selection(
        tuple(newest[c.name] for c in pool), tuple(newest[c.name] for c in validation)
    )


class _RoundTraining:
    """The work of one round, from its revisions to its model's folder."""

    def __init__(
        self, study, current, recipe: Preset, device, seed, process, report, should_stop
    ) -> None:
        self.study = study
        self.round = current
        self.recipe = recipe
        self.device = device
        self.seed = seed
        self.process = process
        self.report = report
        self.should_stop = should_stop
        self.work = current.folder / "training"
        self.training = [self._labeled(r) for r in current.revisions]
        self.validation = [self._labeled(r) for r in current.validation]

    def run(self) -> dict:
        """Plan, prepare, train both networks, save the model; returns the round's metrics."""
        started = time.perf_counter()
        self.work.mkdir(parents=True, exist_ok=True)
        plan = self._plan()
        results: dict[str, TrainingResult] = {}
        networks = {"locator": None}
        preparation = Preparation(self.study.folder / "cache", plan)
        for name in ("locator", "segmenter") if plan.locator else ("segmenter",):
            stage = StageTraining(
                name, preparation, self.recipe, self.device, self.seed, self.process, self.work,
                mirror=not self.study.schema.sides_matter, report=self.report,
                should_stop=self.should_stop,
            )
            networks[name], results[name], plan = stage.train(self.training, self.validation)
            self.device = stage.device
        if not is_first_process():
            return {}
        model = Model(self.study.schema, plan, networks["segmenter"], networks["locator"])
        save_model(self.round.folder, model)
        preparation.forget_unused()
        metrics = {
            "seconds": round(time.perf_counter() - started, 1),
            "training_cases": len(self.training),
            "stages": {name: asdict(result) for name, result in results.items()},
        }
        if self.validation:
            metrics |= self._validate()
        return metrics

    def _plan(self) -> Plan:
        fingerprints: list[CaseFingerprint] = []
        for index, case in enumerate(self.training):
            if self.should_stop():
                raise Stopped("Stopped before training began.")
            found = fingerprint_case(*_lps_parts(case))
            if found is not None:
                fingerprints.append(found)
            self.report("progress", stage="reading", step=index + 1, total=len(self.training))
        if not fingerprints:
            raise ModelError(
                "None of the labeled cases holds any label other than background; draw at least "
                "one first."
            )
        plan = make_plan(
            fingerprints, len(self.study.schema.labels), self.recipe.plan, memory_gb(self.device)
        )
        self.report("plan", **plan.to_dict())
        return plan

    def _labeled(self, revision) -> LabeledCase:
        case = self.study.case(revision.case)

        def load():
            labelmap = self.study.labelmap(revision)
            channels = Volume(self.study.schema.to_channels(labelmap.array), labelmap.geometry)
            return self.study.volumes(case), channels, self.study.annotated(revision)

        return LabeledCase(case.name, f"{case.fingerprint}-{revision.sha256}", load)

    def _validate(self) -> dict:
        """Dice per case and label on the original grid, where annotated."""
        predictor = Predictor.load(self.round.folder, str(self.device))
        per_case = {}
        for index, case in enumerate(self.validation):
            volumes, truth, annotated = case.load()
            prediction = predictor.segment(volumes)
            for text in prediction.warnings:
                self.report("warning", text=f"{case.name}: {text}")
            found = self.study.schema.to_channels(prediction.labelmap.array)
            per_case[case.name] = _annotated_dice(
                truth.array, found, annotated, [x.name for x in self.study.schema.labels]
            )
            self.report("progress", stage="validating", step=index + 1, total=len(self.validation))
        values = np.array([list(d.values()) for d in per_case.values()], dtype=float)
        names = [label.name for label in self.study.schema.labels]
        per_label = {
            name: float(np.nanmean(column)) if not np.isnan(column).all() else None
            for name, column in zip(names, values.T, strict=True)
        }
        known = [v for v in per_label.values() if v is not None]
        return {
            "validation": {
                case: {k: None if np.isnan(v) else v for k, v in row.items()}
                for case, row in per_case.items()
            },
            "dice": per_label,
            "mean_dice": float(np.mean(known)) if known else None,
        }


def _lps_parts(case: LabeledCase):
    return in_lps(*case.load())


def _annotated_dice(
    truth: np.ndarray, found: np.ndarray, annotated: Annotated, names: Sequence[str]
) -> dict[str, float]:
    row = {}
    for channel, name in enumerate(names, start=1):
        mask = annotated.subsets[:, channel - 1][annotated.codes]
        row |= dice_per_label(truth, found, {channel: name}, mask)
    return row


def _versions(device: torch.device) -> dict[str, str]:
    import platform
    from importlib.metadata import version

    from ActiveSegLoopLib import __version__

    packages = ("torch", "monai", "numpy", "SimpleITK")
    found = {name: version(name) for name in packages}
    hardware = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    )
    return {
        "activesegloop": __version__, "python": platform.python_version(), **found,
        "device": f"{device.type} {hardware}".strip(),
    }
