"""Work of seconds beside the window: in a thread, one after the other, results in the window."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

import qt

# In Slicer the window keeps Python's lock while it waits for the user, so a thread stands still.
# The timer therefore lends it the lock: this long, this often.
_LENT_SECONDS = 0.02
_MILLISECONDS_BETWEEN = 25


class Background:
    """Runs functions in a thread in the order in which they came; nothing of MRML or Qt in them.

        background.start(lambda: study.add_revision(...), done=self.on_stored, failed=self.tell)

    `done(result)` and `failed(exception)` are called in the window's thread.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], Any], Callable, Callable]] = []
        self._thread: threading.Thread | None = None
        self._ended: queue.SimpleQueue = queue.SimpleQueue()
        self._timer = qt.QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN)
        self._timer.connect("timeout()", self._lend)

    @property
    def is_busy(self) -> bool:
        """Whether something runs or waits."""
        return self._thread is not None or bool(self._waiting)

    def start(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Run `work` once what came before has ended."""
        self._waiting.append((work, done, failed))
        self._next()

    def finish(self) -> None:
        """Wait for all of it; for the end of the panel, so that nothing accepted is lost."""
        while self.is_busy:
            if self._thread is not None:
                self._thread.join()
                self._collect()

    def _next(self) -> None:
        if self._thread is not None or not self._waiting:
            return
        self._thread = threading.Thread(target=self._run, args=(self._waiting[0][0],), daemon=True)
        self._thread.start()
        self._timer.start()

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            self._ended.put((work(), None))
        except Exception as error:
            self._ended.put((None, error))

    def _lend(self) -> None:
        if self._thread is not None:
            self._thread.join(_LENT_SECONDS)
            if not self._thread.is_alive():
                self._collect()

    def _collect(self) -> None:
        result, error = self._ended.get()
        _, done, failed = self._waiting.pop(0)
        self._thread = None
        self._next()
        if self._thread is None:
            self._timer.stop()
        try:
            if error is None:
                done(result)
            else:
                failed(error)
        except Exception:
            logging.exception("ActiveSegLoop: what follows a background step failed.")
