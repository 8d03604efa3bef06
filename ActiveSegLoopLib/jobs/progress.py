"""Events of a job for people: a progress bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import time
from typing import Any, TextIO

from ActiveSegLoopLib.jobs.wording import duration, plan_in_words

# Without a terminal, seconds between two lines about the same stage.
_SECONDS_BETWEEN_LINES = 20.0


class PersonEvents:
    """A `report` callback for people; everything goes to `stream` (stderr).

    Shows "message", "warning" and "plan" as lines, "progress" and "validation" as a bar with the
    remaining time, the loss and the validation Dice. Other events are for programs.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stage: _Bar | _Lines | None = None
        self._kind = _Bar if stream.isatty() and _has_width(stream) else _Lines
        self._stream = stream
        self._dice: dict[str, float] = {}

    def __call__(self, kind: str, **data: Any) -> None:
        """Show one event."""
        if kind == "progress":
            self._progress(**data)
        elif kind == "validation":
            self._dice[data["stage"]] = data["dice"]
        elif kind == "message":
            self._line(data["text"])
        elif kind in ("warning", "error"):
            prefix = {"warning": "Warning: ", "error": "activesegloop: "}[kind]
            self._line(prefix + " ".join(data["text"].split()))
        elif kind == "plan":
            self._line(plan_in_words(data))

    def close(self) -> None:
        """End the bar, so that what is printed next stands on a line of its own."""
        if self._stage is not None:
            self._stage.close()
            self._stage = None

    def _progress(
        self, stage: str, step: int, total: int, loss: float | None = None, **_: Any
    ) -> None:
        if self._stage is None or self._stage.name != stage:
            self.close()
            self._stage = self._kind(self._stream, stage, step - 1, total)
        figures = [] if loss is None else [f"loss {loss:.3f}"]
        if stage in self._dice:
            figures.append(f"Dice {self._dice[stage]:.3f}")
        self._stage.update(step, ", ".join(figures))
        if step >= total:
            self.close()

    def _line(self, text: str) -> None:
        if self._stage is not None:
            self._stage.line(text)
        else:
            print(text, file=self._stream, flush=True)


def _has_width(stream: TextIO) -> bool:
    """Whether a terminal has room for a bar; some (in containers) say they have no columns."""
    try:
        return os.get_terminal_size(stream.fileno()).columns > 0
    except OSError:
        return True


class _Bar:
    """One stage in a terminal."""

    def __init__(self, stream: TextIO, name: str, done: int, total: int) -> None:
        from tqdm import tqdm

        self.name = name
        self._bar = tqdm(
            total=total, initial=done, desc=name, file=stream, dynamic_ncols=True, smoothing=0.05,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} "
            "[{elapsed}, {remaining} left{postfix}]",
        )

    def update(self, step: int, figures: str) -> None:
        self._bar.set_postfix_str(figures, refresh=False)
        self._bar.update(step - self._bar.n)

    def line(self, text: str) -> None:
        self._bar.write(text, file=self._bar.fp)

    def close(self) -> None:
        self._bar.refresh()
        self._bar.close()


class _Lines:
    """One stage where there is no terminal: a line now and then."""

    def __init__(self, stream: TextIO, name: str, done: int, total: int) -> None:
        self.name = name
        self._stream = stream
        self._first = self._step = done
        self._total = total
        self._started = self._last = time.monotonic()
        self._figures = ""
        self._told = done

    def update(self, step: int, figures: str) -> None:
        self._step, self._figures = step, figures
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._tell()

    def line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        # The end of a stage is worth a line if the stage took long enough for one before.
        if self._told > self._first and self._step > self._told:
            self._tell()

    def _tell(self) -> None:
        self._last, self._told = time.monotonic(), self._step
        elapsed = self._last - self._started
        left = elapsed / (self._step - self._first) * (self._total - self._step)
        parts = [f"{self.name}: {self._step} of {self._total}", self._figures]
        parts.append(f"{duration(left)} left" if left else f"done in {duration(elapsed)}")
        self.line(", ".join(part for part in parts if part))
