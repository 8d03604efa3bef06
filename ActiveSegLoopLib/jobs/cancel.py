"""Stopping a job kindly: it finishes the step at hand, saves what it has and ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ActiveSegLoopLib.jobs.torchrun import part_and_parts

# How often the cancel file is looked for, in seconds: it may lie on a slow network drive.
_SECONDS_BETWEEN_LOOKS = 0.2
# A step that takes longer than this after stdin was closed is ended: whoever started the job may
# be gone, and nobody else would. What is stored is stored as a whole or not at all.
_SECONDS_OF_GRACE = 60.0
# The exit status of a job that was stopped, as after Ctrl-C.
CANCELLED = 130


class Cancelled(Exception):
    """The job was asked to stop; the message says how to go on."""


class Cancel:
    """A `should_stop` callback: true after Ctrl-C, SIGTERM, or a program's wish.

    A program that started the job through a launcher can't reach it with a signal: it makes the
    file `file`, or closes the job's standard input when `watch_stdin` is set. A second Ctrl-C or
    SIGTERM ends the process at once; so does a closed standard input after a minute.

        with Cancel(file=Path("stop")) as should_stop:
            while not should_stop(): ...
    """

    def __init__(self, file: Path | None = None, watch_stdin: bool = False) -> None:
        self._file = file
        self._watch_stdin = watch_stdin
        self._asked = threading.Event()
        self._next_look = 0.0
        self._handlers: dict[int, object] = {}
        self._interrupt = False
        self._left = threading.Event()

    def __enter__(self) -> Cancel:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._on_signal)
        if self._watch_stdin:
            threading.Thread(target=self._until_stdin_closes, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        self._left.set()

    def __call__(self) -> bool:
        """Whether the job should stop."""
        if not self._asked.is_set() and self._file is not None:
            now = time.monotonic()
            if now >= self._next_look:
                self._next_look = now + _SECONDS_BETWEEN_LOOKS
                if self._file.exists():
                    self._asked.set()
        return self._asked.is_set()

    def require_going_on(self, text: str) -> None:
        """Raise Cancelled with this text if the job should stop."""
        if self():
            raise Cancelled(text)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """While waiting inside (for input, say), a signal raises Cancelled instead."""
        self._interrupt = True
        try:
            self.require_going_on("Stopped.")
            yield
        finally:
            self._interrupt = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if part_and_parts()[1] == 1:
            # torchrun passes on a Ctrl-C that the terminal has sent to its processes already, and
            # sees to it itself that they end.
            signal.signal(number, signal.SIG_DFL)
        self._asked.set()
        if self._interrupt:
            raise Cancelled("Stopped.")
        if sys.stderr.isatty():
            # A handler may interrupt a print to sys.stderr, so it writes past it.
            os.write(2, b"\nStopping after this step; Ctrl-C again ends it at once.\n")

    def _until_stdin_closes(self) -> None:
        # Not through sys.stdin: a thread waiting in it would block the end of the process.
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass  # there is no stdin at all, which is as good as closed
        self._asked.set()
        if not self._left.wait(_SECONDS_OF_GRACE):
            os._exit(CANCELLED)
