"""The warm worker: a model that stays loaded and answers requests, one JSON line each."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.jobs.events import write_json
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.map_files import Extras
from ActiveSegLoopLib.jobs.segmenting import Segmenter, Task, require_room_for

_FIELDS = {
    "segment": {"images", "case", "out", "overwrite", "series", "uncertainty"},
    "cancel": set(),
    "reload": set(),
    "ping": set(),
    "quit": set(),
}
# What is written as one file that keeps the image's place.
_ENDINGS = (".seg.nrrd", ".nrrd", ".nii.gz", ".nii", ".mha")
_SECONDS_DEAF = 0.5


def serve(target: Path, device: str, job: Job) -> None:
    """Answer requests on standard input until it is closed or one says quit.

    The protocol is described in the help of the command (commands/serve.py).
    """
    requests = _Requests()
    worker = _Worker(target, device, job, requests.require_wanted)
    write_json(job.machine, {"event": "ready", **worker.model()})
    requests.start()
    while True:
        with job.should_stop.interrupting():
            line = requests.next()
        if line is None:
            return
        if not line.strip():
            continue
        answer, more = worker.answer(line)
        write_json(job.machine, answer)
        if not more:
            return


class _Unwanted(ActiveSegLoopError):
    """The request at hand was canceled."""


class _Requests:
    """The lines of standard input, read while the worker works, so that it hears of a cancel."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        self._current = 0
        self._last_cancel = 0  # every request before it is unwanted

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> bytes | None:
        """Wait for the next line; None when the input has ended."""
        while True:
            try:
                # Not for ever: on Windows a Ctrl-C is only heard in between.
                found = self._lines.get(timeout=_SECONDS_DEAF)
            except queue.Empty:
                continue
            if found is None:
                return None
            self._current, line = found
            return line

    def require_wanted(self, *_: object) -> None:
        """Raise _Unwanted when the request at hand was canceled."""
        if self._current < self._last_cancel:
            raise _Unwanted("This request was canceled.")

    def _read(self) -> None:
        for number, line in enumerate(_stdin_lines(), start=1):
            if _is_cancel(line):
                self._last_cancel = number
            self._lines.put((number, line))
        self._lines.put(None)


def _stdin_lines() -> Iterator[bytes]:
    """Lines, not through sys.stdin: a thread waiting in it would block the end of the process."""
    rest = b""
    while True:
        try:
            read = os.read(0, 65536)
        except OSError:
            read = b""  # there is no stdin at all, which is as good as closed
        if not read:
            break
        *lines, rest = (rest + read).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _is_cancel(line: bytes) -> bool:
    try:
        return _checked_command(_parsed(line)) == "cancel"
    except ActiveSegLoopError:
        return False


