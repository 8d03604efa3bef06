"""Slicer's segment editor inside the panel: its keys, its undo, its place in the scene."""

from __future__ import annotations

from typing import Any

import slicer

from ActiveSegLoopLib.scene.editing import editor_node

UNDO_STEPS = 10


class Editor:
    """The embedded qMRMLSegmentEditorWidget with an editor node of its own.

    The keys work only while the module is entered and a case is open.
    """

    def __init__(self, widget: Any) -> None:
        self.widget = widget
        self._has_keys = False
        self._is_open = False
        self._is_entered = False
        self._effect = ""
        self._volume: Any = None
        widget.maximumNumberOfUndoStates = UNDO_STEPS
        # What is edited follows the open case; the selectors would only lead astray.
        widget.segmentationNodeSelectorVisible = False
        widget.sourceVolumeNodeSelectorVisible = False
        widget.switchToSegmentationsButtonVisible = False
        self.use_scene()

    def use_scene(self) -> None:
        """Use an editor node of the scene as it now is: at first, and after it was closed."""
        node = editor_node()
        # The node first, so that what the widget selects by itself is kept there.
        if self.widget.mrmlSegmentEditorNode() is not node:
            self.widget.setMRMLSegmentEditorNode(node)
        self.widget.setMRMLScene(slicer.mrmlScene)

    def open(self, segmentation_node: Any, volume_node: Any) -> None:
        """Edit these segments on this volume, with the effect that was used on the last ones."""
        self.use_scene()
        self.widget.setSegmentationNode(segmentation_node)
        self.widget.setSourceVolumeNode(volume_node)
        self._volume = volume_node
        self._is_open = True
        if self._effect and self._is_entered:
            self.widget.setActiveEffectByName(self._effect)
        self._take_keys()

    def close(self) -> None:
        """Edit nothing."""
        effect = self.widget.activeEffect()
        self._effect = "" if effect is None else effect.name
        self._drop_keys()
        self.widget.setActiveEffect(None)
        self.widget.setSegmentationNode(None)
        self._volume = None
        self._is_open = False

    def enter(self) -> None:
        """The module was entered."""
        self._is_entered = True
        self.use_scene()
        if self._is_open and self.widget.sourceVolumeNode() is not self._volume:
            self.widget.setSourceVolumeNode(self._volume)
        self.widget.updateWidgetFromMRML()
        self._take_keys()

    def exit(self) -> None:
        """Another module was entered: leave it the views and the keys."""
        self._is_entered = False
        self.widget.setActiveEffect(None)
        self._drop_keys()
        self.widget.removeViewObservations()

    def scene_closes(self) -> None:
        """Let go of the scene's nodes before they go."""
        self.close()
        self._effect = ""
        self.widget.removeViewObservations()

    def cleanup(self) -> None:
        """The widget ends; one that still has a scene when the application ends would crash."""
        self._drop_keys()
        self.widget.setActiveEffect(None)
        self.widget.removeViewObservations()
        self.widget.setMRMLScene(None)
        self.widget.deleteLater()

    @property
    def segment(self) -> str:
        """The id of the segment that is edited, "" for none."""
        return self.widget.currentSegmentID() or ""

    def save_for_undo(self) -> None:
        """Make the next change of the segments, by program, one that can be undone."""
        self.widget.saveStateForUndo()

    def _take_keys(self) -> None:
        if self._is_open and self._is_entered and not self._has_keys:
            self.widget.installKeyboardShortcuts()
            self._has_keys = True

    def _drop_keys(self) -> None:
        if self._has_keys:
            self.widget.uninstallKeyboardShortcuts()
            self._has_keys = False
