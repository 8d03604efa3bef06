"""Rounds of training: what each was trained on and how, and which one is in use."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.study.clock import now
from ActiveSegLoopLib.study.database import Database
from ActiveSegLoopLib.study.files import atomic_write, make_folder
from ActiveSegLoopLib.study.json_text import json_text, without_nan
from ActiveSegLoopLib.study.locks import ProcessLock
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.revisions import Revisions

MODELS = "models"
# Cases prepared for training; what is missing there is made again.
CACHE = "cache"
METRICS = "metrics.json"
LOCK = ".lock"  # held by the process that trains the round, so that its death shows
ASKED = "asked"  # among the settings: the options that they were made of

# With this many labeled groups and no validation case, a training holds every fifth group out.
GROUPS_TO_HOLD_OUT = 5


@dataclass(frozen=True)
class Round:
    """One training: its folder for model files, and everything that it depends on.

    state: "running", "interrupted" (can be resumed), "finished" or "failed". revisions: the label
    revisions trained on; validation: those that chose the best weights. reason: why it failed.
    """

    number: int
    folder: Path
    state: str
    preset: str
    settings: Mapping[str, Any] = field(hash=False)
    seed: int
    revisions: tuple[Revision, ...]
    validation: tuple[Revision, ...]
    created: str
    ended: str | None
    metrics: Mapping[str, Any] | None = field(hash=False)
    versions: Mapping[str, Any] | None = field(hash=False)
    reason: str | None

    @property
    def model_sha256(self) -> str | None:
        """The SHA-256 of the model's description; None without a model, or of an older version."""
        return (self.metrics or {}).get("model_sha256")


