"""Which nodes of the scene are this extension's: those carry attributes, all others are the user's.

The scene is never cleared, and a node without the attribute is never changed or removed.
"""

from __future__ import annotations

from typing import Any

import slicer

ROLE = "ActiveSegLoop.Role"
CASE = "ActiveSegLoop.Case"
STUDY = "ActiveSegLoop.Study"
ROLES = (
    "image", "segmentation", "prediction", "uncertainty", "model", "table", "chart", "series",
    "color",
)


def own(node: Any, role: str, case: str | None = None, study: object | None = None) -> Any:
    """Mark a node that this extension has made; returns it. case: its name; study: its folder."""
    if role not in ROLES:
        raise ValueError(f"'{role}' isn't a role of a node: use one of {', '.join(ROLES)}.")
    node.SetAttribute(ROLE, role)
    for name, value in ((CASE, case), (STUDY, study)):
        if value is not None:
            node.SetAttribute(name, str(value))
    return node


def is_ours(node: Any) -> bool:
    """Whether this extension has made a node."""
    return bool(node.GetAttribute(ROLE))


def disown(node: Any) -> None:
    """Leave a node that we have made to the user."""
    for name in (ROLE, CASE, STUDY):
        node.RemoveAttribute(name)


def find(
    role: str | None = None, case: str | None = None, study: object | None = None,
    kind: str = "vtkMRMLNode",
) -> list[Any]:
    """The nodes of the scene that this extension has made, of a role, case, study and class."""
    wanted = {ROLE: role, CASE: case, STUDY: None if study is None else str(study)}
    found = slicer.mrmlScene.GetNodesByClass(kind)
    nodes = [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]
    found.UnRegister(None)
    return [
        node
        for node in nodes
        if is_ours(node)
        and all(value is None or node.GetAttribute(name) == value for name, value in wanted.items())
    ]


def named(role: str, name: str, kind: str) -> Any:
    """Our node of this role, name and class; a new one where there is none."""
    for node in find(role, kind=kind):
        if node.GetName() == name:
            return node
    return own(slicer.mrmlScene.AddNewNodeByClass(kind, name), role)


def remove(role: str | None = None, case: str | None = None, study: object | None = None) -> int:
    """Remove our nodes of a role, case and study from the scene; returns how many those were.

    With them goes what Slicer has made for showing and storing them.
    """
    nodes = find(role, case, study)
    for node in nodes:
        for other in [*_followers(node), node]:
            slicer.mrmlScene.RemoveNode(other)
    return len(nodes)


def _followers(node: Any) -> list[Any]:
    found = []
    if node.IsA("vtkMRMLDisplayableNode"):
        found += [node.GetNthDisplayNode(i) for i in range(node.GetNumberOfDisplayNodes())]
    if node.IsA("vtkMRMLStorableNode"):
        found += [node.GetNthStorageNode(i) for i in range(node.GetNumberOfStorageNodes())]
    return [other for other in found if other is not None]
