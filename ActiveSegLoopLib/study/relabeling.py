"""Another set of labels for a study in which nothing is labeled yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.study.drafts import drafts
from ActiveSegLoopLib.study.schema_store import save_labels

if TYPE_CHECKING:
    from ActiveSegLoopLib.study.schema import LabelSchema
    from ActiveSegLoopLib.study.study import Study


def is_unlabeled(study: Study) -> bool:
    """Whether nothing depends on the labels: no revision, no round, no draft."""
    with study.database.reading() as connection:
        (used,) = connection.execute(
            "SELECT EXISTS (SELECT 1 FROM revisions) OR EXISTS (SELECT 1 FROM rounds)"
        ).fetchone()
    return not used and not drafts(study)


def replace_labels(study: Study, schema: LabelSchema) -> LabelSchema:
    """Give the study these labels, in this order, instead of those it has.

    Raises StudyError, and changes nothing, once something is labeled: from then on labels can only
    be added, renamed and colored (Study.add_label, rename_label, set_color).
    """
    if not is_unlabeled(study):
        raise StudyError(_TOO_LATE)
    with study.database.writing() as connection:
        (used,) = connection.execute(
            "SELECT EXISTS (SELECT 1 FROM revisions) OR EXISTS (SELECT 1 FROM rounds)"
        ).fetchone()
        if used:  # another process was faster
            raise StudyError(_TOO_LATE)
        connection.execute("DELETE FROM labels")
        save_labels(connection, schema)
    return schema


_TOO_LATE = (
    "Something is labeled in this study already: its labels can be added to, renamed and colored, "
    "but not removed or put in another order."
)
