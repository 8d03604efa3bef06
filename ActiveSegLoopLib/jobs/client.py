"""Running jobs from another program, such as Slicer's window, without ever waiting for them.

Only the standard library: this file is the one of jobs that Slicer's own process imports.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

# What belongs to the window of the program that starts a job and would mislead the job.
_OF_THE_WINDOW = ("QT_PLUGIN_PATH", "QT_QPA_PLATFORM", "QT_QPA_PLATFORM_PLUGIN_PATH", "MPLBACKEND")
# In Slicer the window keeps Python's lock while it waits for the user, and the thread that reads
# stands still: each poll lends it the lock for this long.
_LENT_SECONDS = 0.001
# A process that has ended but whose output stays open (a child of its own) is waited for this long.
_SECONDS_FOR_LAST_WORDS = 2.0
_LONGEST_TAIL = 4000


class JobProcess:
    """A command of the command line in another process; its events are asked for by `poll`.

        job = JobProcess(["train", study.folder, "--preset", "fast"])
        while job.is_running:                  # in a window: a timer's slot instead of a loop
            for event in job.poll():
                print(event)                   # {"event": "progress", "step": 1, "total": 400, ...}
            time.sleep(0.1)

    arguments: as on the command line, without --events. python: the interpreter, by default this
    process's (inside Slicer that is PythonSlicer). environment: by default this process's. The job
    stops kindly when this process ends.
    """

    def __init__(
        self,
        arguments: Sequence[object],
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self.result: dict[str, Any] | None = None
        self._errors: list[str] = []
        self._folder = tempfile.TemporaryDirectory(prefix="activesegloop-")
        self._cancel_file = Path(self._folder.name) / "cancel"
        self._kill_at: float | None = None
        self._child = Child(
            [*self.arguments, "--events", "json", "--cancel-file", str(self._cancel_file),
             "--cancel-on-stdin-close"],
            python, environment,
        )
        self._told_exit = False

    @property
    def status(self) -> int | None:
        """The exit status: 0 success, 1 an error, 2 a wrong command, 130 stopped; None so far."""
        return self._child.status if self._told_exit else None

    @property
    def is_running(self) -> bool:
        """Whether poll has more to tell: true until it gave the event "exit"."""
        return not self._told_exit

    @property
    def pid(self) -> int:
        """The job's own process id once it has said it, the launcher's before."""
        return self._child.pid

    @property
    def error(self) -> str | None:
        """Why the job failed, in one sentence; None while it runs, and when it succeeded."""
        if not self._told_exit or self.status in (0, 130):
            return None
        if self._errors:
            return self._errors[-1]
        return self._child.last_words() or f"The job ended with the exit status {self.status}."

    def poll(self) -> list[dict[str, Any]]:
        """The events since the last call; never waits. The last one is {"event": "exit"}."""
        if self._told_exit:
            return []
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._child.kill()
        ended = self._child.has_ended()  # before reading, so that no line comes after "exit"
        events = self._child.read()
        for event in events:
            kind = event.get("event")
            if kind == "result":
                self.result = event
            elif kind == "error":
                self._errors.append(str(event.get("text", "")))
        if ended:
            self._finish()
            events.append({"event": "exit", "status": self._child.status})
        return events

    def cancel(self, patience: float = 30.0) -> None:
        """Ask the job to stop and save what it has; poll ends it if that takes over `patience` s.

        A training that was stopped goes on with the same command.
        """
        if self._told_exit or self._kill_at is not None:
            return
        self._cancel_file.touch()
        self._child.close_input()
        self._kill_at = time.monotonic() + patience

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end (seconds; None for ever); returns the status, None when time is up.

        Events are passed over but for `result` and `error`; for scripts, not for a window.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self.is_running:
            self.poll()
            if not self.is_running or (end is not None and time.monotonic() >= end):
                break
            time.sleep(0.02)
        return self.status

    def close(self) -> None:
        """End the job at once if it still runs, and let go of what it used."""
        if not self._told_exit:
            self._child.kill()
            self._finish()

    def _finish(self) -> None:
        self._told_exit = True
        self._child.close()
        self._folder.cleanup()


class Child:
    """A process of the command line: lines in, JSON objects out, neither ever waited for."""

    def __init__(
        self,
        arguments: Sequence[str],
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._words: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._stderr: IO[bytes] = tempfile.TemporaryFile()
        self._own_pid: int | None = None
        self._silent = False
        self._ended_at: float | None = None
        self._tail: str | None = None
        self._process = subprocess.Popen(
            [python or sys.executable, "-m", "ActiveSegLoopLib.jobs.child", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr,
            env=child_environment(environment),
            # A Ctrl-C in the terminal of this program isn't meant for the job.
            start_new_session=os.name != "nt",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._reader = threading.Thread(target=self._read_lines, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id: its own once it has said it, the launcher's before."""
        return self._own_pid or self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return self._process.poll()

    def has_ended(self) -> bool:
        """Whether the process has ended and nothing more will be read of it."""
        if self._process.poll() is None:
            return False
        self._ended_at = self._ended_at or time.monotonic()
        return not self._reader.is_alive() or (
            time.monotonic() - self._ended_at > _SECONDS_FOR_LAST_WORDS
        )

    def read(self) -> list[dict[str, Any]]:
        """What it has said since the last call."""
        self._reader.join(_LENT_SECONDS)
        found = []
        while True:
            try:
                said = self._words.get_nowait()
            except queue.Empty:
                return found
            if said.get("event") == "started" and self._own_pid is None:
                self._own_pid = int(said["pid"])
            found.append(said)

    def write(self, content: Mapping[str, Any]) -> bool:
        """Send one JSON line; False when the process doesn't listen any more."""
        try:
            self._process.stdin.write(json.dumps(content).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def close_input(self) -> None:
        """Close its standard input."""
        try:
            self._process.stdin.close()
        except OSError:
            pass  # what was still to be written can't be: it has ended

    def kill(self) -> None:
        """End it at once: its own process, and the launcher."""
        if self._process.poll() is None:
            self.read()
            if self._own_pid not in (None, self._process.pid):
                try:
                    os.kill(self._own_pid, getattr(signal, "SIGKILL", signal.SIGTERM))
                except OSError:
                    pass  # it was faster
            self._process.kill()
            self._process.wait(10)

    def last_words(self) -> str | None:
        """The last line that it wrote to standard error; None if there is none."""
        if self._tail is None:
            size = self._stderr.seek(0, os.SEEK_END)
            self._stderr.seek(max(0, size - _LONGEST_TAIL))
            self._tail = self._stderr.read().decode("utf-8", "replace").strip()
        return self._tail.splitlines()[-1].removeprefix("activesegloop: ") if self._tail else None

    def close(self) -> None:
        """Let go of the pipes of a process that has ended."""
        self.last_words()
        self.close_input()
        self._stderr.close()

    def _read_lines(self) -> None:
        with self._process.stdout as stream:
            for line in stream:
                try:
                    said = json.loads(line)
                except ValueError:
                    continue  # a launcher's own words
                if isinstance(said, dict):
                    self._words.put(said)


def child_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a job: with the way to this library, without what is the window's."""
    made = dict(os.environ if environment is None else environment)
    for name in _OF_THE_WINDOW:
        made.pop(name, None)
    library = str(Path(__file__).resolve().parents[2])
    paths = [path for path in made.get("PYTHONPATH", "").split(os.pathsep) if path]
    if library not in paths:
        made["PYTHONPATH"] = os.pathsep.join([library, *paths])
    return made
