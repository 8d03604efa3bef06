"""Events of a job for programs: one JSON object a line on a stdout that nothing else writes to."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


class JsonEvents:
    """A `report` callback that writes every event as one JSON line.

        report = JsonEvents(stream)
        report("progress", stage="segmenter", step=1, total=2000)

    gives `{"event": "progress", "time": 1760000000.123, "stage": "segmenter", ...}`. The time is in
    seconds since 1970 (UTC). Numbers that JSON lacks (NaN, infinity) become null. When the reader
    has gone, the job goes on silently.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, kind: str, **data: Any) -> None:
        """Write one event."""
        write_json(self._stream, {"event": kind, "time": round(time.time(), 3), **data})

    def close(self) -> None:
        """Nothing is held back: every line was flushed."""


def write_json(stream: TextIO, content: Mapping[str, Any]) -> None:
    """Write one JSON object as one line and flush it; a reader that has gone is no error."""
    write_line(stream, json.dumps(plain(content), allow_nan=False))


def write_line(stream: TextIO, text: str) -> None:
    """Write a text and the end of its line and flush it; a reader that has gone is no error."""
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        # What is still buffered would raise again when Python closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def plain(value: Any) -> Any:
    """The same content in types that JSON knows: paths as text, NaN as None, numpy as numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (str, int)) or value is None:
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    raise TypeError(f"An event can't hold a {type(value).__name__}.")


@contextmanager
def machine_stdout() -> Iterator[TextIO]:
    """A stream to stdout for JSON alone; what anything else prints there goes to stderr.

    Also what C libraries print: the file descriptor itself is moved. The former state returns
    when the block ends.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    former, sys.stdout = sys.stdout, sys.stderr
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8", newline="\n") as stream:
            yield stream
    finally:
        sys.stdout = former
        os.dup2(kept, 1)
        os.close(kept)
