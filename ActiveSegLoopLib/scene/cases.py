"""The images of a study's cases in the scene: read once, found again, the user's own reused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.scene.grids import ras_matrix
from ActiveSegLoopLib.scene.ownership import find, is_ours, own
from ActiveSegLoopLib.scene.volumes import KIND, geometry_of, image_data
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.study import Study

_CHANNEL = "ActiveSegLoop.Channel"
_FINGERPRINT = "ActiveSegLoop.Fingerprint"
_WINDOW_PERCENTILES = (0.5, 99.5)
_SAMPLES = 500_000


@dataclass(frozen=True, eq=False)
class CaseImages:
    """A case's images, ready to be put into the scene: VTK's copy and its gray window."""

    images: tuple[vtk.vtkImageData, ...]
    windows: tuple[tuple[float, float], ...]


def read_images(study: Study, case: Case) -> CaseImages:
    """Read a case's images; doesn't touch the scene, so that another thread may do it."""
    volumes = study.volumes(case)
    return CaseImages(
        tuple(image_data(volume.array) for volume in volumes),
        tuple(_window(volume) for volume in volumes),
    )


def case_nodes(study: Study, case: Case, images: CaseImages | None = None) -> list[Any]:
    """The volume nodes of a case, one per channel: those in the scene, or else new ones.

    images: what read_images returned; without it they are read here where they are needed.
    """
    nodes = present_nodes(study, case)
    if None in nodes:
        images = read_images(study, case) if images is None else images
        for i, present in enumerate(nodes):
            if present is None:
                nodes[i] = _made(study, case, i, images)
    return nodes


def present_nodes(study: Study, case: Case) -> list[Any]:
    """The volume nodes of a case that are in the scene; None for a channel that isn't.

    Ours are told by study, case and the fingerprint of the images, so that a renamed node is found
    again. A node of the user's own counts when it was read from the case's file and is unchanged.
    Nodes that were moved don't count.
    """
    ours = {
        node.GetAttribute(_CHANNEL): node
        for node in find("image", case.name, study.folder, KIND)
        if node.GetAttribute(_FINGERPRINT) == case.fingerprint and _lies_on(node, case)
    }
    nodes = [ours.get(str(i)) for i in range(len(case.channels))]
    return [
        _users_node(path, case) if node is None else node
        for node, path in zip(nodes, case.channels)
    ]


def _users_node(path: Path, case: Case) -> Any:
    found = slicer.mrmlScene.GetNodesByClass(KIND)
    nodes = [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]
    found.UnRegister(None)
    for node in nodes:
        storage = node.GetStorageNode()
        name = storage.GetFileName() if storage is not None else None
        if is_ours(node) or not name or node.GetModifiedSinceRead():
            continue
        if Path(name).resolve() == path.resolve() and _lies_on(node, case):
            return node
    return None


def _lies_on(node: Any, case: Case) -> bool:
    """Whether a volume node has voxels where the case's image has them."""
    try:
        return geometry_of(node).difference(case.geometry) is None
    except ImageError:
        return False  # without voxels, or under a transform


def _made(study: Study, case: Case, channel: int, images: CaseImages) -> Any:
    name = case.name if len(case.channels) == 1 else f"{case.name} {channel + 1}"
    node = slicer.mrmlScene.AddNewNodeByClass(KIND, name)
    own(node, "image", case.name, study.folder)
    node.SetAttribute(_CHANNEL, str(channel))
    node.SetAttribute(_FINGERPRINT, case.fingerprint)
    node.SetIJKToRASMatrix(ras_matrix(case.geometry))
    # Before the voxels come, or Slicer would look through all of them for a window.
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*images.windows[channel])
    node.SetAndObserveImageData(images.images[channel])
    return node


def _window(volume: Volume) -> tuple[float, float]:
    """Between which values an image is shown from black to white."""
    step = max(1, volume.array.size // _SAMPLES)
    low, high = np.percentile(volume.array.ravel()[::step], _WINDOW_PERCENTILES)
    return float(low), float(high) if high > low else float(low) + 1.0
