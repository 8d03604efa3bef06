"""Segmenting volumes of the scene or cases of the study by the warm worker, without waiting."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.images.segmentation import Segment, read_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.jobs.worker import WarmWorker
from ActiveSegLoopLib.scene.cases import present_nodes
from ActiveSegLoopLib.scene.ownership import CASE, STUDY, find, is_ours, own
from ActiveSegLoopLib.scene.segmentations import (
    content_stamp,
    reference_volume,
    replace_image,
    segmentation_of,
    shared_image,
)
from ActiveSegLoopLib.scene.volumes import volume_of
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.study import Study

_STAMP = "ActiveSegLoop.Stamp"
_LENT_SECONDS = 0.01


@dataclass(frozen=True, eq=False)
class _Item:
    """What to segment: a case of the study, or a volume node of the scene."""

    name: str
    case: Case | None
    node: Any


class Segmenting:
    """Segments one thing after the other; `poll` moves it on and tells what happened.

        task = Segmenting(study, worker, ["patient17", volume_node])
        while task.is_running:             # in a window: a timer's slot instead of a loop
            for event in task.poll():
                print(event)               # {"event": "segmented", "name": ..., "node": ...}
            time.sleep(0.1)

    Events: "begun", "progress", "warning", "segmented" (with its segmentation node, None for a case
    whose image isn't in the scene), "error" (the others go on), and last "exit" with the status. A
    case's segmentation is also kept in the study.
    """

    def __init__(self, study: Study, worker: WarmWorker, things: Sequence[Any]) -> None:
        self._study = study
        self._worker = worker
        self._items = [_item(study, thing) for thing in things]
        if not self._items:
            raise ActiveSegLoopError("There is nothing to segment: choose a volume or a case.")
        self._number = 0
        self._folder = tempfile.TemporaryDirectory(prefix="activesegloop-")
        self._step: _Step | None = None
        self._request: int | None = None
        self._answer: dict[str, Any] = {}
        self._cancelled = False
        self.nodes: list[Any] = []
        self.errors: list[str] = []
        self.status: int | None = None

    @property
    def is_running(self) -> bool:
        """Whether poll has more to tell: true until it gave the event "exit"."""
        return self.status is None

    @property
    def error(self) -> str | None:
        """Why something couldn't be segmented, in one sentence; None if nothing failed."""
        return self.errors[-1] if self.errors else None

    def poll(self) -> list[dict[str, Any]]:
        """What happened since the last call; never waits, but makes the nodes of what is done."""
        events: list[dict[str, Any]] = []
        if self.status is not None:
            return events
        try:
            if self._cancelled:
                return [self._exit(130)]
            self._go_on(events)
        except ActiveSegLoopError as error:
            self._failed(str(error), events)
        if self._number >= len(self._items):
            events.append(self._exit(1 if self.errors else 0))
        return events

    def cancel(self) -> None:
        """Stop; what was segmented before stays."""
        self._cancelled = True

    def close(self) -> None:
        """Stop at once."""
        if self.status is None:
            self._exit(130)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end; for scripts, not for a window. Returns the status, None in between."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.is_running:
            self.poll()
            if end is not None and time.monotonic() >= end:
                break
            time.sleep(0.02)
        return self.status

    def _go_on(self, events: list[dict[str, Any]]) -> None:
        item = self._items[self._number]
        if self._request is None and self._step is None:
            step, total = self._number + 1, len(self._items)
            events.append({"event": "begun", "name": item.name, "step": step, "total": total})
            if item.case is not None:
                self._request = self._worker.segment_case(item.case.name)
                return
            volume = volume_of(item.node)
            path = self._path("image.nrrd")
            self._step = _Step(lambda: write_volume(path, volume))
        elif self._request is not None:
            for answer in self._worker.poll():
                if answer["id"] == self._request:
                    self._answered(item, answer)
        elif self._step.has_ended():
            step, self._step = self._step, None
            result = step.result()
            if result is None:
                self._request = self._worker.segment_images(
                    [self._path("image.nrrd")], self._path("labels.seg.nrrd")
                )
            else:
                self._show(item, *result, events)

    def _answered(self, item: _Item, answer: dict[str, Any]) -> None:
        self._request, self._answer = None, answer
        if not answer["ok"]:
            raise ActiveSegLoopError(answer["error"])
        path = Path(answer.get("prediction") or answer["out"])
        self._step = _Step(lambda: _read(path, item.name))

    def _show(
        self, item: _Item, image: Any, segments: Sequence[Segment], events: list[dict[str, Any]]
    ) -> None:
        node = item.node
        if node is None and item.case is not None:
            node = present_nodes(self._study, item.case)[0]
        made = None
        if node is not None:
            made = prediction_node(image, segments, item.name, node, item.case, self._study)
            self.nodes.append(made)
        for text in self._answer.get("warnings", ()):
            events.append({"event": "warning", "text": f"{item.name}: {text}"})
        events.append({
            "event": "segmented", "name": item.name, "node": made,
            "case": None if item.case is None else item.case.name,
            "seconds": self._answer.get("seconds"),
        })
        self._next(events)

    def _failed(self, text: str, events: list[dict[str, Any]]) -> None:
        said = f"{self._items[self._number].name}: {text}"
        self.errors.append(said)
        events.append({"event": "error", "text": said})
        self._step = self._request = None
        self._next(events)

    def _next(self, events: list[dict[str, Any]]) -> None:
        self._number += 1
        events.append({
            "event": "progress", "stage": "segmenting", "step": self._number,
            "total": len(self._items),
        })

    def _exit(self, status: int) -> dict[str, Any]:
        if self._request is not None:
            self._worker.close()  # it would go on for nobody; the next request starts it anew
        if self._step is None or self._step.has_ended():
            self._folder.cleanup()
        else:
            # The window doesn't wait for what still writes there, but the program's end does.
            threading.Thread(target=_clean_up, args=(self._step, self._folder)).start()
        self._step = self._request = None
        self.status = status
        return {"event": "exit", "status": status}

    def _path(self, name: str) -> Path:
        return Path(self._folder.name) / name


def prediction_node(
    image: Any, segments: Sequence[Segment], name: str, volume_node: Any, case: Case | None,
    study: Study,
) -> Any:
    """A model's result (a shared_image) as an editable segmentation under its volume.

    A former result for this volume takes the new one if nobody has edited it since; otherwise it
    stays as it is, and a new node is made.
    """
    for former in find("prediction", study=study.folder):
        if reference_volume(former) is volume_node:
            if former.GetAttribute(_STAMP) == content_stamp(former):
                replace_image(former, image, segments)
                former.SetAttribute(_STAMP, content_stamp(former))
                return former
    node = segmentation_of(image, segments, f"{name} model", volume_node)
    own(node, "prediction", None if case is None else case.name, study.folder)
    node.SetAttribute(_STAMP, content_stamp(node))
    return node


class _Step:
    """Work of seconds in a thread, that touches neither scene nor window."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._result: Any = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def has_ended(self) -> bool:
        """Whether it is done; lends the thread Python's lock, which Slicer's window keeps."""
        self._thread.join(_LENT_SECONDS)
        return not self._thread.is_alive()

    def finish(self) -> None:
        """Wait until it is done."""
        self._thread.join()

    def result(self) -> Any:
        """What the work returned, or the error that it raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._work()
        except Exception as error:
            self._error = error


def _clean_up(step: _Step, folder: tempfile.TemporaryDirectory) -> None:
    step.finish()
    folder.cleanup()


def _item(study: Study, thing: Any) -> _Item:
    """A case's name, a case, or a volume node; one of a case's nodes stands for the case."""
    if isinstance(thing, Case):
        return _Item(thing.name, thing, None)
    if isinstance(thing, str):
        return _Item(thing, study.case(thing), None)
    if is_ours(thing) and thing.GetAttribute(STUDY) == str(study.folder):
        return _Item(thing.GetName(), study.case(thing.GetAttribute(CASE)), thing)
    return _Item(thing.GetName(), None, thing)


def _read(path: Path, name: str) -> tuple[Any, list[Segment]]:
    labelmap, segments = read_segmentation(path)
    return shared_image(Volume(labelmap.array, labelmap.geometry), segments, name), segments
