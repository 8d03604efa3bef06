"""Accepting what was labeled: from the segments on the screen to a revision of the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ActiveSegLoopLib.scene.labelmaps import snapshot
from ActiveSegLoopLib.scene.opening import Opened
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
    labels that were looked at, None for all. Storing raises ImageError where segments overlap or
    one is no label of the study, and then has changed nothing.
    """
    case, beginning = opened.case, opened.beginning
    seen = snapshot(opened.segmentation_node, case.geometry)
    annotation = Annotation(
        None if slices is None else dict(slices), None if classes is None else tuple(classes)
    )
    times = dict(seconds)

    def store() -> Revision:
        revision = study.add_revision(
            case,
            seen.labelmap(study.schema.segments()),
            annotation,
            beginning.origin,
            beginning.model_round,
            annotator,
            times,
        )
        remove_draft(study, case)
        return revision

    return store


def drafting(
    study: Study,
    opened: Opened,
    slices: Mapping[str, Sequence[int]] | None = (),
    seconds: Mapping[str, float] = (),
) -> Callable[[], Draft]:
    """Copy what the segments show now; the result keeps it as a draft, also in another thread.

    Where segments overlap the later one wins: a draft is better than none.
    """
    case, beginning = opened.case, opened.beginning
    seen = snapshot(opened.segmentation_node, case.geometry)
    shown = None if slices is None else dict(slices)
    times = dict(seconds)

    def store() -> Draft:
        return save_draft(
            study, case, seen.labelmap(study.schema.segments(), overlap="last"), shown, times,
            beginning.parent, beginning.origin, beginning.model_round,
        )

    return store
