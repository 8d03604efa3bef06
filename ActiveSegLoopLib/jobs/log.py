"""The log of one job: what was asked, what happened, and the traceback if it failed."""

from __future__ import annotations

import os
import platform
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any


class JobLog:
    """Collects a job's lines and writes them to `<folder>/<date>-<name>-....log`.

    The file appears with the first thing that the job did, or with a fault of the program, so
    that a job that refused its input leaves none. Without a folder, or where it can't be written,
    a fault is logged in the system's folder for temporary files. Images' contents and DICOM tags
    are never logged.
    """

    def __init__(self, name: str, arguments: list[str], folder: Path | None = None) -> None:
        from ActiveSegLoopLib import __version__

        self.folder = folder
        self.path: Path | None = None
        self._name = name
        self._lines: list[str] = []
        self._stage = ""
        self._refused = False
        self._add(
            f"activesegloop {__version__}, Python {platform.python_version()}, "
            f"{platform.platform()}"
        )
        self._add("arguments: " + " ".join([name, *arguments]))

    def event(self, kind: str, data: dict[str, Any]) -> None:
        """Note one event; of a stage's progress only its beginning and end."""
        self._refused |= kind == "error"
        if kind == "progress":
            begins = data["stage"] != self._stage
            self._stage = data["stage"]
            if begins or data["step"] >= data["total"]:
                self._add(f"{kind}: {_text(data)}")
        else:
            self._add(f"{kind}: {_text(data)}")
        did = kind in ("added", "segmented") or (kind == "progress" and not self._refused)
        if did and self.path is None and self.folder is not None:
            self._open(self.folder)

    def failure(self) -> Path:
        """Write the traceback of the exception at hand; returns the log's path."""
        self._add(traceback.format_exc())
        if self.path is None:
            self._open(self.folder or Path(tempfile.gettempdir()))
        if self.path is None:
            self._open(Path(tempfile.gettempdir()))
        return self.path

    def close(self, status: int) -> None:
        """Note how the job ended."""
        self._add(f"exit status {status}")

    def _add(self, text: str) -> None:
        self._lines.append(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        self._write()

    def _open(self, folder: Path) -> None:
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{self._name}-{os.getpid()}"
        try:
            folder.mkdir(exist_ok=True)
            descriptor, path = tempfile.mkstemp(".log", f"{name}-", folder)
        except OSError:
            return  # a study on a read-only disk is still good for segmenting
        os.close(descriptor)
        self.path = Path(path)
        self._write()

    def _write(self) -> None:
        if self.path is not None and self._lines:
            with open(self.path, "a", encoding="utf-8") as file:
                file.writelines(self._lines)
            self._lines.clear()


def _text(data: dict[str, Any]) -> str:
    if set(data) == {"text"}:
        return str(data["text"])
    return ", ".join(f"{key} {value}" for key, value in data.items())
