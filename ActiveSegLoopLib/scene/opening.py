"""Opening a case to label or correct it: what it begins with, and how it comes into the scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.scene.cases import CaseImages, case_nodes, present_nodes, read_images
from ActiveSegLoopLib.scene.jumping import align_views, jump_to_slice
from ActiveSegLoopLib.scene.labelmaps import labelmap_of
from ActiveSegLoopLib.scene.overlay import show
from ActiveSegLoopLib.scene.ownership import STUDY, disown, find, own
from ActiveSegLoopLib.scene.segmentations import (
    apply_schema,
    content_stamp,
    replace_image,
    segmentation_of,
    shared_image,
)
from ActiveSegLoopLib.study.annotation import Annotated
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.drafts import Draft, draft_of, read_draft, remove_draft
from ActiveSegLoopLib.study.merging import merge
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Study

DRAFT, REVISION, PREDICTION, NOTHING = "draft", "revision", "prediction", "nothing"
SCENE = "scene"


@dataclass(frozen=True, eq=False)
class Beginning:
    """The labels with which the work on a case begins.

    source: "draft", "revision" (the newest), "prediction" (of the current model; what was
    annotated before is kept in it), "nothing", or "scene" (what was drawn in an earlier opening and
    isn't stored yet). origin and model_round: what a revision made of it will have. parent: the
    newest revision's number, None without one. predicted: the round in use, if its model had
    segmented the case by then, also where a person's labels leave nothing for it to say.
    """

    case: Case
    schema: LabelSchema
    labelmap: Volume
    source: str
    origin: str
    model_round: int | None
    parent: int | None
    draft: Draft | None = None
    predicted: int | None = None


@dataclass(frozen=True, eq=False)
class Loaded:
    """A case read from the disk, ready to be put into the scene."""

    beginning: Beginning
    images: CaseImages | None
    labels: Any
    use_draft: bool = True


@dataclass(frozen=True, eq=False)
class Opened:
    """A case in the scene: its volumes (the first one's grid is the case's) and its segments."""

    beginning: Beginning
    volume_nodes: tuple[Any, ...]
    segmentation_node: Any
    plane: str | None = None
    index: int | None = None

    @property
    def case(self) -> Case:
        """The case."""
        return self.beginning.case

    @property
    def volume_node(self) -> Any:
        """The first volume."""
        return self.volume_nodes[0]

    def at(self, plane: str | None, index: int | None) -> Opened:
        """The same case at another slice."""
        return replace(self, plane=plane, index=index)


def load(study: Study, case: Case, use_draft: bool = True, with_images: bool = True) -> Loaded:
    """Read what opening a case needs; doesn't touch the scene, so another thread may do it."""
    beginning = begin(study, case, use_draft)
    return Loaded(
        beginning,
        read_images(study, case) if with_images else None,
        shared_image(beginning.labelmap, beginning.schema.segments(), case.name),
        use_draft,
    )


def needs_images(study: Study, case: Case) -> bool:
    """Whether a channel of the case isn't in the scene yet."""
    return None in present_nodes(study, case)


@dataclass(frozen=True, eq=False)
class Stored:
    """A state of a segmentation node that the study has, and what the work on it began with."""

    stamp: str
    beginning: Beginning


def node_key(node: Any) -> str:
    """What tells a node from all others, also from one that has its id after a scene was closed."""
    return f"{node.GetID()} {node.GetAddressAsString('vtkObject')}"


def put(
    study: Study,
    loaded: Loaded,
    plane: str | None = None,
    index: int | None = None,
    stored: Mapping[str, Stored] = MappingProxyType({}),
) -> Opened:
    """Put a case into the scene: its volumes shown in the slice views, its labels as segments.

    stored: by node_key what is known of the segmentations of earlier openings. One that was edited
    since then is kept as it is, unless drafts aren't wanted; otherwise it is given the labels, and
    segments of the user's own stay. One of which nothing is known (from a saved scene) is left to
    the user if it holds something else. The slice views turn along the volume's planes and go to
    the slice, where one is given.
    """
    beginning = loaded.beginning
    case, segments = beginning.case, beginning.schema.segments()
    volumes = case_nodes(study, case, loaded.images)
    node = next(iter(find("segmentation", case.name, study.folder)), None)
    known = None if node is None else stored.get(node_key(node))
    if node is not None and known is None and not _shows(node, beginning):
        disown(node)
        node.GetDisplayNode().SetVisibility(False)
        node = None
    if node is None:
        node = segmentation_of(loaded.labels, segments, f"{case.name} labels", volumes[0])
        own(node, "segmentation", case.name, study.folder)
    else:
        apply_schema(node, segments)
        if known is not None and loaded.use_draft and known.stamp != content_stamp(node):
            beginning = replace(known.beginning, source=SCENE, parent=beginning.parent)
        else:
            replace_image(node, loaded.labels, segments)
    _show_only(node)
    align_views(volumes[0])
    show(volumes[0])
    if plane is not None and index is not None:
        jump_to_slice(case.geometry, plane, index, _middle(loaded.beginning, plane, index))
    return Opened(beginning, tuple(volumes), node, plane, index)


def begin(study: Study, case: Case, use_draft: bool = True) -> Beginning:
    """What the work on a case begins with: its draft, newest revision or prediction, or nothing.

    Only the annotated part of a revision is somebody's word; where the model that is in use has
    segmented the case, its prediction fills the rest. A draft that was accepted before the program
    ended, so that it says the same, is removed here.
    """
    without = _begin_without_draft(study, case)
    draft = draft_of(study, case) if use_draft else None
    if draft is None:
        return without
    labelmap = read_draft(study, draft)
    if without.source != NOTHING and np.array_equal(labelmap.array, without.labelmap.array):
        remove_draft(study, case)
        return without
    return replace(
        without, labelmap=labelmap, source=DRAFT, origin=draft.origin,
        model_round=draft.model_round, draft=draft,
    )


def _begin_without_draft(study: Study, case: Case) -> Beginning:
    schema = study.schema
    latest = study.latest(case)
    parent = None if latest is None else latest.number
    current = study.current_round()
    path = None if current is None else study.prediction(current, case)
    predicted = None if path is None else current.number
    # What is annotated is a map as large as the image: not made where nothing is to be merged.
    annotated = None if latest is None or path is None else study.annotated(latest)
    if latest is not None and (annotated is None or annotated.all().all()):
        origin = "manual" if latest.origin == "manual" else "corrected"
        return Beginning(
            case, schema, study.labelmap(latest), REVISION, origin, latest.model_round, parent,
            predicted=predicted,
        )
    if path is None:
        empty = Volume(np.zeros(case.geometry.shape, np.uint8), case.geometry)
        return Beginning(case, schema, empty, NOTHING, "manual", None, None)
    values = read_labelmap(path).array
    if latest is not None:
        nothing = Annotated(
            np.zeros(case.geometry.shape, np.uint8), np.zeros((1, len(schema.ids)), bool)
        )
        values = merge(
            values, nothing, annotated, lambda: study.labelmap(latest).array, schema
        )
    labelmap = Volume(values, case.geometry)
    return Beginning(
        case, schema, labelmap, PREDICTION, "corrected", predicted, parent, predicted=predicted
    )


def _shows(node: Any, beginning: Beginning) -> bool:
    """Whether a segmentation holds just these labels."""
    try:
        shown = labelmap_of(node, beginning.schema.segments(), beginning.case.geometry)
    except ImageError:
        return False
    return np.array_equal(shown.array, beginning.labelmap.array)


def _show_only(node: Any) -> None:
    """Show a case's segmentation, and hide all of a study's others.

    Also what the model said of the case: on top, it would hide what is edited.
    """
    for other in find(kind="vtkMRMLSegmentationNode"):
        if other.GetAttribute(STUDY) and other.GetDisplayNode() is not None:
            other.GetDisplayNode().SetVisibility(other is node)


def _middle(beginning: Beginning, plane: str, index: int) -> tuple[float, ...] | None:
    """RAS of the middle of what is labeled on a slice, for the other views; None for nothing."""
    from ActiveSegLoopLib.scene.grids import to_ras

    geometry = beginning.case.geometry
    axis = geometry.axis_of(plane)
    found = np.argwhere(beginning.labelmap.array.take(index, axis))
    if not len(found):
        return None
    return tuple(to_ras(geometry.index_to_world(np.insert(found.mean(axis=0), axis, index))))