class _Worker:
    """Turns request lines into answers; `require_wanted` raises when one isn't wanted any more."""

    def __init__(
        self, target: Path, device: str, job: Job, require_wanted: Callable[..., None]
    ) -> None:
        self._target = target
        self._device = device
        self._job = job
        self._require_wanted = require_wanted
        self._segmenter = self._loaded()

    def _loaded(self) -> Segmenter:
        segmenter = Segmenter(self._target, self._device, self._job.open_study)
        model = segmenter.predictor.model
        for network in filter(None, (model.segmenter, model.locator)):
            for module in network.modules():
                # Every layer asks, so that it stops in the middle of a volume.
                module.register_forward_pre_hook(self._require_wanted)
        return segmenter

    def model(self) -> dict[str, Any]:
        """What is loaded."""
        segmenter = self._segmenter
        return {
            "model": segmenter.folder,
            "round": segmenter.round and segmenter.round.number,
            "channels": segmenter.channels,
            "device": str(segmenter.predictor.device),
            "labels": segmenter.predictor.model.schema.to_dict()["labels"],
        }

    def answer(self, line: bytes) -> tuple[dict[str, Any], bool]:
        """The answer to one line, and whether the worker goes on."""
        identity = None
        try:
            request = _parsed(line)
            identity = request.get("id")
            command = _checked_command(request)
            content = {"segment": self._segment, "reload": self._reload}.get(command, _nothing)
            return {"id": identity, "ok": True, **content(request)}, command != "quit"
        except _Unwanted as error:
            return {"id": identity, "ok": False, "error": str(error), "canceled": True}, True
        except ActiveSegLoopError as error:
            return {"id": identity, "ok": False, "error": str(error)}, True
        except Exception as error:
            # Whatever went wrong with one image, the next may be fine.
            text = f"{type(error).__name__}: {error} (details in {self._job.log.failure()})"
            return {"id": identity, "ok": False, "error": " ".join(text.split())}, True

    def _segment(self, request: dict[str, Any]) -> dict[str, Any]:
        self._require_wanted()
        segmenter = self._segmenter
        out = request.get("out") and Path(request["out"])
        extras = Extras(uncertainty=request.get("uncertainty", False))
        if "case" in request:
            for other in ("images", "series"):
                if other in request:
                    raise ActiveSegLoopError(
                        f"A case brings its own images: name either 'case' or '{other}'."
                    )
            if segmenter.study is None:
                raise ActiveSegLoopError("A model folder has no cases; name images instead.")
            case = segmenter.study.case(request["case"])
            task = Task(case.name, case, (), out)
        elif not request.get("images") or out is None:
            raise ActiveSegLoopError('A segment request needs "case", or "images" and "out".')
        else:
            images = tuple(Path(image) for image in request["images"])
            task = Task(images[0].name, None, images, out, request.get("series"))
        for path in task.outputs(extras):
            _require_writable(path)
        existing = [path for path in task.outputs(extras) if path.exists()]
        if existing and not request.get("overwrite", False):
            raise ActiveSegLoopError(f'{existing[0]} exists already; ask with "overwrite": true.')
        return segmenter.segment(task, extras)

    def _reload(self, request: dict[str, Any]) -> dict[str, Any]:
        self._segmenter = self._loaded()
        return self.model()


def _require_writable(out: Path) -> None:
    """Before minutes are spent on a segmentation that has nowhere to go."""
    if not out.name.lower().endswith(_ENDINGS):
        raise ActiveSegLoopError(
            f"{out} has no ending of a volume: use one of {', '.join(_ENDINGS)}."
        )
    if out.is_dir():
        raise ActiveSegLoopError(f"{out} is a folder: name a file.")
    require_room_for(out.parent)


def _nothing(request: dict[str, Any]) -> dict[str, Any]:
    return {}


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except ValueError as error:
        raise ActiveSegLoopError(f"The request isn't JSON ({error}).") from error
    if not isinstance(request, dict):
        raise ActiveSegLoopError("A request is a JSON object such as {\"command\": \"ping\"}.")
    return request


def _checked_command(request: dict[str, Any]) -> str:
    command = request.get("command")
    if not isinstance(command, str) or command not in _FIELDS:
        raise ActiveSegLoopError(
            f"There is no command {command!r}; use one of {', '.join(_FIELDS)}."
        )
    strange = set(request) - _FIELDS[command] - {"id", "command"}
    if strange:
        raise ActiveSegLoopError(f"A {command} request has no field '{sorted(strange)[0]}'.")
    kinds = {"case": str, "out": str, "series": str, "overwrite": bool, "uncertainty": bool}
    for field, kind in kinds.items():
        if field in request and not isinstance(request[field], kind):
            raise ActiveSegLoopError(f"The field '{field}' of a request must be a {kind.__name__}.")
        if request.get(field) == "":
            raise ActiveSegLoopError(f"The field '{field}' of a request is empty; leave it out.")
    images = request.get("images", [])
    if not isinstance(images, list) or not all(isinstance(i, str) and i for i in images):
        raise ActiveSegLoopError("The field 'images' of a request must be a list of paths.")
    return command
