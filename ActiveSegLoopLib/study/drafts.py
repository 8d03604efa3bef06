"""Drafts: what somebody is labeling and hasn't accepted yet, kept in case of a crash."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ActiveSegLoopLib.errors import ActiveSegLoopError, StudyError
from ActiveSegLoopLib.images.segmentation import read_segmentation, write_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.annotation import Annotation
from ActiveSegLoopLib.study.clock import now
from ActiveSegLoopLib.study.files import atomic_write, flush
from ActiveSegLoopLib.study.revisions import ENDING, checked_values

if TYPE_CHECKING:
    from ActiveSegLoopLib.study.cases import Case
    from ActiveSegLoopLib.study.schema import LabelSchema
    from ActiveSegLoopLib.study.study import Study

DRAFTS = "drafts"
NOTES = ".json"


@dataclass(frozen=True)
class Draft:
    """Unaccepted work on a case (by name): its label file, and what an acceptance will need.

    slices: those seen so far, by plane; None is the whole volume. seconds: labeling time by label
    id. parent: the number of the revision that the work began with, None for none; origin and
    model_round: as of a revision. saved: when, as all times of the study.
    """

    case: str
    path: Path
    slices: Mapping[str, tuple[int, ...]] | None = field(hash=False)
    seconds: Mapping[str, float] = field(hash=False)
    parent: int | None
    origin: str
    model_round: int | None
    saved: str | None


def save_draft(
    study: Study,
    case: Case,
    labelmap: Volume,
    slices: Mapping[str, Sequence[int]] | None = (),
    seconds: Mapping[str, float] = (),
    parent: int | None = None,
    origin: str = "manual",
    model_round: int | None = None,
) -> Draft:
    """Keep a case's unaccepted label map (the schema's values on its grid) over a former draft.

    Each of its two files is written whole or not at all, the labels first: a kill in between
    leaves the newest labels with the notes of a moment before. May be called in another thread.
    Raises StudyError, and keeps the former draft, for another grid or a value without a label.
    """
    schema = study.schema
    values = checked_values(case, labelmap, schema)
    seen = None if slices is None else Annotation(dict(slices)).slices
    notes = {
        "case": case.name,
        "slices": None if seen is None else {plane: list(i) for plane, i in seen.items()},
        "seconds": {schema.label(id).id: float(spent) for id, spent in dict(seconds).items()},
        "parent": parent,
        "origin": origin,
        "model_round": model_round,
        "saved": now(),
    }
    path = _path(study.folder, case.name)
    with atomic_write(path) as temporary:
        write_segmentation(temporary, Volume(values, case.geometry), schema.segments())
    with atomic_write(_notes_path(path)) as temporary:
        temporary.write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
    return _draft(path, notes)


def draft_of(study: Study, case: Case) -> Draft | None:
    """The draft of a case, None when there is none.

    Raises StudyError when its notes are damaged.
    """
    path = _path(study.folder, case.name)
    if not path.is_file():
        return None
    notes = _notes_path(path)
    # Killed before the first notes were written: the labels are good all the same.
    return _draft(path, read_notes(notes) if notes.is_file() else {"case": case.name})


def drafts(study: Study) -> list[Draft]:
    """Every draft, in the order of the cases."""
    found = (draft_of(study, case) for case in study.cases())
    return [draft for draft in found if draft is not None]


def read_draft(study: Study, draft: Draft) -> Volume:
    """A draft's label map: the schema's values (uint8) on its case's grid."""
    case = study.case(draft.case)
    volume, segments = read_segmentation(draft.path)
    _require_labels(draft.path, segments, study.schema)
    return Volume(checked_values(case, volume, study.schema), case.geometry)


def remove_draft(study: Study, case: Case) -> None:
    """Forget a case's draft: it was accepted or isn't wanted. Nothing happens without one."""
    path = _path(study.folder, case.name)
    # The labels first: notes without labels are no draft.
    for file in (path, _notes_path(path)):
        file.unlink(missing_ok=True)
    if path.parent.is_dir():
        flush(path.parent)


def read_notes(path: Path) -> dict[str, Any]:
    """What a draft's notes say; raises StudyError where they don't."""
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
        _draft(path, notes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ActiveSegLoopError) as error:
        raise StudyError(
            f"{path} is damaged ({error}): move it away, and the labels beside it are offered "
            "without it."
        ) from error
    return notes


def _draft(path: Path, notes: Mapping[str, Any]) -> Draft:
    slices = notes.get("slices", {})
    return Draft(
        case=notes["case"],
        path=path,
        slices=None if slices is None else Annotation(slices).slices,
        seconds={str(id): float(spent) for id, spent in notes.get("seconds", {}).items()},
        parent=notes.get("parent"),
        origin=notes.get("origin", "manual"),
        model_round=notes.get("model_round"),
        saved=notes.get("saved"),
    )


def _require_labels(path: Path, segments: Sequence, schema: LabelSchema) -> None:
    for segment in segments:
        if schema.label(segment.id).value != segment.value:
            raise StudyError(
                f"{path} has the value {segment.value} for '{segment.id}', but the study "
                f"{schema.label(segment.id).value}."
            )


def _path(folder: Path, case: str) -> Path:
    return folder / DRAFTS / f"{case}{ENDING}"


def _notes_path(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(ENDING) + NOTES)
