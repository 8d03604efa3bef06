"""A study: one folder with everything about one segmentation task."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.annotation import Annotated, Annotation
from ActiveSegLoopLib.study.cases import Case, Cases
from ActiveSegLoopLib.study.clock import now
from ActiveSegLoopLib.study.database import NAME, Database
from ActiveSegLoopLib.study.files import make_folder
from ActiveSegLoopLib.study.predictions import (
    prediction_path,
    uncertainty_path,
    write_prediction,
    write_uncertainty,
)
from ActiveSegLoopLib.study.proposals import Proposals, StoredProposal
from ActiveSegLoopLib.study.repeats import Repeat, Repeats
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.revisions import Revisions
from ActiveSegLoopLib.study.rounds import Round, Rounds
from ActiveSegLoopLib.study.schema import Label, LabelSchema
from ActiveSegLoopLib.study.schema_store import load_schema, save_labels

# What a file manager leaves in a folder that its user takes for empty.
_NOTHING = (".DS_Store", "desktop.ini", "Thumbs.db")


class Study:
    """Cases, their label revisions and the rounds of training; use create or open.

    Several processes and threads may use one study. Whatever a method returned from is on the
    disk. Methods raise StudyError or ImageError with one sentence, and then changed nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(folder)
        self._cases = Cases(folder, self.database)
        self._revisions = Revisions(folder, self.database, self._cases)
        self._repeats = Repeats(folder, self.database, self._cases, self._revisions)
        self.round_store = Rounds(folder, self.database, self._revisions)
        self._proposals = Proposals(self.database, self._cases, self._revisions)

    @classmethod
    def create(cls, folder: str | os.PathLike, schema: LabelSchema) -> Study:
        """Make a study in a new or empty folder."""
        folder = Path(os.path.realpath(folder))
        if folder.exists() and not folder.is_dir():
            raise StudyError(f"{folder} is a file: choose a folder for the study.")
        database = Database(folder)
        if not database.is_filled():
            found = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
            others = sorted(found - {NAME, f"{NAME}-journal", *_NOTHING})
            if others:
                raise StudyError(
                    f"{folder} isn't empty (it holds {others[0]}): choose a new or empty folder "
                    "for the study."
                )
        make_folder(folder)

        def fill(connection) -> None:
            connection.execute(
                "INSERT INTO study (id, sides_matter, created) VALUES (1, ?, ?)",
                (schema.sides_matter, now()),
            )
            save_labels(connection, schema)

        if not database.create(fill):
            raise StudyError(f"{folder} is a study already: open it, or choose another folder.")
        return cls(folder)

    @classmethod
    def open(cls, folder: str | os.PathLike) -> Study:
        """Open the study in a folder; one of an earlier version is brought up to date."""
        study = cls(Path(os.path.realpath(folder)))
        study.database.migrate()
        return study

    @property
    def schema(self) -> LabelSchema:
        """The labels as they are now, also when another process changed a name or color."""
        with self.database.reading() as connection:
            return load_schema(connection)

    def add_label(self, label: Label) -> LabelSchema:
        """Add a label behind the others; in what was labeled so far it isn't annotated."""
        return self._change_schema(lambda schema: schema.with_label(label))

    def rename_label(self, id: str, name: str) -> LabelSchema:
        """Give a label another name; its id and value never change."""
        return self._change_schema(lambda schema: schema.renamed(id, name))

    def set_color(self, id: str, color: Iterable[float]) -> LabelSchema:
        """Give a label another color: r, g, b from 0 to 1."""
        return self._change_schema(lambda schema: schema.recolored(id, color))

    def _change_schema(self, change) -> LabelSchema:
        with self.database.writing() as connection:
            schema = change(load_schema(connection))
            save_labels(connection, schema)
        return schema

    def add_case(
        self,
        images: Sequence[str | os.PathLike],
        name: str | None = None,
        role: str = "pool",
        group: str | None = None,
        series: Sequence[str | None] | None = None,
    ) -> Case:
        """Add a case: an image, or several of the same patient and place (channels).

        images: files or DICOM folders, not copied; the first one's grid is the case's. name: from
        the first image's name when left out. role: "pool", "validation" or "test", for good.
        group: the patient, by default the case's name; all cases of a group have one role.
        series: for each image the UID of the DICOM series, where a folder holds several.
        """
        return self._cases.add(images, name, role, group, series)

    def cases(self, role: str | None = None) -> list[Case]:
        """All cases, or those of one role that aren't excluded, in the order of being added."""
        return self._cases.all(role)

    def case(self, name: str) -> Case:
        """The case of this name."""
        return self._cases.get(name)

    def excluded(self) -> list[str]:
        """The names of the cases that take no part for now."""
        return [case.name for case in self._cases.all() if case.excluded]

    def volumes(self, case: Case) -> list[Volume]:
        """The case's images, one per channel, all on the grid of the first.

        Raises StudyError when an image is gone or isn't the one that was added.
        """
        return self._cases.volumes(case.name)

    def check_images(self, case: Case) -> None:
        """Raise StudyError when an image of the case is gone or isn't the one that was added."""
        self._cases.check_images(case.name)

    def relocate(self, case: Case, paths: Sequence[str | os.PathLike]) -> Case:
        """Tell where the images of a case lie now; raises StudyError when they aren't the same."""
        return self._cases.relocate(case.name, paths)

    def exclude(self, case: Case) -> Case:
        """Let a case take no part for now; its labels stay, and it keeps its role and patient.

        It isn't trained on, validated or tested on, proposed or exported, and its image may be
        gone. Earlier rounds stay as they are.
        """
        return self._cases.set_excluded(case.name, True)

    def include(self, case: Case) -> Case:
        """Let a case that was excluded take part again."""
        return self._cases.set_excluded(case.name, False)

    def add_revision(
        self,
        case: Case,
        labelmap: Volume,
        annotation: Annotation = Annotation(),
        origin: str = "manual",
        model_round: int | None = None,
        annotator: str | None = None,
        seconds: Mapping[str, float] = (),
    ) -> Revision:
        """Store a label map as the newest revision of a case; its parent is the one before.

        labelmap: the schema's values on the case's grid, the whole segmentation as seen on screen.
        annotation: what of it was looked at; together with what earlier revisions annotated it is
        what training and metrics use, and where only those did, their labels are kept.
        origin: "manual", "model" or "corrected"; model_round: the round whose model it began with.
        annotator: who labeled, never a patient. seconds: labeling time by label id.
        """
        return self._revisions.add(
            case, labelmap, annotation, origin, model_round, annotator, seconds
        )

    def revisions(self, case: Case) -> list[Revision]:
        """The label revisions of a case, oldest first."""
        return self._revisions.of(case)

    def latest(self, case: Case) -> Revision | None:
        """The newest label revision of a case, None when it has none."""
        return self._revisions.latest(case)

    def lineage(self, revision: Revision) -> list[Revision]:
        """A revision's ancestors and itself, oldest first."""
        line = [revision]
        while line[0].parent is not None:
            line.insert(0, self._revisions.get(line[0].case, line[0].parent))
        return line

    def labelmap(self, revision: Revision) -> Volume:
        """A revision's label values (uint8) on its case's grid; its SHA-256 is verified first."""
        return self._revisions.labelmap(revision)

    def annotated(self, revision: Revision) -> Annotated:
        """Which voxels of a revision are annotated for which labels, by it or those before."""
        return self._revisions.annotated(revision)

    def timing(self, origin: str | None = None) -> dict[str, list[float]]:
        """Labeling times in seconds by label id, one per revision (of an origin) that has one."""
        times: dict[str, list[float]] = {id: [] for id in self.schema.ids}
        for revision in self._revisions.all():
            if origin in (None, revision.origin):
                for id, seconds in revision.seconds.items():
                    times[id].append(seconds)
        return times

    def add_repeat(
        self,
        case: Case,
        labelmap: Volume,
        annotation: Annotation = Annotation(),
        annotator: str | None = None,
        seconds: Mapping[str, float] = (),
    ) -> Repeat:
        """Store a second labeling of what the newest revision of a case annotates already.

        It replaces no label and isn't trained on: it tells how well two labelings of the same
        slices agree. It only does when who labels again doesn't see the first labels.
        """
        return self._repeats.add(case, labelmap, annotation, annotator, seconds)

    def repeats(self) -> list[Repeat]:
        """Every second labeling, oldest first."""
        return self._repeats.all()

    def repeated(self, repeat: Repeat) -> tuple[Volume, Volume, Annotated]:
        """The first labels (values on the case's grid), the second, and where both say something.

        Raises StudyError when a file is missing or has changed.
        """
        return self._repeats.compared(repeat)

    def start_round(
        self,
        preset: str,
        settings: Mapping[str, Any],
        seed: int,
        revisions: Sequence[Revision],
        validation: Sequence[Revision] = (),
    ) -> Round:
        """Begin a training: a number, and a folder for its files.

        revisions: one for each case of the pool to train on; validation: cases of the pool or of
        the role validation, of other groups. The round is this process's until it is finished,
        failed or left, or until the process dies. Refused while another process trains a round
        with the same settings.
        """
        return self.round_store.start(preset, settings, seed, revisions, validation)

    def resume_round(self, round: Round) -> Round:
        """Take over an unfinished round; raises StudyError when a living process trains it."""
        return self.round_store.resume(round.number)

    def finish_round(
        self, round: Round, metrics: Mapping[str, Any], versions: Mapping[str, Any]
    ) -> Round:
        """End a round whose model files are written; it becomes the current one.

        The metrics also go to metrics.json in its folder, with null for NaN.
        """
        return self.round_store.finish(round.number, metrics, versions)

    def fail_round(self, round: Round, reason: str = "") -> Round:
        """End a round that can't be resumed."""
        return self.round_store.leave(round.number, "failed", reason)

    def interrupt_round(self, round: Round, reason: str = "canceled") -> Round:
        """Leave a round that was canceled; it can be resumed later, by any process."""
        return self.round_store.leave(round.number, "interrupted", reason)

    def rounds(self) -> list[Round]:
        """Every round, the first one first."""
        return self.round_store.all()

    def round(self, number: int) -> Round:
        """The round of this number."""
        return self.round_store.get(number)

    def unfinished_rounds(self) -> list[Round]:
        """Rounds that were interrupted or whose process died, the newest first: to be resumed.

        Not those that a living process trains; failed rounds don't count.
        """
        return self.round_store.unfinished()

    def current_round(self) -> Round | None:
        """The round in use: the last one finished or rolled back to, None before the first."""
        return self.round_store.current()

    def roll_back(self, number: int) -> Round:
        """Use a finished round, an earlier one or a later one again; nothing is deleted."""
        return self.round_store.roll_back(number)

    def save_proposals(self, proposals: Sequence[Mapping[str, Any]]) -> list[StoredProposal]:
        """Keep what was proposed to label next as the newest batch, the best first.

        Each is what Proposal.to_dict of the folder selection gives.
        """
        return self._proposals.save(proposals)

    def proposals(
        self, state: str | None = None, every_batch: bool = False
    ) -> list[StoredProposal]:
        """The newest batch of proposals, or every batch, all or those of one state.

        state: "open", "done" (annotated since, too), "skipped" or "flagged".
        """
        return self._proposals.all(state, every_batch)

    def set_proposal_state(self, id: int, state: str, reason: str = "") -> StoredProposal:
        """Mark a proposal; what is skipped or flagged isn't proposed again. reason: the note."""
        return self._proposals.set_state(id, state, reason)

    def save_prediction(self, round: Round, case: Case, labelmap: Volume) -> Path:
        """Keep what a round's model says of a case, values on its grid; returns the file."""
        number = self.round_store.get(round.number).number
        case = self._cases.get(case.name)
        return write_prediction(self.folder, number, case, labelmap, self.schema)

    def prediction(self, round: Round, case: Case) -> Path | None:
        """The file with what a round's model said of a case, None when there is none."""
        path = prediction_path(self.folder, round.number, self._cases.get(case.name))
        return path if path.is_file() else None

    def save_uncertainty(self, round: Round, case: Case, uncertainty: Volume) -> Path:
        """Keep how unsure a round's model is of a case, whole percents (uint8); the file."""
        number = self.round_store.get(round.number).number
        return write_uncertainty(self.folder, number, self._cases.get(case.name), uncertainty)

    def uncertainty(self, round: Round, case: Case) -> Path | None:
        """The file with how unsure a round's model was of a case, None when there is none."""
        path = uncertainty_path(self.folder, round.number, self._cases.get(case.name))
        return path if path.is_file() else None
