"""Where nodes stand in the subject hierarchy."""

from __future__ import annotations

from typing import Any

import slicer


def place_under(node: Any, parent: Any) -> None:
    """Make a node stand under another one in the subject hierarchy.

    In the application items make themselves; where nothing does that, they are made here.
    """
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    scene_item = hierarchy.GetSceneItemID()
    items = [hierarchy.GetItemByDataNode(one) for one in (parent, node)]
    for i, one in enumerate((parent, node)):
        if not items[i]:
            items[i] = hierarchy.CreateItem(scene_item, one)
    hierarchy.SetItemParent(items[1], items[0])


def parent_of(node: Any) -> Any:
    """The node under which another one stands in the subject hierarchy; None for none."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(node)
    return hierarchy.GetItemDataNode(hierarchy.GetItemParent(item)) if item else None
