"""Slicer's widgets that the panel uses, with PySide6, on real MRML nodes.

Each has only what the application's widget has; a test compares them with what was read off it.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from PySide6 import QtWidgets
from PySide6.QtCore import Signal

from Testing.panel.ctk_widgets import kept
from Testing.panel.node_filter import qMRMLSortFilterProxyModel


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that has a scene; the .ui file hands it on to those inside."""

    mrmlSceneChanged = Signal("vtkMRMLScene*")

    def setMRMLScene(self, scene: Any) -> None:
        """Use this scene, here and in all widgets inside."""
        self._scene = scene
        for child in self.findChildren(QtWidgets.QWidget):
            if isinstance(child, (qMRMLNodeComboBox, qMRMLTableView)):
                child.setMRMLScene(scene)

    def mrmlScene(self) -> Any:
        """The scene."""
        return self._scene


class qMRMLNodeComboBox(QtWidgets.QComboBox):
    """The nodes of some classes in the scene."""

    currentNodeChanged = Signal(bool)
    nodeTypes = kept("QStringList", "types", [])
    addEnabled = kept(bool, "add", True)
    removeEnabled = kept(bool, "remove", True)
    renameEnabled = kept(bool, "rename", True)
    editEnabled = kept(bool, "edit", True)
    noneEnabled = kept(bool, "none", False)
    showChildNodeTypes = kept(bool, "children", True)
    _scene: Any = None
    _node: Any = None

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._filter = qMRMLSortFilterProxyModel(self)

    def sortFilterProxyModel(self) -> Any:
        """Which nodes are offered."""
        return self._filter

    def setMRMLScene(self, scene: Any) -> None:
        """Use this scene."""
        self._scene = scene
        if scene is None:
            self._node = None

    def nodes(self) -> list:
        """The nodes to choose from."""
        found = []
        for kind in self.nodeTypes:
            for index in range(self._scene.GetNumberOfNodesByClass(kind)):
                node = self._scene.GetNthNodeByClass(index, kind)
                is_hidden = node.GetID() in self._filter.hiddenNodeIDs
                if not is_hidden and (self.showChildNodeTypes or node.GetClassName() == kind):
                    found.append(node)
        return found

    def currentNode(self) -> Any:
        """The chosen node."""
        if self._node is not None and not self._scene.IsNodePresent(self._node):
            self._node = None
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        """Choose a node."""
        assert self._scene is not None, "setMRMLScene comes before setCurrentNode"
        if node is not None and node not in self.nodes():
            node = None
        if node is not self._node:
            self._node = node
            self.currentNodeChanged.emit(node is not None)


class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    """Nodes of the scene to be checked."""

    checkedNodesChanged = Signal()

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._checked: list = []

    def checkedNodes(self) -> list:
        """The nodes that are checked and still there."""
        return [node for node in self._checked if self._scene.IsNodePresent(node)]

    def setCheckState(self, node: Any, state: Any) -> None:
        """Check a node or not."""
        self._checked = [other for other in self._checked if other is not node]
        if state:
            self._checked.append(node)
        self.checkedNodesChanged.emit()


class qMRMLTableView(QtWidgets.QTableView):
    """The table of a table node."""

    _node: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        """Use this scene."""

    def setMRMLTableNode(self, node: Any) -> None:
        """Show this table."""
        assert node is None or node.IsA("vtkMRMLTableNode")
        self._node = node

    def mrmlTableNode(self) -> Any:
        """The table shown."""
        return self._node


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """The segment editor without its effects; it insists on the right order of calls."""

    segmentationNodeSelectorVisible = kept(bool, "segmentations", True)
    sourceVolumeNodeSelectorVisible = kept(bool, "volumes", True)
    switchToSegmentationsButtonVisible = kept(bool, "switch", True)
    maximumNumberOfUndoStates = kept(int, "undo", 10)
    currentSegmentIDChanged = Signal(str)
    _scene: Any = None
    _editor: Any = None
    _effect: Any = None
    shortcuts = 0

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.setMinimumHeight(220)
        self.saved = 0

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        """Use this editor node."""
        assert node is None or node.GetSingletonTag(), "an editor node of its own has a tag"
        self._editor = node

    def mrmlSegmentEditorNode(self) -> Any:
        """The editor node."""
        return self._editor

    def setSegmentationNode(self, node: Any) -> None:
        """Edit this segmentation."""
        assert self._scene is not None and self._editor is not None or node is None
        if self._editor is not None:
            self._editor.SetAndObserveSegmentationNode(node)
            self._editor.SetAndObserveSourceVolumeNode(None)

    def segmentationNode(self) -> Any:
        """The segmentation that is edited."""
        return None if self._editor is None else self._editor.GetSegmentationNode()

    def setSourceVolumeNode(self, node: Any) -> None:
        """Edit on this volume."""
        assert node is None or self.segmentationNode() is not None, "the segmentation comes first"
        self._editor.SetAndObserveSourceVolumeNode(node)

    def sourceVolumeNode(self) -> Any:
        """The volume under the segments."""
        return self._editor.GetSourceVolumeNode()

    def currentSegmentID(self) -> str:
        """The segment that is edited."""
        return (self._editor and self._editor.GetSelectedSegmentID()) or ""

    def setCurrentSegmentID(self, segment: str) -> None:
        """Edit this segment."""
        self._editor.SetSelectedSegmentID(segment)
        self.currentSegmentIDChanged.emit(segment)

    def setActiveEffect(self, effect: Any) -> None:
        """Use an effect; None for none."""
        self._effect = effect

    def setActiveEffectByName(self, name: str) -> None:
        """Use the effect of this name."""
        self._effect = SimpleNamespace(name=name)

    def activeEffect(self) -> Any:
        """The effect that is used, None for none."""
        return self._effect

    def saveStateForUndo(self) -> None:
        """Remember the segments."""
        self.saved += 1

    def installKeyboardShortcuts(self) -> None:
        """Make the keys work."""
        self.shortcuts += 1

    def uninstallKeyboardShortcuts(self) -> None:
        """Let go of the keys."""
        self.shortcuts = 0

    def setupViewObservations(self) -> None:
        """Watch the views."""

    def removeViewObservations(self) -> None:
        """Don't watch the views any more."""

    def updateWidgetFromMRML(self) -> None:
        """Show the node's state."""


WIDGETS = (
    qMRMLWidget, qMRMLNodeComboBox, qMRMLCheckableNodeComboBox, qMRMLTableView,
    qMRMLSegmentEditorWidget,
)
