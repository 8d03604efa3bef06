"""What every run of an experiment shares: its study, its trainings, its lines, and who is at it.

Everything goes through the product: a study on disk, its label revisions, its rounds. A finished
round is a line of rounds.jsonl and is never done again; what a kill left of an unfinished one is
taken up where it stopped, and ends as if nothing had happened.
"""

from __future__ import annotations

import json
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.simulation import preset  # noqa: F401 - registers the recipe
from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.records import LINES, finished_rounds, is_finished
from ActiveSegLoopLib.simulation.run_key import RunKey
from ActiveSegLoopLib.simulation.truth import Truth
from ActiveSegLoopLib.study.files import STAGING, atomic_write, remove_if_left, staging
from ActiveSegLoopLib.study.rounds import Round
from ActiveSegLoopLib.study.study import Study


@dataclass(frozen=True)
class Place:
    """Where runs are trained: on which device, and how they tell and are stopped."""

    device: str = "auto"
    report: Callable[..., None] = lambda kind, **data: None
    should_stop: Callable[[], bool] = lambda: False


class Run(ABC):
    """A run that this process has in its hands; `round` says what is done in one."""

    def __init__(self, experiment: Experiment, key: RunKey, place: Place) -> None:
        self.experiment = experiment
        self.settings = experiment.settings
        self.key = key
        self.place = place
        self.folder = experiment.run_folder(key)
        self.truth = Truth(experiment)
        self.lines = finished_rounds(experiment, key)
        for entry in (*self.folder.iterdir(), *self.folder.parent.iterdir()):
            if entry.name.startswith(STAGING):
                remove_if_left(entry)
        self.study = self._study()

    @abstractmethod
    def round(self, number: int) -> dict:
        """Do one round; returns its line, with "units", "mean_dice" and "exhausted" among it."""

    def finish(self) -> None:
        """Do the rounds that are left."""
        while not is_finished(self.experiment, self.key):
            self.go_on()
            line = self.round(len(self.lines))
            self.lines.append(line)
            with atomic_write(self.folder / LINES) as path:
                text = "".join(json.dumps(line) + "\n" for line in self.lines)
                path.write_text(text, encoding="utf-8")
            self.place.report(
                "round", run=self.key.name, strategy=self.key.strategy, seed=self.key.seed,
                round=len(self.lines) - 1, units=line["units"], mean_dice=line["mean_dice"],
            )

    def train(self, number: int) -> Round:
        """The trained round of this number (from 0), which may have been trained before a kill."""
        trained = self.trained()
        if len(trained) > number:
            return trained[number]
        return train_round(
            self.study, self.settings.preset, self.place.device, self.settings.iterations,
            self.key.seed, _progress_only(self.place.report), self.place.should_stop,
            # What is labeled is the budget: all of it is trained on, whatever the preset says.
            together=False, hold_out=False,
        )

    def trained(self) -> list[Round]:
        """The rounds of the study that are trained."""
        return [r for r in self.study.rounds() if r.state == "finished"]

    def go_on(self) -> None:
        """Raise Stopped if asked to stop."""
        if self.place.should_stop():
            raise Stopped(f"Stopped in the run {self.key.name}; the same command goes on.")

    def origin(self) -> Path | None:
        """The study that this run's is a copy of at first; None: a new one without labels."""
        return None

    def _study(self) -> Study:
        folder = self.folder / "study"
        if folder.is_dir():
            return Study.open(folder)
        # Made as deep in the folders as it will lie, for its paths to the images.
        with staging(self.folder.parent) as temporary:
            unfinished = temporary / "study"
            origin = self.origin()
            if origin is not None:
                shutil.copytree(origin, unfinished)
            else:
                study = Study.create(unfinished, self.experiment.schema)
                for case in self.experiment.cases_of(self.key.seed):
                    self.go_on()
                    study.add_case(case.images, case.name, case.role, case.group)
            unfinished.rename(folder)
        return Study.open(folder)


class Laps:
    """Seconds by name, from one call to the next."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()

    def __call__(self, name: str) -> None:
        """What was done since the last call is called this."""
        now = time.perf_counter()
        self.seconds[name] = round(now - self._began, 2)
        self._began = now


def _progress_only(report: Callable[..., None]) -> Callable[..., None]:
    """Hundreds of trainings would tell the same of their plans again and again."""

    def passed_on(kind: str, **data) -> None:
        if kind == "progress":
            report(kind, **data)

    return passed_on
