"""Accepting what was labeled: from the segments on the screen to a revision of the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.scene.labelmaps import snapshot
from ActiveSegLoopLib.scene.opening import Opened
from ActiveSegLoopLib.scene.segmentations import segment_ids
from ActiveSegLoopLib.scene.volumes import geometry_of
from ActiveSegLoopLib.study.annotation import Annotation
from ActiveSegLoopLib.study.drafts import Draft, remove_draft, save_draft
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.study import Study


def acceptance(
    study: Study,
    opened: Opened,
    slices: Mapping[str, Sequence[int]] | None,
    seconds: Mapping[str, float] = (),
    annotator: str | None = None,
    classes: Sequence[str] | None = None,
) -> Callable[[], Revision]:
    """Copy what the segments show now; the result stores it, and may be called in another thread.

        store = acceptance(study, opened, {"axial": (12,)}, {"artery": 31.5})
        revision = store()

    slices: those that were looked at, by plane; None is the whole volume. classes: ids of the
    labels that were looked at, None for all. What was drawn beyond that stays a draft. Raises
    ImageError for nodes that were moved and where a label has lost its segment; storing does where
    segments overlap or one is no label of the study, and then has changed nothing.
    """
    case, beginning = opened.case, opened.beginning
    _require_in_place(opened)
    _require_segments(opened, study.schema.ids if classes is None else classes)
    seen = snapshot(opened.segmentation_node, case.geometry)
    annotation = Annotation(
        None if slices is None else dict(slices), None if classes is None else tuple(classes)
    )
    times = dict(seconds)

    def store() -> Revision:
        labelmap = seen.labelmap(study.schema.segments())
        revision = study.add_revision(
            case, labelmap, annotation, beginning.origin, beginning.model_round, annotator, times
        )
        if _is_all_accepted(study, revision, labelmap, opened):
            remove_draft(study, case)
        else:
            save_draft(
                study, case, labelmap, parent=revision.number, origin=beginning.origin,
                model_round=beginning.model_round,
            )
        return revision

    return store


def drafting(
    study: Study,
    opened: Opened,
    slices: Mapping[str, Sequence[int]] | None = (),
    seconds: Mapping[str, float] = (),
) -> Callable[[], Draft]:
    """Copy what the segments show now; the result keeps it as a draft, also in another thread.

    Where segments overlap the later one wins, and what has no place in a label map of the case is
    left out: a draft is better than none.
    """
    case, beginning = opened.case, opened.beginning
    seen = snapshot(opened.segmentation_node, case.geometry, strict=False)
    shown = None if slices is None else dict(slices)
    times = dict(seconds)

    def store() -> Draft:
        return save_draft(
            study, case, seen.labelmap(study.schema.segments(), strict=False), shown, times,
            beginning.parent, beginning.origin, beginning.model_round,
        )

    return store


def _require_in_place(opened: Opened) -> None:
    """Raise ImageError where image and segments may not lie on each other as they should."""
    for node in (*opened.volume_nodes, opened.segmentation_node):
        transform = node.GetParentTransformNode()
        if transform is not None:
            raise ImageError(
                f"'{node.GetName()}' is moved by the transform '{transform.GetName()}': take it "
                "out of the transform, without hardening it, or its labels would be misplaced."
            )
    for node in opened.volume_nodes:
        difference = geometry_of(node).difference(opened.case.geometry)
        if difference is not None:
            raise ImageError(
                f"'{node.GetName()}' no longer lies where the case's image does ({difference}): "
                "undo that, or close the scene without saving and open the case again."
            )


def _require_segments(opened: Opened, ids: Sequence[str]) -> None:
    """Raise ImageError where a label's segment was removed: nobody would know what that means."""
    node = opened.segmentation_node
    missing = [id for id in ids if id not in segment_ids(node)]
    if missing:
        name = opened.beginning.schema.label(missing[0]).name
        raise ImageError(
            f"'{node.GetName()}' has no segment for '{name}' any more: undo its removal, or open "
            "the case again, which adds an empty one."
        )


def _is_all_accepted(
    study: Study, revision: Revision, labelmap: Volume, opened: Opened
) -> bool:
    """Whether nothing was drawn beyond what is annotated, by this revision or those before."""
    if revision.annotation.slices is None:
        return True
    changed = labelmap.array != opened.beginning.labelmap.array
    return not np.any(changed & ~study.annotated(revision).any())
