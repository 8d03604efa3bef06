"""The label maps of a case, one after the other: never overwritten, each with its history."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.segmentation import read_segmentation, write_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.annotation import Annotated, Annotation, annotated_voxels, merged
from ActiveSegLoopLib.study.cases import Case, Cases, case_row
from ActiveSegLoopLib.study.clock import now
from ActiveSegLoopLib.study.counting import value_counts
from ActiveSegLoopLib.study.database import Database
from ActiveSegLoopLib.study.files import flush, make_folder, publish, sha256_of, staging
from ActiveSegLoopLib.study.merging import merge
from ActiveSegLoopLib.study.revision import ORIGINS, Revision
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.schema_store import load_schema

LABELS = "labels"
ENDING = ".seg.nrrd"


class Revisions:
    """The label revisions in a study's database and folder."""

    def __init__(self, folder: Path, database: Database, cases: Cases) -> None:
        self._folder = folder
        self._database = database
        self._cases = cases

    def add(
        self,
        case: Case,
        labelmap: Volume,
        annotation: Annotation = Annotation(),
        origin: str = "manual",
        model_round: int | None = None,
        annotator: str | None = None,
        seconds: Mapping[str, float] = (),
    ) -> Revision:
        """See Study.add_revision."""
        schema = self._schema()
        case = self._cases.get(case.name)
        values = checked_values(case, labelmap, schema)
        annotation = annotation.resolved(schema, case.geometry)
        times = checked_times(origin, annotator, dict(seconds), schema)
        home = self._folder / LABELS / case.name
        make_folder(home)
        # The slow part, compression, comes before the transaction. If another process was faster
        # with a revision of this case, its label map is a new parent to build upon.
        while True:
            parent = self.latest(case)
            stored, annotations = self._over(parent, values, annotation, case, schema)
            with staging(home) as temporary:
                file = temporary / f"labels{ENDING}"
                write_segmentation(file, Volume(stored, case.geometry), schema.segments())
                flush(file)
                sha256 = sha256_of(file)
                with self._database.writing() as connection:
                    row = case_row(connection, case.name)
                    newest = _newest_number(connection, row["id"])
                    if newest != (parent.number if parent else None):
                        continue
                    _require_round(connection, model_round)
                    number = (newest or 0) + 1
                    while self._path(case.name, number).exists():
                        number += 1  # a file whose row was never written; `check` takes care of it
                    revision_id = connection.execute(
                        "INSERT INTO revisions (case_id, number, parent, origin, model_round, "
                        "annotator, annotation, annotations, sha256, created) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (
                            row["id"], number, newest, origin, model_round, annotator,
                            json.dumps(annotation.to_dict()),
                            json.dumps([entry.to_dict() for entry in annotations]),
                            sha256, now(),
                        ),
                    ).lastrowid
                    _insert_labels(connection, revision_id, stored, times, schema)
                    publish(file, self._path(case.name, number))
            return self.get(case.name, number)

    def of(self, case: Case) -> list[Revision]:
        """The revisions of a case, oldest first."""
        return self._select("cases.name = ?", (case.name,), case)

    def latest(self, case: Case) -> Revision | None:
        """The newest revision of a case, None when it has none."""
        found = self._select(
            "cases.name = ? AND number = (SELECT max(number) FROM revisions AS other "
            "WHERE other.case_id = revisions.case_id)",
            (case.name,),
            case,
        )
        return found[0] if found else None

    def get(self, case: str, number: int) -> Revision:
        """One revision; raises StudyError when there is none."""
        found = self._select("cases.name = ? AND number = ?", (case, number))
        if not found:
            raise StudyError(f"Case '{case}' has no label revision {number}.")
        return found[0]

    def all(self) -> list[Revision]:
        """Every revision of the study, in the order in which they were accepted."""
        return self._select("1", ())

    def of_round(self, number: int, use: str) -> list[Revision]:
        """The revisions that a round was given for "training" or "validation", in its order."""
        return self._select(
            "round = ? AND use = ?",
            (number, use),
            more="JOIN round_revisions ON revision_id = revisions.id",
            order="position",
        )

    def labelmap(self, revision: Revision) -> Volume:
        """See Study.labelmap; a repeat has the same path, SHA-256 and case to read it by."""
        path = revision.path
        if not path.is_file():
            raise StudyError(f"{path} is missing: restore it from a backup of the study.")
        if sha256_of(path) != revision.sha256:
            raise StudyError(
                f"{path} has changed since it was accepted: restore it from a backup of the study."
            )
        case = self._cases.get(revision.case)
        schema = self._schema()
        volume, segments = read_segmentation(path)
        for segment in segments:
            if schema.label(segment.id).value != segment.value:
                raise StudyError(
                    f"{path} has the value {segment.value} for '{segment.id}', but the study "
                    f"{schema.label(segment.id).value}."
                )
        return Volume(checked_values(case, volume, schema), case.geometry)

    def annotated(self, revision: Revision) -> Annotated:
        """See Study.annotated."""
        geometry = self._cases.get(revision.case).geometry
        return annotated_voxels(revision.annotations, geometry, self._schema())

    def _over(
        self,
        parent: Revision | None,
        values: np.ndarray,
        annotation: Annotation,
        case: Case,
        schema: LabelSchema,
    ) -> tuple[np.ndarray, tuple[Annotation, ...]]:
        """What to store of a new label map: its values and all that is annotated in them."""
        if parent is None:
            return values, merged([annotation])
        stored = merge(
            values,
            annotated_voxels([annotation], case.geometry, schema),
            annotated_voxels(parent.annotations, case.geometry, schema),
            lambda: self.labelmap(parent).array,
            schema,
        )
        return stored, merged([*parent.annotations, annotation])

    def _schema(self) -> LabelSchema:
        with self._database.reading() as connection:
            return load_schema(connection)

    def _path(self, case: str, number: int) -> Path:
        return self._folder / LABELS / case / f"r{number:04d}{ENDING}"

    def _select(
        self,
        condition: str,
        parameters: Sequence,
        case: Case | None = None,
        more: str = "",
        order: str = "revisions.id",
    ) -> list[Revision]:
        with self._database.reading() as connection:
            if case is not None:
                case_row(connection, case.name)  # an unknown case isn't one without revisions
            rows = connection.execute(
                f"SELECT revisions.*, cases.name AS case_name FROM revisions "
                f"JOIN cases ON cases.id = case_id {more} WHERE {condition} ORDER BY {order}",
                parameters,
            ).fetchall()
            return [self._revision(connection, row) for row in rows]

    def _revision(self, connection: sqlite3.Connection, row: sqlite3.Row) -> Revision:
        labels = connection.execute(
            "SELECT label, voxels, seconds FROM revision_labels JOIN labels ON labels.id = label "
            "WHERE revision_id = ? ORDER BY position",
            (row["id"],),
        ).fetchall()
        return Revision(
            case=row["case_name"],
            number=row["number"],
            parent=row["parent"],
            origin=row["origin"],
            model_round=row["model_round"],
            annotator=row["annotator"],
            annotation=Annotation.from_dict(json.loads(row["annotation"])),
            annotations=tuple(map(Annotation.from_dict, json.loads(row["annotations"]))),
            sha256=row["sha256"],
            created=row["created"],
            path=self._path(row["case_name"], row["number"]),
            seconds={r["label"]: r["seconds"] for r in labels if r["seconds"] is not None},
            voxels={r["label"]: r["voxels"] for r in labels},
        )


