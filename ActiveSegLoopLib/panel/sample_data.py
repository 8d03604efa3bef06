"""What Slicer's module Sample Data offers of ours, and the kidney CT phantoms among it.

The phantoms are made here when their button is pressed, by a job, because Slicer's own process
doesn't compute images: its window goes on.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

CATEGORY = "ActiveSegLoop"
NAME = "KidneyCTPhantoms"
_COUNT = 3
_at_work: list[Making] = []


class Making:
    """Phantoms on their way into the scene."""

    def __init__(self) -> None:
        # Here, not above: Slicer imports this file when it starts.
        from ActiveSegLoopLib.panel.running import Follower
        from ActiveSegLoopLib.scene.sample_data import start_phantoms

        self._folder = tempfile.TemporaryDirectory(prefix="activesegloop-")
        self._follower = Follower()
        job = start_phantoms(self._folder.name, _COUNT)
        self._follower.follow(job, self._on_event, self._on_end)

    def _on_event(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "progress":
            from ActiveSegLoopLib.scene.overlay import show
            from ActiveSegLoopLib.scene.sample_data import show_phantom

            volume, _truth = show_phantom(self._folder.name, event["case"])
            show(volume)
            _tell(_("{name} is ready ({step} of {total}).").format(
                name=event["case"], step=event["step"], total=event["total"]
            ))

    def _on_end(self, job: Any) -> None:
        _at_work.remove(self)
        self._folder.cleanup()
        if job.status != 0:
            _tell(job.error, logging.ERROR)


def register(icons: Path) -> None:
    """Offer the sample data in the module Sample Data. icons: folder of their pictures."""
    import SampleData

    from ActiveSegLoopLib.panel import decathlon

    for name, load in ((NAME, make), (decathlon.NAME, decathlon.load)):
        # Without an address: the functions get the data themselves.
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY, sampleName=name, uris=[], fileNames=[], nodeNames=[],
            thumbnailFileName=str(icons / f"{name}.png"), customDownloader=load,
        )


def make(source: object = None) -> None:
    """Make the phantoms; returns at once. source: what Sample Data hands over, not needed."""
    if _at_work:
        _tell(_("The phantoms are being made."))
        return
    _tell(_("Making {count} kidney CT phantoms. This takes some seconds.").format(count=_COUNT))
    _at_work.append(Making())


def _tell(text: str, level: int = logging.INFO) -> None:
    """Say it where the module Sample Data says what it does."""
    slicer.modules.sampledata.widgetRepresentation().self().logMessage(text, level)
