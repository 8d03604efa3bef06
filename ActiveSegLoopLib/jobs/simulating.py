"""Doing the runs of an experiment: in this process, in several, or in those of torchrun.

Each process takes the next run that nobody has in its hands, until none is left; so any number of
them, on one machine or on several that share the folder, work on one experiment.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.jobs.cancel import Cancelled
from ActiveSegLoopLib.jobs.client import JobProcess
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.torchrun import part_and_parts
from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.records import finished_rounds, is_finished
from ActiveSegLoopLib.wording import counted

_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_BETWEEN_LOOKS_AT_OTHERS = 1.0
# A training step, and what it waits for, ends within this time.
_SECONDS_TO_STOP = 120.0


def do_runs(experiment: Experiment, device: str, job: Job) -> None:
    """Do every run that no other process does. Raises Cancelled when asked to stop."""
    from ActiveSegLoopLib.model.trainer import Stopped
    from ActiveSegLoopLib.simulation.doing import do_run
    from ActiveSegLoopLib.simulation.runs import Place

    place = Place(device, _Teller(experiment, job), job.should_stop)
    part, _ = part_and_parts()
    keys = experiment.runs()
    for key in keys[part:] + keys[:part]:
        if is_finished(experiment, key):
            continue
        try:
            do_run(experiment, key, place)
        except Stopped as stopped:
            raise Cancelled(_how_to_go_on(experiment.folder)) from stopped
        except ActiveSegLoopError as error:
            job.problem(f"{key.name}: {error}")


def do_runs_in(experiment: Experiment, device: str, job: Job, jobs: int, threads: int) -> None:
    """Do the runs in `jobs` processes of so many threads each; their events become this job's."""
    environment = os.environ | {
        name: str(threads)
        for name in (
            "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
            "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
        )
    }
    arguments = ["simulate", "--out", experiment.folder, "--device", device]
    tell = _Teller(experiment, job)
    with _Children([JobProcess(arguments, environment=environment) for _ in range(jobs)]) as all_:
        for event in all_.events(job):
            kind = event.pop("event", None)
            if kind in ("round", "warning"):
                tell(kind, **event)
            elif kind == "error":
                job.problem(event["text"])
    if job.should_stop():
        raise Cancelled(_how_to_go_on(experiment.folder))


def wait_for_others(experiment: Experiment, job: Job) -> None:
    """Until no other process is at a run. Raises Cancelled when asked to stop."""
    from ActiveSegLoopLib.simulation.doing import is_being_done

    left = [key for key in experiment.runs() if is_being_done(experiment, key)]
    if left:
        job.report(
            "message", text=f"Waiting for {counted(len(left), 'run')} that other processes do."
        )
    while left:
        job.should_stop.require_going_on(_how_to_go_on(experiment.folder))
        time.sleep(_SECONDS_BETWEEN_LOOKS_AT_OTHERS)
        left = [key for key in left if is_being_done(experiment, key)]


class _Teller:
    """Passes events on, and says in words what each finished round came to."""

    def __init__(self, experiment: Experiment, job: Job) -> None:
        self._job = job
        self._unit = "slice" if experiment.settings.KIND == "virtues" else experiment.settings.unit
        self._total = sum(experiment.rounds_of(key) for key in experiment.runs())
        self._done = sum(len(finished_rounds(experiment, key)) for key in experiment.runs())

    def __call__(self, kind: str, **data: Any) -> None:
        """Report one event."""
        self._job.report(kind, **data)
        if kind == "round":
            self._done += 1
            dice = "undefined" if data["mean_dice"] is None else f"{data['mean_dice']:.4f}"
            self._job.report(
                "message",
                text=f"{data['strategy']}, seed {data['seed']}: Dice {dice} with "
                f"{counted(data['units'], self._unit)}; {self._done} of {self._total} rounds done.",
            )


class _Children:
    """Several processes at the runs, ended together."""

    def __init__(self, processes: list[JobProcess]) -> None:
        self._processes = processes

    def __enter__(self) -> _Children:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.close()

    def events(self, job: Job) -> Iterator[dict]:
        """What all of them tell until the last one has ended; asks them to stop if `job` is."""
        asked = False
        while any(process.is_running for process in self._processes):
            if job.should_stop() and not asked:
                asked = True
                for process in self._processes:
                    process.cancel(_SECONDS_TO_STOP)
            for process in self._processes:
                yield from process.poll()
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        for process in self._processes:
            if process.status not in (0, 1, 130):
                job.problem(process.error or "A process of the experiment ended.")


def _how_to_go_on(folder: Path) -> str:
    command = shlex.join(["activesegloop", "simulate", "--out", str(folder)])
    return f"The experiment was stopped; {command} goes on with it."
