"""Slices labeled a second time to measure how good the labels are; they replace nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.segmentation import write_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.annotation import Annotated, Annotation, annotated_voxels
from ActiveSegLoopLib.study.cases import Case, Cases
from ActiveSegLoopLib.study.clock import now
from ActiveSegLoopLib.study.database import Database
from ActiveSegLoopLib.study.files import flush, make_folder, publish, sha256_of, staging
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.revisions import ENDING, Revisions, checked_times, checked_values
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.schema_store import load_schema

REPEATS = "repeats"


@dataclass(frozen=True)
class Repeat:
    """A second labeling of what a revision (by number) of a case (by name) annotates already.

    number: counted from 1 for each revision. annotation: what was labeled again.
    """

    case: str
    revision: int
    number: int
    annotator: str | None
    annotation: Annotation
    sha256: str
    created: str
    path: Path
    seconds: Mapping[str, float] = field(hash=False)


class Repeats:
    """The repeated labelings in a study's database and folder."""

    def __init__(
        self, folder: Path, database: Database, cases: Cases, revisions: Revisions
    ) -> None:
        self._folder = folder
        self._database = database
        self._cases = cases
        self._revisions = revisions

    def add(
        self,
        case: Case,
        labelmap: Volume,
        annotation: Annotation,
        annotator: str | None = None,
        seconds: Mapping[str, float] = (),
    ) -> Repeat:
        """See Study.add_repeat."""
        schema = self._schema()
        case = self._cases.get(case.name)
        values = checked_values(case, labelmap, schema)
        annotation = annotation.resolved(schema, case.geometry)
        times = checked_times("manual", annotator, dict(seconds), schema)
        reference = self._revisions.latest(case)
        if reference is None:
            raise StudyError(
                f"Case '{case.name}' isn't labeled yet: label it once before you repeat it."
            )
        if not both_annotated(reference, annotation, case, schema).codes.any():
            raise StudyError(
                f"Nothing of this was labeled before in case '{case.name}': repeat slices and "
                "labels that are labeled already."
            )
        home = self._folder / REPEATS / case.name
        make_folder(home)
        with staging(home) as temporary:
            file = temporary / f"labels{ENDING}"
            write_segmentation(file, Volume(values, case.geometry), schema.segments())
            flush(file)
            sha256 = sha256_of(file)
            with self._database.writing() as connection:
                (revision_id,) = connection.execute(
                    "SELECT revisions.id FROM revisions JOIN cases ON cases.id = case_id "
                    "WHERE name = ? AND number = ?",
                    (case.name, reference.number),
                ).fetchone()
                (highest,) = connection.execute(
                    "SELECT max(number) FROM repeats WHERE revision_id = ?", (revision_id,)
                ).fetchone()
                number = (highest or 0) + 1
                while self._path(case.name, reference.number, number).exists():
                    number += 1  # a file whose row was never written
                connection.execute(
                    "INSERT INTO repeats "
                    "(revision_id, number, annotator, annotation, seconds, sha256, created) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        revision_id, number, annotator, json.dumps(annotation.to_dict()),
                        json.dumps(times), sha256, now(),
                    ),
                )
                publish(file, self._path(case.name, reference.number, number))
        return next(
            r for r in self.all()
            if (r.case, r.revision, r.number) == (case.name, reference.number, number)
        )

    def all(self) -> list[Repeat]:
        """Every repeat of the study, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT repeats.*, cases.name AS case_name, revisions.number AS revision "
                "FROM repeats JOIN revisions ON revisions.id = revision_id "
                "JOIN cases ON cases.id = case_id ORDER BY repeats.id"
            ).fetchall()
        return [self._repeat(row) for row in rows]

    def compared(self, repeat: Repeat) -> tuple[Volume, Volume, Annotated]:
        """See Study.repeated."""
        case = self._cases.get(repeat.case)
        reference = self._revisions.get(repeat.case, repeat.revision)
        known = both_annotated(reference, repeat.annotation, case, self._schema())
        return self._revisions.labelmap(reference), self._revisions.labelmap(repeat), known

    def _repeat(self, row: sqlite3.Row) -> Repeat:
        return Repeat(
            case=row["case_name"],
            revision=row["revision"],
            number=row["number"],
            annotator=row["annotator"],
            annotation=Annotation.from_dict(json.loads(row["annotation"])),
            sha256=row["sha256"],
            created=row["created"],
            path=self._path(row["case_name"], row["revision"], row["number"]),
            seconds=json.loads(row["seconds"]),
        )

    def _path(self, case: str, revision: int, number: int) -> Path:
        return self._folder / REPEATS / case / f"r{revision:04d}-{number}{ENDING}"

    def _schema(self) -> LabelSchema:
        with self._database.reading() as connection:
            return load_schema(connection)


def both_annotated(
    revision: Revision, annotation: Annotation, case: Case, schema: LabelSchema
) -> Annotated:
    """Which voxels of a case are annotated for which labels in a revision and again.

    Code 0 is where no label is.
    """
    first = annotated_voxels(revision.annotations, case.geometry, schema)
    second = annotated_voxels([annotation], case.geometry, schema)
    # One annotation has two codes, nowhere and where it says, so that the pairs still fit a byte.
    rows = np.concatenate([first.subsets & subset for subset in second.subsets])
    subsets, codes = np.unique(rows, axis=0, return_inverse=True)
    codes = codes.reshape(-1).astype(np.uint8)
    pairs = second.codes.astype(np.uint16) * len(first.subsets) + first.codes
    return Annotated(codes[pairs], subsets)