class Rounds:
    """The rounds in a study's database and folder."""

    def __init__(self, folder: Path, database: Database, revisions: Revisions) -> None:
        self._folder = folder
        self._database = database
        self._revisions = revisions

    def start(
        self,
        preset: str,
        settings: Mapping[str, Any],
        seed: int,
        revisions: Sequence[Revision],
        validation: Sequence[Revision] = (),
    ) -> Round:
        """See Study.start_round."""
        text = json_text(settings, "settings")
        if not revisions:
            raise StudyError("There is nothing to train on: label a case of the pool first.")
        lock = None
        try:
            with self._database.writing() as connection:
                training_ids = [_revision_id(connection, r, ("pool",)) for r in revisions]
                validation_ids = [
                    _revision_id(connection, r, ("pool", "validation")) for r in validation
                ]
                _require_apart(connection, training_ids, validation_ids)
                self._require_nobody_trains_it(connection, preset, text, seed)
                number = self._free_number(connection)
                make_folder(self._path(number))
                lock = ProcessLock.acquire(self._path(number) / LOCK)
                if lock is None:
                    raise StudyError(f"Another process is using {self._path(number)}.")
                connection.execute(
                    "INSERT INTO rounds (number, state, preset, settings, seed, created) "
                    "VALUES (?, 'running', ?, ?, ?, ?)",
                    (number, str(preset), text, int(seed), now()),
                )
                uses = [(i, "training") for i in training_ids]
                uses += [(i, "validation") for i in validation_ids]
                connection.executemany(
                    "INSERT INTO round_revisions (round, position, revision_id, use) "
                    "VALUES (?, ?, ?, ?)",
                    [(number, position, *use) for position, use in enumerate(uses)],
                )
        except BaseException:
            if lock is not None:
                _let_go(lock.path)
            raise
        return self.get(number)

    def resume(self, number: int) -> Round:
        """See Study.resume_round."""
        lock = self._path(number) / LOCK
        round = self.get(number)
        if round.state not in ("running", "interrupted"):
            raise StudyError(f"Round {number} is {round.state}: only an unfinished one is resumed.")
        make_folder(lock.parent)
        if ProcessLock.acquire(lock) is None and not ProcessLock.is_ours(lock):
            raise StudyError(f"Another process is training round {number}: wait for it.")
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE rounds SET state = 'running' WHERE number = ? "
                "AND state IN ('running', 'interrupted')",
                (number,),
            )
        return self.get(number)

    def finish(
        self, number: int, metrics: Mapping[str, Any], versions: Mapping[str, Any]
    ) -> Round:
        """See Study.finish_round."""
        texts = (json_text(metrics, "metrics"), json_text(versions, "versions"))
        self._require_ours(number)
        with atomic_write(self._path(number) / METRICS) as path:
            path.write_text(json.dumps(without_nan(json.loads(texts[0])), indent=1) + "\n")
        with self._database.writing() as connection:
            _end(connection, number, "finished")
            connection.execute(
                "UPDATE rounds SET metrics = ?, versions = ? WHERE number = ?", (*texts, number)
            )
            connection.execute("UPDATE study SET current_round = ?", (number,))
        _let_go(self._path(number) / LOCK)
        return self.get(number)

    def leave(self, number: int, state: str, reason: str) -> Round:
        """End a round without a model: "failed" for good, or "interrupted" until it is resumed."""
        self._require_ours(number)
        with self._database.writing() as connection:
            _end(connection, number, state)
            connection.execute("UPDATE rounds SET reason = ? WHERE number = ?", (reason, number))
        _let_go(self._path(number) / LOCK)
        return self.get(number)

    def all(self) -> list[Round]:
        """Every round, the first one first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM rounds ORDER BY number").fetchall()
        return [self._round(row) for row in rows]

    def get(self, number: int) -> Round:
        """One round; raises StudyError when there is none."""
        with self._database.reading() as connection:
            row = _row(connection, number)
        return self._round(row)

    def unfinished(self) -> list[Round]:
        """See Study.unfinished_rounds."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM rounds WHERE state IN ('running', 'interrupted') "
                "ORDER BY number DESC"
            ).fetchall()
        return [self._round(row) for row in rows if not self.is_trained(row["number"])]

    def current(self) -> Round | None:
        """See Study.current_round."""
        with self._database.reading() as connection:
            (number,) = connection.execute("SELECT current_round FROM study").fetchone()
        return None if number is None else self.get(number)

    def roll_back(self, number: int) -> Round:
        """See Study.roll_back."""
        with self._database.writing() as connection:
            state = _row(connection, number)["state"]
            if state != "finished":
                raise StudyError(f"Round {number} is {state}: only a finished one can be used.")
            connection.execute("UPDATE study SET current_round = ?", (number,))
        return self.get(number)

    def is_trained_elsewhere(self, number: int) -> bool:
        """Whether another living process has the round in its hands."""
        return self.is_trained(number) and not ProcessLock.is_ours(self._path(number) / LOCK)

    def is_trained(self, number: int) -> bool:
        """Whether a living process, this one or another, has the round in its hands.

        Taken for true where that can't be found out, as in a study that is only read.
        """
        try:
            return ProcessLock.is_held(self._path(number) / LOCK)
        except OSError:
            return True

    def state_of(self, round: Round) -> str:
        """The round's state; one whose process has died is interrupted, though nobody noted it."""
        died = round.state == "running" and not self.is_trained(round.number)
        return "interrupted" if died else round.state

    def mark_interrupted(self, number: int) -> None:
        """Note that the process that trained a round has died; it can be resumed.

        Nothing happens when a process has taken it up meanwhile.
        """
        with self._database.writing() as connection:
            if not self.is_trained(number):
                connection.execute(
                    "UPDATE rounds SET state = 'interrupted', reason = 'its process ended' "
                    "WHERE number = ? AND state = 'running'",
                    (number,),
                )

    def _require_ours(self, number: int) -> None:
        if self.is_trained_elsewhere(number):
            raise StudyError(f"Another process is training round {number}.")

    def _require_nobody_trains_it(
        self, connection: sqlite3.Connection, preset: str, settings: str, seed: int
    ) -> None:
        rows = connection.execute(
            "SELECT number, settings FROM rounds WHERE state = 'running' "
            "AND (preset, seed) = (?, ?)",
            (str(preset), int(seed)),
        )
        for number, others in rows.fetchall():
            if _made(others) == _made(settings) and self.is_trained_elsewhere(number):
                raise StudyError(
                    f"Another process is training round {number} with the same settings: wait for "
                    "it, or give another seed to train one beside it."
                )

    def _free_number(self, connection: sqlite3.Connection) -> int:
        (highest,) = connection.execute("SELECT max(number) FROM rounds").fetchone()
        number = (highest or 0) + 1
        # Files without a row (the database came from an older backup) never mix with new ones.
        while self._path(number).is_dir() and {f.name for f in self._path(number).iterdir()} - {
            LOCK
        }:
            number += 1
        return number

    def _path(self, number: int) -> Path:
        return self._folder / MODELS / round_name(number)

    def _round(self, row: sqlite3.Row) -> Round:
        number = row["number"]
        return Round(
            number=number,
            folder=self._path(number),
            state=row["state"],
            preset=row["preset"],
            settings=json.loads(row["settings"]),
            seed=row["seed"],
            revisions=tuple(self._revisions.of_round(number, "training")),
            validation=tuple(self._revisions.of_round(number, "validation")),
            created=row["created"],
            ended=row["ended"],
            metrics=None if row["metrics"] is None else json.loads(row["metrics"]),
            versions=None if row["versions"] is None else json.loads(row["versions"]),
            reason=row["reason"],
        )


