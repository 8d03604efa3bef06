"""One run of a command: its events, its cancel, its log, its errors and its exit status."""

from __future__ import annotations

import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.jobs.cancel import CANCELLED, Cancel, Cancelled
from ActiveSegLoopLib.jobs.events import JsonEvents, machine_stdout, write_json, write_line
from ActiveSegLoopLib.jobs.log import JobLog
from ActiveSegLoopLib.jobs.progress import PersonEvents
from ActiveSegLoopLib.jobs.torchrun import part_and_parts

if TYPE_CHECKING:
    from ActiveSegLoopLib.study.study import Study

SUCCESS, FAILURE, USAGE = 0, 1, 2  # and CANCELLED


class Job:
    """What a command works with: `report`, `should_stop`, `result` and `open_study`.

    `problem` reports an error that doesn't end the job, but its exit status will be 1.
    """

    def __init__(
        self, log: JobLog, should_stop: Cancel, json: str | None, machine: TextIO | None
    ) -> None:
        self.log = log
        self.should_stop = should_stop
        self.failed = False
        self.machine = machine
        self._json = json
        self._person = PersonEvents(sys.stderr)
        self._events = JsonEvents(machine) if json == "events" else self._person
        # Under torchrun every process runs the command; only the first one speaks.
        self.is_first = part_and_parts()[0] == 0

    def report(self, kind: str, **data: Any) -> None:
        """Pass an event on: to the person or program that watches, and to the log."""
        self.log.event(kind, data)
        if kind == "error" and self._events is not self._person:
            self._person("error", **data)
        if self.is_first or kind in ("warning", "error"):
            self._events(kind, **data)

    def problem(self, text: str) -> None:
        """Report an error that concerns one thing of many: the job goes on with the others."""
        self.failed = True
        self.report("error", text=text)

    def result(self, text: str, **data: Any) -> None:
        """Give the result: as text to people, with --json as one JSON object, or as an event."""
        self.log.event("result", {"text": text})
        if not self.is_first:
            return
        if self._json == "events":
            self._events("result", **data)
        elif self._json == "result":
            write_json(self.machine, data)
        else:
            self._person.close()
            write_line(sys.stdout, text)

    def open_study(self, folder: str | os.PathLike) -> Study:
        """Open the study; the job is then logged in its folder."""
        from ActiveSegLoopLib.study.study import Study

        study = Study.open(folder)
        self.log.folder = Path(study.folder) / "logs"
        return study

    def close(self) -> None:
        """Finish what is shown."""
        self._person.close()


def run_job(
    name: str, run: Callable[[Namespace, Job], None], options: Namespace, arguments: list[str]
) -> int:
    """Run a command and return its exit status; every error becomes one line on stderr."""
    json = "events" if options.events == "json" else "result" if options.json else None
    with ExitStack() as stack:
        machine = stack.enter_context(machine_stdout()) if json else None
        should_stop = stack.enter_context(
            Cancel(options.cancel_file, options.cancel_on_stdin_close)
        )
        job = Job(JobLog(name, arguments), should_stop, json, machine)
        stack.callback(job.close)
        status = _guarded(run, options, job)
        if json == "events":
            job.report("end", status=status)
        job.log.close(status)
    return status


def _guarded(run: Callable[[Namespace, Job], None], options: Namespace, job: Job) -> int:
    try:
        run(options, job)
    except Cancelled as stopped:
        job.report("cancelled", text=str(stopped))
        job.close()
        if job.is_first:
            print(f"activesegloop: {stopped}", file=sys.stderr, flush=True)
        return CANCELLED
    except ActiveSegLoopError as error:
        return _failed(job, str(error), options.debug)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "ActiveSegLoopLib"):
            return _fault(job, error, options.debug)
        text = (
            f"This needs the Python package '{package}', which isn't there; install it with "
            f"{sys.executable} -m pip install {package}."
        )
        return _failed(job, text, options.debug)
    except Exception as error:
        return _fault(job, error, options.debug)
    return FAILURE if job.failed else SUCCESS


def _fault(job: Job, error: Exception, debug: bool) -> int:
    """Report what nobody foresaw: one line, and where the traceback is."""
    said = " ".join(str(error).split()) or "no further details"
    if isinstance(error, OSError) and error.strerror and error.filename:
        said = f"{error.filename}: {error.strerror}"
    return _failed(job, f"{type(error).__name__}: {said} (details in {job.log.failure()})", debug)


def _failed(job: Job, text: str, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    job.report("error", text=text)
    return FAILURE
