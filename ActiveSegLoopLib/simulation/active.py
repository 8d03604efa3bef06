"""One run of an experiment: propose, label, train, test, again and again until the budget is spent.

Everything goes through the product: a study on disk, its label revisions, its rounds, and proposals
from its models. A finished round is a line of rounds.jsonl and is never done again; what a kill
left of an unfinished one is taken up where it stopped, and ends as if nothing had happened.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.selection.proposing import propose
from ActiveSegLoopLib.simulation import preset  # noqa: F401 - registers the recipe
from ActiveSegLoopLib.simulation.experiment import FULL, START, Experiment, RunKey
from ActiveSegLoopLib.simulation.labeling import LabelingEffort, label_case, labeled_slices
from ActiveSegLoopLib.simulation.records import LINES, finished_rounds, is_finished, plain
from ActiveSegLoopLib.simulation.truth import PoolSize, Truth
from ActiveSegLoopLib.simulation.unseen import score_unseen
from ActiveSegLoopLib.study.files import STAGING, atomic_write, make_folder, remove_if_left, staging
from ActiveSegLoopLib.study.locks import ProcessLock
from ActiveSegLoopLib.study.rounds import Round
from ActiveSegLoopLib.study.study import Study

_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class Place:
    """Where runs are trained: on which device, and how they tell and are stopped."""

    device: str = "auto"
    report: Callable[..., None] = lambda kind, **data: None
    should_stop: Callable[[], bool] = lambda: False


def do_run(experiment: Experiment, key: RunKey, place: Place = Place()) -> bool:
    """Do what is left of a run; False, with nothing done, while another process is at it.

    What the strategies of a seed begin with is done before, by whoever comes first. Raises Stopped
    when asked to stop; the same call goes on later.
    """
    start = RunKey(START, key.seed)
    if key.strategy not in (START, FULL):
        while not do_run(experiment, start, place):
            if place.should_stop():
                raise Stopped("Stopped while another process made the start labels.")
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    folder = experiment.run_folder(key)
    make_folder(folder)
    lock = ProcessLock.acquire(folder / ".lock")
    if lock is None:
        return False
    try:
        if not is_finished(experiment, key):
            _Run(experiment, key, place).finish()
    finally:
        lock.release()
    return True


class _Run:
    """A run that this process has in its hands."""

    def __init__(self, experiment: Experiment, key: RunKey, place: Place) -> None:
        self.experiment = experiment
        self.settings = experiment.settings
        self.key = key
        self.place = place
        self.folder = experiment.run_folder(key)
        self.truth = Truth(experiment)
        self.lines = finished_rounds(experiment, key)
        self.predictor: Predictor | None = None
        for entry in (*self.folder.iterdir(), *self.folder.parent.iterdir()):
            if entry.name.startswith(STAGING):
                remove_if_left(entry)
        self.study = self._study()
        self._pool: PoolSize | None = None

    def finish(self) -> None:
        """Do the rounds that are left."""
        while not is_finished(self.experiment, self.key):
            number = len(self.lines)
            if number == 0 and self.key.strategy not in (START, FULL):
                line = finished_rounds(self.experiment, RunKey(START, self.key.seed))[0]
            else:
                line = self._round(number)
            self.lines.append(line)
            with atomic_write(self.folder / LINES) as path:
                text = "".join(json.dumps(line) + "\n" for line in self.lines)
                path.write_text(text, encoding="utf-8")
            self.place.report(
                "round", run=self.key.name, strategy=self.key.strategy, seed=self.key.seed,
                round=number, units=line["units"], mean_dice=line["mean_dice"],
            )

    def _round(self, number: int) -> dict:
        self._go_on()
        seconds: dict[str, float] = {}
        began = time.perf_counter()

        def lap(name: str) -> None:
            nonlocal began
            now = time.perf_counter()
            seconds[name] = round(now - began, 2)
            began = now

        batch = self._batch(number)
        lap("propose")
        effort = self._label(batch, number)
        lap("label")
        current = self._train(number)
        self.predictor = Predictor.load(current.folder, self.place.device)
        lap("train")
        tested = score_unseen(
            self.study, self.truth, self.predictor, self.settings, self.key.seed, self._go_on
        )
        lap("test")
        return {
            "round": number,
            **plain(self._budget()),
            "exhausted": len(batch) == 0 and number > 0,
            "effort": asdict(effort),
            **tested,
            "batch": batch,
            "seconds": seconds,
            "versions": dict(current.versions),
            "settings": dict(current.settings),
        }

    def _batch(self, number: int) -> list[dict]:
        """The proposals of a round, made once: after a kill the very same are labeled."""
        path = self.folder / "batches" / f"round-{number:02d}.json"
        if not path.exists():
            found = self._propose(number)
            with atomic_write(path) as temporary:
                temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return json.loads(path.read_text(encoding="utf-8"))

    def _propose(self, number: int) -> list[dict]:
        settings = self.settings
        if number > 0 and self.lines[-1]["share"] >= 1:
            return []
        if self.key.strategy == FULL:
            return [
                {"case": case.name, "unit": "volume", "plane": None, "index": None}
                for case in self.study.cases("pool")
            ]
        first = number == 0
        found = propose(
            self.study,
            unit=settings.unit,
            count=settings.start if first else settings.step,
            strategy=settings.initial if first else self.key.strategy,
            plane=settings.plane,
            seed=self.key.seed,
            predictor=None if first else self._current_predictor(),
            device=self.place.device,
            min_distance_mm=settings.min_distance_mm,
            per_case=settings.per_case,
            per_class=settings.per_class,
            passes=settings.passes,
            round_index=number,
            should_stop=self.place.should_stop,
        )
        return [proposal.to_dict() for proposal in found]

    def _label(self, batch: Sequence[dict], number: int) -> LabelingEffort:
        slices: dict[str, list[int] | None] = {}
        for proposal in batch:
            if proposal["unit"] == "volume":
                slices[proposal["case"]] = None
            else:
                slices.setdefault(proposal["case"], []).append(proposal["index"])
        corrected = self.settings.corrected and number > 0
        predictor = self._current_predictor() if corrected and batch else None
        model_round = self._trained()[number - 1].number if corrected else None
        effort = LabelingEffort()
        for name, indices in slices.items():
            self._go_on()
            effort += label_case(
                self.study, self.study.case(name), self.truth.labelmap(self.study, name), indices,
                self.settings.plane, predictor, model_round, self.settings.tolerance_mm,
            )
        return effort

    def _train(self, number: int) -> Round:
        trained = self._trained()
        if len(trained) > number:
            return trained[number]
        return train_round(
            self.study, self.settings.preset, self.place.device, self.settings.iterations,
            self.key.seed, _quietly(self.place.report), self.place.should_stop, together=False,
        )

    def _trained(self) -> list[Round]:
        return [r for r in self.study.rounds() if r.state == "finished"]

    def _current_predictor(self) -> Predictor:
        if self.predictor is None:
            last = self._trained()[len(self.lines) - 1]
            self.predictor = Predictor.load(last.folder, self.place.device)
        return self.predictor

    def _budget(self) -> dict:
        """How much of the pool is labeled now."""
        if self._pool is None:
            self._pool = self.truth.pool_size(self.study, self.settings.plane)
        slices = volumes = foreground = 0
        for case in self.study.cases("pool"):
            done = labeled_slices(self.study, case, self.settings.plane)
            slices += len(done)
            volumes += bool(done)
            foreground += int(self._pool.per_slice[case.name][done].sum())
        units = slices if self.settings.unit == "slice" else volumes
        return {
            "units": units,
            "share": units / self._pool.units(self.settings.unit),
            "slices": slices,
            "volumes": volumes,
            "foreground_share": foreground / max(1, self._pool.foreground),
        }

    def _study(self) -> Study:
        """The run's study: with all cases and no label, or a copy of what its seed begins with."""
        folder = self.folder / "study"
        if folder.is_dir():
            return Study.open(folder)
        # Made as deep in the folders as it will lie, for its paths to the images.
        with staging(self.folder.parent) as temporary:
            unfinished = temporary / "study"
            if self.key.strategy in (START, FULL):
                study = Study.create(unfinished, self.experiment.schema)
                for case in self.experiment.cases:
                    self._go_on()
                    study.add_case(case.images, case.name, case.role, case.group)
            else:
                start = self.experiment.run_folder(RunKey(START, self.key.seed)) / "study"
                shutil.copytree(start, unfinished)
            unfinished.rename(folder)
        return Study.open(folder)

    def _go_on(self) -> None:
        if self.place.should_stop():
            raise Stopped(f"Stopped in the run {self.key.name}; the same command goes on.")


def _quietly(report: Callable[..., None]) -> Callable[..., None]:
    """Progress and warnings only: hundreds of trainings would tell the same again and again."""

    def passed_on(kind: str, **data) -> None:
        if kind == "progress":
            report(kind, **data)

    return passed_on
