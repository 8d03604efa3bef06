"""The processes that work for the open study: jobs, and workers that keep its model loaded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ActiveSegLoopLib.errors import ActiveSegLoopError, StudyError
from ActiveSegLoopLib.jobs.client import JobProcess
from ActiveSegLoopLib.jobs.worker import WarmWorker
from ActiveSegLoopLib.scene.segmenting import Segmenting
from ActiveSegLoopLib.study.study import Study


class Processes:
    """The open study and what runs for it in other processes.

    What the methods named start_... return has `poll`, `is_running`, `cancel`, `close`, `wait`,
    `status` and `error`; they return at once. python: the interpreter of the processes, by default
    this one's (inside Slicer that is PythonSlicer).
    """

    def __init__(self, python: str | None = None) -> None:
        self._python = python
        self._study: Study | None = None
        self._workers: dict[str, WarmWorker] = {}

    @property
    def study(self) -> Study:
        """The open study; raises StudyError when none is open."""
        if self._study is None:
            raise StudyError("No study is open: open or create one first.")
        return self._study

    @property
    def has_study(self) -> bool:
        """Whether a study is open."""
        return self._study is not None

    def use(self, study: Study | None) -> None:
        """Work for another study, or for none."""
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()
        self._study = study

    def start(self, command: str, *arguments: object) -> JobProcess:
        """Run a command of the command line on the study in another process."""
        return JobProcess([command, self.study.folder, *arguments], self._python)

    def start_training(
        self,
        preset: str = "default",
        device: str = "auto",
        iterations: int | None = None,
        seed: int = 0,
    ) -> JobProcess:
        """Train a round; one that was stopped goes on."""
        more = [] if iterations is None else ["--iterations", iterations]
        return self.start(
            "train", "--preset", preset, "--device", device, "--seed", seed, *more
        )

    def start_proposing(
        self,
        unit: str = "slice",
        count: int = 10,
        strategy: str | None = None,
        plane: str = "axial",
        device: str = "auto",
    ) -> JobProcess:
        """Find what is worth labeling next; the study keeps the proposals."""
        more = [] if strategy is None else ["--strategy", strategy]
        more += ["--plane", plane] if unit == "slice" else []
        return self.start(
            "propose", "--unit", unit, "-n", count, "--device", device, *more
        )

    def start_segmenting(self, things: Sequence[Any], device: str = "auto") -> Segmenting:
        """Segment volume nodes, or cases by name, with the warm worker."""
        return Segmenting(self.study, self.worker(device), things)

    def start_report(self, out: str | os.PathLike) -> JobProcess:
        """Write the report of the study into a folder."""
        return self.start("report", "--out", out)

    def start_advice(self) -> JobProcess:
        """What to spend labeling time on next; the event "result" says it with its numbers."""
        return self.start("advise")

    def worker(self, device: str = "auto") -> WarmWorker:
        """The worker that keeps the study's model loaded."""
        if device not in self._workers:
            self._workers[device] = WarmWorker(self.study.folder, device, self._python)
        return self._workers[device]

    def reload_model(self) -> None:
        """Let running workers load the study's current model: after a training or a rollback."""
        for worker in self._workers.values():
            if worker.is_alive:
                worker.reload()

    def roll_back(self, number: int) -> None:
        """Use the model of an earlier round, or of a later one again."""
        self.study.roll_back(number)
        self.reload_model()


def finish(job: Any, on_event: Callable[[Mapping[str, Any]], None] | None = None) -> Any:
    """Wait for a job or task, tell its events, and return it; for scripts, not for a window.

    Raises ActiveSegLoopError with its error when it failed or was stopped.
    """
    try:
        while job.is_running:
            for event in job.poll():
                if on_event is not None:
                    on_event(event)
            time.sleep(0.02)
    except BaseException:
        job.close()
        raise
    if job.status != 0:
        raise ActiveSegLoopError(job.error or "The job was stopped before it was done.")
    return job
