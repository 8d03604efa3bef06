"""The warm worker seen from another program: asked without waiting, started anew when it dies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ActiveSegLoopLib.jobs.client import Child


class WarmWorker:
    """A model that stays loaded in another process (`serve`), so that a case costs inference only.

        worker = WarmWorker(study.folder)
        number = worker.segment_case("patient17")
        while worker.is_busy:                  # in a window: a timer's slot instead of a loop
            for answer in worker.poll():
                print(answer)                  # {"id": 1, "ok": True, "prediction": ..., ...}
            time.sleep(0.1)

    target: the folder of a study or model. The process starts with the first request, and again
    with the first one after it has died. Requests are answered one after the other.
    """

    def __init__(
        self,
        target: object,
        device: str = "auto",
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._arguments = ["serve", str(target), "--device", device]
        self._python = python
        self._environment = environment
        self._child: Child | None = None
        self._number = 0
        self._owed: dict[int, str] = {}
        self.model: dict[str, Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an answer is owed."""
        return bool(self._owed)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.status is None

    @property
    def pid(self) -> int | None:
        """The process id, None when there is no process."""
        return self._child.pid if self.is_alive else None

    def segment_case(self, case: str, out: object = None) -> int:
        """Ask for a case of the study; its segmentation is kept in the study, and in `out`."""
        return self._ask("segment", case=case, **({} if out is None else {"out": str(out)}))

    def segment_images(
        self, images: Sequence[object], out: object, overwrite: bool = True
    ) -> int:
        """Ask for images, one per channel; `out` is the .seg.nrrd to write."""
        return self._ask(
            "segment", images=[str(i) for i in images], out=str(out), overwrite=overwrite
        )

    def reload(self) -> int:
        """Load the study's current model: after a training or a rollback."""
        return self._ask("reload")

    def ping(self) -> int:
        """Load the model if it isn't, and answer."""
        return self._ask("ping")

    def poll(self) -> list[dict[str, Any]]:
        """The answers since the last call; never waits.

        Each has the "id" that the request returned, its "command" and "ok"; where that is False an
        "error" says why in a sentence, also when the worker died.
        """
        child = self._child
        if child is None:
            return []
        ended = child.has_ended()
        answers = []
        for said in child.read():
            if said.get("event") == "ready":
                self.model = said
            elif said.get("id") in self._owed:
                answers.append({**said, "command": self._owed.pop(said["id"])})
        if ended:
            answers += self._answers_of_the_dead(child)
        return answers

    def close(self) -> None:
        """End the process at once; requests without an answer get none."""
        self._owed.clear()
        if self._child is not None:
            self._child.kill()
            self._child.close()
            self._child = None

    def _ask(self, command: str, **fields: Any) -> int:
        if not self.is_alive:
            if self._child is not None and not self._owed:
                self._child.close()
                self._child = None
            if self._child is None:
                self._child = Child(self._arguments, self._python, self._environment)
        self._number += 1
        self._owed[self._number] = command
        # If it isn't heard, poll finds the process dead and says so.
        self._child.write({"id": self._number, "command": command, **fields})
        return self._number

    def _answers_of_the_dead(self, child: Child) -> list[dict[str, Any]]:
        reason = child.last_words() or "it gave no reason"
        child.close()
        self._child = None
        answers = [
            {
                "id": number, "ok": False, "command": command,
                "error": f"The worker that segments has ended ({reason}); ask again.",
            }
            for number, command in self._owed.items()
        ]
        self._owed.clear()
        return answers
