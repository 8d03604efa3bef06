"""Kim 2020's three stages on a cohort of phantoms, an oracle in place of the person.

Stage I trains on a few fully labeled cases. For stages II and III the current model segments new
cases, the oracle corrects them, and everything labeled so far is trained on. The test cases are
fixed at the start and never trained on. It ends with the study's report.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.evaluation.overlap import compare_labels
from ActiveSegLoopLib.evaluation.pictures import learning_curve, slice_picture
from ActiveSegLoopLib.evaluation.reporting.report import write_report
from ActiveSegLoopLib.evaluation.stage_table import TOTAL, Stage, stage_table
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.simulation.oracle import Correction, correct
from ActiveSegLoopLib.simulation.phantom import KIDNEY_LABELS, PhantomCase, make_cohort
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.rounds import Round
from ActiveSegLoopLib.study.study import Study


@dataclass(frozen=True)
class StageSettings:
    """How large the experiment is: newly labeled cases per stage, test cases, and the training.

    Of those labeled, every fifth is held out to validate where the preset says so. `iterations`
    per stage; None takes the preset's for all. The paper has 20, 20 and 10 kidneys, ten of all for
    testing, and trains the later stages twice as long.
    """

    new_cases: tuple[int, ...] = (4, 4, 2)
    test_cases: int = 4
    preset: str = "fast"
    iterations: tuple[int, ...] | None = None
    device: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class StagesResult:
    """What an experiment ended with: its table as text, files, stages, and its report's page."""

    table: str
    folder: Path
    pictures: tuple[Path, ...]
    stages: tuple[Stage, ...]
    page: Path


