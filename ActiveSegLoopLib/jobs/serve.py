"""The warm worker: a model that stays loaded and answers requests, one JSON line each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.jobs.events import write_json
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.segmenting import Segmenter, Task, require_room_for

_FIELDS = {
    "segment": {"images", "case", "out", "overwrite", "series", "uncertainty"},
    "reload": set(),
    "ping": set(),
    "quit": set(),
}
# What is written as one file that keeps the image's place.
_ENDINGS = (".seg.nrrd", ".nrrd", ".nii.gz", ".nii", ".mha")


def serve(target: Path, device: str, job: Job) -> None:
    """Answer requests on standard input until it is closed or one says quit.

    The protocol is described in the help of the command (commands/serve.py).
    """
    worker = _Worker(target, device, job)
    write_json(job.machine, {"event": "ready", **worker.model()})
    while True:
        with job.should_stop.interrupting():
            line = sys.stdin.buffer.readline()
        if not line:
            return
        if not line.strip():
            continue
        answer, more = worker.answer(line)
        write_json(job.machine, answer)
        if not more:
            return


class _Worker:
    """Turns request lines into answers."""

    def __init__(self, target: Path, device: str, job: Job) -> None:
        self._target = target
        self._device = device
        self._job = job
        self._segmenter = Segmenter(target, device, job.open_study)

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
        except ActiveSegLoopError as error:
            return {"id": identity, "ok": False, "error": str(error)}, True
        except Exception as error:
            # Whatever went wrong with one image, the next may be fine.
            text = f"{type(error).__name__}: {error} (details in {self._job.log.failure()})"
            return {"id": identity, "ok": False, "error": " ".join(text.split())}, True

    def _segment(self, request: dict[str, Any]) -> dict[str, Any]:
        segmenter = self._segmenter
        out = request.get("out") and Path(request["out"])
        uncertainty = request.get("uncertainty", False)
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
        for path in task.outputs(uncertainty):
            _require_writable(path)
        existing = [path for path in task.outputs(uncertainty) if path.exists()]
        if existing and not request.get("overwrite", False):
            raise ActiveSegLoopError(f'{existing[0]} exists already; ask with "overwrite": true.')
        return segmenter.segment(task, uncertainty)

    def _reload(self, request: dict[str, Any]) -> dict[str, Any]:
        self._segmenter = Segmenter(self._target, self._device, self._job.open_study)
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
    images = request.get("images", [])
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        raise ActiveSegLoopError("The field 'images' of a request must be a list of paths.")
    return command
