"""How long each label was worked on: from edit to edit, without pauses."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

# A longer pause counts nothing: nobody knows how much of it was work.
IDLE_SECONDS = 60.0


class Stopwatch:
    """Seconds by label id; the time between two edits belongs to the label of the later one.

    Together the labels have what evaluation.timing.active_seconds gives for all edits. clock: a
    function that returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self.seconds: dict[str, float] = {}

    def start(self, seconds: Mapping[str, float] = {}) -> None:  # noqa: B006 (never changed)
        """Begin, with what was spent before; looking at the image first is work, too."""
        self.seconds = dict(seconds)
        self._last = self._clock()

    def stop(self) -> None:
        """Nothing is worked on any more."""
        self._last = None

    def edit(self, label: str) -> None:
        """A label was edited just now."""
        if self._last is not None:
            self.seconds[label] = self.seconds.get(label, 0.0) + self._gap()
        self._last = self._clock()

    @property
    def is_running(self) -> bool:
        """Whether the last edit is recent enough for this to count as work."""
        return self._last is not None and self._clock() - self._last <= IDLE_SECONDS

    @property
    def total(self) -> float:
        """All labels' seconds, with those since the last edit while it is running."""
        return math.fsum(self.seconds.values()) + (self._gap() if self.is_running else 0.0)

    def now(self) -> float:
        """The clock."""
        return self._clock()

    def _gap(self) -> float:
        gap = self._clock() - self._last
        return gap if gap <= IDLE_SECONDS else 0.0


def clock_text(seconds: float) -> str:
    """Seconds as a clock shows them: "3:07", "1:02:09"."""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{whole % 60:02d}"