def run_stages(
    folder: Path,
    settings: StageSettings = StageSettings(),
    report: Callable[..., None] = lambda kind, **data: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> StagesResult:
    """Run all stages in `folder`: images/, study/, report/, summary.json, table.txt, pictures.

    Raises ActiveSegLoopError if the folder holds anything already, Stopped when asked to stop.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ActiveSegLoopError(
            f"{folder} isn't empty; choose another folder with --out or delete it first."
        )
    experiment = _Experiment(folder, settings, report, should_stop)
    return experiment.run()


class _Experiment:
    """One run of the stages; keeps the phantoms' truth, which the study doesn't know."""

    def __init__(self, folder: Path, settings: StageSettings, report, should_stop) -> None:
        self.folder = folder
        self.settings = settings
        self.report = report
        self.should_stop = should_stop
        self.study = Study.create(folder / "study", KIDNEY_LABELS)
        self.names = KIDNEY_LABELS.names
        self.truth: dict[str, PhantomCase] = {}
        self.shown: dict[str, Volume] = {}

    def run(self) -> StagesResult:
        """All stages, then the table and the pictures."""
        started = time.perf_counter()
        pool, test = self._make_cases()
        shown = test[0]
        predictor, current, stages = None, None, []
        for number, new in enumerate(self.settings.new_cases):
            corrections = {}
            for case in [pool.pop(0) for _ in range(new)]:
                corrections[case.name] = self._label(case, predictor, current)
            current = self._train(number)
            predictor = Predictor.load(current.folder, self.settings.device)
            overlaps = [self._test(case, predictor, current, case is shown) for case in test]
            stages.append(
                Stage(
                    "stage " + "I" * (number + 1),
                    len(current.revisions),
                    overlaps,
                    [_shares(c) for c in corrections.values() if c is not None],
                )
            )
            if len(stages) < len(self.settings.new_cases):  # the last table is the result
                self.report("message", text=stage_table(stages))
        return self._finish(shown, stages, time.perf_counter() - started)

    def _make_cases(self) -> tuple[list[Case], list[Case]]:
        count = sum(self.settings.new_cases) + self.settings.test_cases
        roles: dict[str, list[Case]] = {"pool": [], "test": []}
        for index, phantom in enumerate(make_cohort(count, self.settings.seed)):
            self._go_on()
            role = "test" if index < self.settings.test_cases else "pool"
            path = self.folder / "images" / f"{phantom.name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_volume(path, phantom.image)
            roles[role].append(self.study.add_case([path], role=role))
            self.truth[roles[role][-1].name] = phantom
            if role == "test":
                # Never trained on: for the report, which knows nothing but the study.
                self.study.add_revision(roles[role][-1], phantom.labels, annotator="oracle")
            self.report("progress", stage="making phantoms", step=index + 1, total=count)
        return roles["pool"], roles["test"]

    def _label(
        self, case: Case, predictor: Predictor | None, current: Round | None
    ) -> Correction | None:
        """Label a new case: drawn by hand in stage I, the model's output corrected later."""
        self._go_on()
        truth = self.truth[case.name].labels
        if predictor is None:
            self.study.add_revision(case, truth, origin="manual", annotator="oracle")
            return None
        prediction = predictor.segment(self.study.volumes(case)).labelmap
        self.study.save_prediction(current, case, prediction)
        correction = correct(prediction, truth, self.names)
        self.study.add_revision(
            case, correction.labelmap, origin="corrected", model_round=current.number,
            annotator="oracle",
        )
        share = 100 * correction.share_changed
        self.report(
            "message",
            text=f"{case.name}: segmented by round {current.number}, {share:.0f} % of the voxels "
            f"corrected in {correction.slices_changed} slices.",
        )
        return correction

    def _train(self, number: int) -> Round:
        settings = self.settings
        iterations = settings.iterations[number] if settings.iterations else None
        return train_round(
            self.study, settings.preset, settings.device, iterations, settings.seed,
            self.report, self.should_stop,
        )

    def _test(self, case: Case, predictor: Predictor, current: Round, shown: bool) -> Mapping:
        self._go_on()
        prediction = predictor.segment(self.study.volumes(case))
        for text in prediction.warnings:
            self.report("warning", text=f"{case.name}: {text}")
        self.study.save_prediction(current, case, prediction.labelmap)
        if shown:
            self.shown[f"stage {'I' * (len(self.shown) + 1)}"] = prediction.labelmap
        return compare_labels(self.truth[case.name].labels, prediction.labelmap, self.names)

    def _finish(self, shown: Case, stages: Sequence[Stage], seconds: float) -> StagesResult:
        table = stage_table(stages)
        (self.folder / "table.txt").write_text(table + "\n", encoding="utf-8")
        phantom = self.truth[shown.name]
        segments = KIDNEY_LABELS.segments()
        pictures = (self.folder / "slices.png", self.folder / "learning-curve.png")
        slice_picture(
            phantom.image, {"truth": phantom.labels, **self.shown}, segments, pictures[0],
            title=f"Test case {shown.name}",
        )
        learning_curve(stages, segments, pictures[1])
        summary = {
            "settings": asdict(self.settings),
            "seconds": round(seconds, 1),
            "stages": [_summary(stage) for stage in stages],
        }
        (self.folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        written = write_report(
            self.study, self.folder / "report", report=self.report, go_on=self._go_on
        )
        return StagesResult(table, self.folder, pictures, tuple(stages), written.page)

    def _go_on(self) -> None:
        if self.should_stop():
            raise Stopped("The demo was stopped; what it made so far lies in its folder.")


def _shares(correction: Correction) -> dict[str, float]:
    shares = {name: effort.share_changed for name, effort in correction.per_label.items()}
    return {**shares, TOTAL: correction.share_changed}


def _summary(stage: Stage) -> dict:
    structures = [*stage.structures, TOTAL]
    return {
        "name": stage.name,
        "training_cases": stage.training_cases,
        "dice": {name: _plain(stage.dice(name)) for name in structures},
        "share_corrected": {name: _plain(stage.share_corrected(name)) for name in structures},
    }


def _plain(summary) -> dict:
    values = {"mean": summary.mean, "sd": summary.sd}
    return {k: None if v != v else v for k, v in values.items()} | {"n": summary.count}
