"""Following a job that runs in another process: its events, its remaining time, its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import qt
from slicer.i18n import tr as _

_MILLISECONDS_BETWEEN = 200


class Follower:
    """Asks a job for its events while the user goes on; one job at a time.

        follower.follow(job, on_event=self.on_event, on_end=self.on_end)

    job: what the logic's start methods return. on_event(event) gets each event as a mapping,
    on_end(job) is called once, when the job has ended in whatever way.
    """

    def __init__(self) -> None:
        self.job: Any = None
        self._on_event: Callable[[Mapping], None] | None = None
        self._on_end: Callable[[Any], None] | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN)
        self._timer.connect("timeout()", self._look)

    @property
    def is_busy(self) -> bool:
        """Whether a job is followed."""
        return self.job is not None

    def follow(
        self, job: Any, on_event: Callable[[Mapping], None], on_end: Callable[[Any], None]
    ) -> None:
        """Follow this job."""
        self.job, self._on_event, self._on_end = job, on_event, on_end
        self._timer.start()

    def cancel(self) -> None:
        """Ask the job to stop kindly."""
        if self.job is not None:
            self.job.cancel()

    def close(self) -> None:
        """End the job, because the panel ends."""
        self._timer.stop()
        if self.job is not None:
            self.job.close()
            self.job = None

    def _look(self) -> None:
        job = self.job
        if job is None:
            return
        try:
            for event in job.poll():
                self._on_event(event)
            if not job.is_running and self.job is job:
                self.job = None
                self._timer.stop()
                self._on_end(job)
        except Exception:
            logging.exception("ActiveSegLoop: an event of a job couldn't be shown.")


class Remaining:
    """The remaining time of a stage from how fast it has gone so far."""

    def __init__(self) -> None:
        self._stage = ""
        self._first = 0
        self._began = 0.0

    def seconds(self, stage: str, step: int, total: int) -> float | None:
        """Seconds left of this stage; None as long as nobody can know."""
        now = time.monotonic()
        if stage != self._stage or step < self._first:
            self._stage, self._first, self._began = stage, step, now
        done = step - self._first
        return (now - self._began) / done * (total - step) if done > 0 else None


def duration(seconds: float) -> str:
    """A duration in words: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return _("{seconds} s").format(seconds=whole)
    if whole < 3600:
        return _("{minutes} min {seconds} s").format(minutes=whole // 60, seconds=whole % 60)
    return _("{hours} h {minutes} min").format(hours=whole // 3600, minutes=whole % 3600 // 60)
