"""The state of our own segment editor, apart from that of Slicer's Segment Editor module."""

from __future__ import annotations

from typing import Any

import slicer

TAG = "ActiveSegLoop"


def editor_node() -> Any:
    """Our vtkMRMLSegmentEditorNode, made where the scene has none (also after a scene was closed).

    It never lets segments overlap: a label map can't hold that, and a voxel painted for one label
    is taken from the others.
    """
    node = slicer.mrmlScene.GetSingletonNode(TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        node.UnRegister(None)
        node.SetSingletonTag(TAG)
        node = slicer.mrmlScene.AddNode(node)
        node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments)
    return node
