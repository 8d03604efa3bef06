"""Kidney CT phantoms as sample data: made in another process, shown in the scene.

    load_phantoms(count=3)          # in Slicer's Python console; takes a few seconds each
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.images.segmentation import Segment, read_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.jobs.client import JobProcess
from ActiveSegLoopLib.scene.ownership import disown
from ActiveSegLoopLib.scene.processes import finish
from ActiveSegLoopLib.scene.segmentations import segmentation_node
from ActiveSegLoopLib.scene.volumes import volume_node

_SOFT_TISSUE_HU = (-160.0, 240.0)


def start_phantoms(
    folder: str | os.PathLike, count: int = 3, seed: int = 0, python: str | None = None
) -> JobProcess:
    """Make phantoms in another process; each event "progress" names a finished "case"."""
    return JobProcess(["phantom", folder, "-n", count, "--seed", seed], python)


def show_phantom(folder: str | os.PathLike, name: str) -> tuple[Any, Any]:
    """Put a phantom into the scene: its volume, and below it its true labels, hidden at first.

    The nodes are the user's own and independent of the folder's files.
    """
    image = read_image(Path(folder) / "images" / f"{name}.nrrd")
    labelmap, segments = read_segmentation(Path(folder) / "labels" / f"{name}.seg.nrrd")
    volume = volume_node(image, name)
    display = volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*_SOFT_TISSUE_HU)
    return volume, hidden_truth(volume, labelmap, segments)


def hidden_truth(volume: Any, labelmap: Volume, segments: Sequence[Segment]) -> Any:
    """The true labels of a sample volume below it, hidden at first; the user's own node."""
    truth = segmentation_node(labelmap, segments, f"{volume.GetName()} true labels", volume)
    truth.GetDisplayNode().SetVisibility(False)
    disown(truth)
    return truth


def load_phantoms(count: int = 3, seed: int = 0, python: str | None = None) -> list[Any]:
    """Make phantoms, wait for them and return their volume nodes; for scripts and the console."""
    with tempfile.TemporaryDirectory(prefix="activesegloop-") as folder:
        made: list[str] = []
        finish(
            start_phantoms(folder, count, seed, python),
            lambda event: made.append(event["case"]) if event["event"] == "progress" else None,
        )
        return [show_phantom(folder, name)[0] for name in made]
