"""The Decathlon's hippocampus MRs in Slicer's module Sample Data: downloaded when asked for."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _

NAME = "DecathlonHippocampus"
_COUNT = 3


def load(source: object = None) -> list:
    """Download the archive (27 MB) unless it is there, and show its first images.

    source: what Sample Data hands over, not needed. Returns the volume nodes; what goes wrong is
    shown in Sample Data's own log.
    """
    import SampleData

    from ActiveSegLoopLib.errors import ActiveSegLoopError
    from ActiveSegLoopLib.scene import decathlon
    from ActiveSegLoopLib.scene.overlay import show

    page = slicer.modules.sampledata.widgetRepresentation().self()
    logic = SampleData.SampleDataLogic(page.logMessage)
    try:
        archive = Path(
            logic.downloadFileIntoCache(decathlon.ADDRESS, decathlon.FILE, decathlon.CHECKSUM)
        )
        if not archive.exists():  # Sample Data deletes what isn't the expected file.
            raise ValueError(_("What was downloaded isn't the expected file; try again later."))
        with tempfile.TemporaryDirectory(prefix="activesegloop-") as folder:
            names = decathlon.unpack(archive, folder, _COUNT)
            volumes = [decathlon.show_hippocampus(folder, name)[0] for name in names]
    except (ValueError, ActiveSegLoopError) as error:
        page.logMessage(str(error), logging.ERROR)
        return []
    show(volumes[-1])
    page.logMessage(_("{names} are ready.").format(names=", ".join(names)), logging.INFO)
    return volumes
