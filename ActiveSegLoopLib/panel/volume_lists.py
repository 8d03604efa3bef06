"""The lists of the scene's volumes: without the overlays, which are made here and are no images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
import slicer
from slicer.util import VTKObservationMixin


class VolumeLists(VTKObservationMixin):
    """Keeps the maps of uncertainty out of some node selectors."""

    def __init__(self, selectors: Sequence[Any]) -> None:
        VTKObservationMixin.__init__(self)
        self._models = [selector.sortFilterProxyModel() for selector in selectors]
        # A node is marked as ours after it was added.
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self.show)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeAddedEvent, self._on_added)
        self.show()

    def show(self) -> None:
        """Leave out the overlays that there are now."""
        from ActiveSegLoopLib.scene.ownership import find

        hidden = [node.GetID() for node in find("uncertainty", kind="vtkMRMLScalarVolumeNode")]
        for model in self._models:
            model.hiddenNodeIDs = hidden

    def cleanup(self) -> None:
        """The panel ends."""
        self.removeObservers()
        self._timer.stop()
        self._models = []

    def _on_added(self, caller: Any, event: Any) -> None:
        self._timer.start(0)