def checked_values(case: Case, labelmap: Volume, schema: LabelSchema) -> np.ndarray:
    """A label map's values as uint8; raises StudyError when grid or values aren't the study's."""
    difference = case.geometry.difference(labelmap.geometry)
    if difference:
        raise StudyError(
            f"The label map doesn't lie on the grid of the image of case '{case.name}' "
            f"({difference}): export it with that image as the reference."
        )
    try:
        return schema.to_values(schema.to_channels(labelmap.array))
    except StudyError as error:
        raise StudyError(f"Case '{case.name}': {error}") from error


def checked_times(
    origin: str, annotator: str | None, seconds: dict[str, float], schema: LabelSchema
) -> dict[str, float]:
    """Labeling times by label id; raises StudyError when they, origin or annotator can't be."""
    if origin not in ORIGINS:
        raise StudyError(f"'{origin}' isn't an origin: use one of {', '.join(ORIGINS)}.")
    if annotator is not None and not (annotator.strip() and annotator.isprintable()):
        raise StudyError(f"{annotator!r} can't be an annotator: use a short printable name.")
    for label, duration in seconds.items():
        schema.label(label)
        if not (math.isfinite(duration) and duration >= 0):
            raise StudyError(f"The seconds spent on '{label}' must be 0 or more, not {duration}.")
    return {label: float(duration) for label, duration in seconds.items()}


def _newest_number(connection: sqlite3.Connection, case_id: int) -> int | None:
    return connection.execute(
        "SELECT max(number) FROM revisions WHERE case_id = ?", (case_id,)
    ).fetchone()[0]


def _require_round(connection: sqlite3.Connection, number: int | None) -> None:
    if number is not None and not connection.execute(
        "SELECT 1 FROM rounds WHERE number = ?", (number,)
    ).fetchone():
        raise StudyError(f"The study has no round {number}.")


def _insert_labels(
    connection: sqlite3.Connection,
    revision_id: int,
    values: np.ndarray,
    seconds: Mapping[str, float],
    schema: LabelSchema,
) -> None:
    counts = value_counts(values)
    connection.executemany(
        "INSERT INTO revision_labels (revision_id, label, voxels, seconds) VALUES (?, ?, ?, ?)",
        [
            (revision_id, label.id, int(counts[label.value]), seconds.get(label.id))
            for label in schema.labels
        ],
    )