def round_name(number: int) -> str:
    """The name of a round's folders."""
    return f"round-{number:03d}"


def _row(connection: sqlite3.Connection, number: int) -> sqlite3.Row:
    row = connection.execute("SELECT * FROM rounds WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise StudyError(f"The study has no round {number}.")
    return row


def _end(connection: sqlite3.Connection, number: int, state: str) -> None:
    before = _row(connection, number)["state"]
    if before not in ("running", "interrupted"):
        raise StudyError(f"Round {number} is {before} already.")
    connection.execute(
        "UPDATE rounds SET state = ?, ended = ? WHERE number = ?", (state, now(), number)
    )


def _made(settings: str) -> dict[str, Any]:
    """What was made of the options that were asked for: two ways of asking can mean the same."""
    return {key: value for key, value in json.loads(settings).items() if key != ASKED}


def _let_go(lock: Path) -> None:
    ProcessLock.release_ours(lock)
    lock.unlink(missing_ok=True)


def _revision_id(
    connection: sqlite3.Connection, revision: Revision, roles: Sequence[str]
) -> int:
    row = connection.execute(
        "SELECT revisions.id, role FROM revisions JOIN cases ON cases.id = case_id "
        "WHERE name = ? AND number = ?",
        (revision.case, revision.number),
    ).fetchone()
    if row is None:
        raise StudyError(f"Case '{revision.case}' has no label revision {revision.number}.")
    if row["role"] not in roles:
        raise StudyError(
            f"Case '{revision.case}' has the role {row['role']}: its labels can't be used for that."
        )
    return row["id"]


def _require_apart(
    connection: sqlite3.Connection, training: Sequence[int], validation: Sequence[int]
) -> None:
    """No case is there twice, and no patient is both trained on and validated on."""
    def cases(ids: Sequence[int]) -> list[sqlite3.Row]:
        return [
            connection.execute(
                "SELECT name, patient FROM revisions JOIN cases ON cases.id = case_id "
                "WHERE revisions.id = ?",
                (i,),
            ).fetchone()
            for i in ids
        ]

    for rows in (cases(training), cases(validation)):
        names = [row["name"] for row in rows]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise StudyError(f"Case '{twice}' is given twice: give one revision of each case.")
    trained = {row["patient"] for row in cases(training)}
    for row in cases(validation):
        if row["patient"] in trained:
            raise StudyError(
                f"Case '{row['name']}' can't validate a training on cases of the same group "
                f"'{row['patient']}'."
            )
