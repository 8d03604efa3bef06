"""What was proposed to label next, batch by batch, and what became of it."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.geometry import PLANES, Geometry
from ActiveSegLoopLib.study.cases import Cases, case_row
from ActiveSegLoopLib.study.clock import now
from ActiveSegLoopLib.study.coverage import annotated_slices, annotated_volume
from ActiveSegLoopLib.study.database import Database
from ActiveSegLoopLib.study.revisions import Revisions
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.schema_store import load_schema

STATES = ("open", "done", "skipped", "flagged")


@dataclass(frozen=True)
class StoredProposal:
    """A slice or a volume that was proposed.

    batch: which set of proposals, counted from 1; position: the place in it, the best is 0. unit:
    "slice" (plane, and index from 0 along geometry.axis_of(plane)) or "volume" (both None). label:
    the label's id for which it was chosen, None for all. round: the round whose model was asked.
    state: "open", "done", "skipped" or "flagged"; note: why, by the person who skipped or flagged.
    """

    id: int
    batch: int
    position: int
    case: str
    unit: str
    plane: str | None
    index: int | None
    label: str | None
    score: float
    reason: str
    strategy: str
    round: int | None
    state: str
    note: str
    created: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


class Proposals:
    """The proposals in a study's database."""

    def __init__(self, database: Database, cases: Cases, revisions: Revisions) -> None:
        self._database = database
        self._cases = cases
        self._revisions = revisions

    def save(self, proposals: Sequence[Mapping[str, Any]]) -> list[StoredProposal]:
        """See Study.save_proposals."""
        if not proposals:
            raise StudyError("There is no proposal to save.")
        with self._database.writing() as connection:
            (last,) = connection.execute("SELECT max(batch) FROM proposals").fetchone()
            batch = (last or 0) + 1
            for position, proposal in enumerate(proposals):
                values = _checked(connection, proposal)
                connection.execute(
                    "INSERT INTO proposals (batch, position, case_id, unit, plane, slice, label, "
                    "score, reason, strategy, round, state, note, created) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', '', ?)",
                    (batch, position, *values, now()),
                )
        return self.all()

    def all(
        self, state: str | None = None, every_batch: bool = False
    ) -> list[StoredProposal]:
        """See Study.proposals."""
        if state is not None and state not in STATES:
            raise StudyError(_no_state(state))
        found = [p for p in self._read(every_batch) if state in (None, p.state)]
        excluded = {case.name for case in self._cases.all() if case.excluded}
        return [p for p in found if p.state != "open" or p.case not in excluded]

    def _read(self, every_batch: bool) -> list[StoredProposal]:
        newest = "batch = (SELECT max(batch) FROM proposals)"
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT proposals.*, name FROM proposals JOIN cases ON cases.id = case_id "
                f"WHERE {'1' if every_batch else newest} ORDER BY batch, position"
            ).fetchall()
            schema = load_schema(connection)
        found = [_proposal(row) for row in rows]
        done = self._labeled_meanwhile(found, schema)
        return [replace(p, state="done") if p.id in done else p for p in found]

    def set_state(self, id: int, state: str, note: str) -> StoredProposal:
        """See Study.set_proposal_state."""
        if state not in STATES:
            raise StudyError(_no_state(state))
        with self._database.writing() as connection:
            changed = connection.execute(
                "UPDATE proposals SET state = ?, note = ? WHERE id = ?", (state, str(note), id)
            ).rowcount
            if not changed:
                raise StudyError(f"The study has no proposal {id}.")
        return next(p for p in self._read(every_batch=True) if p.id == id)

    def _labeled_meanwhile(
        self, found: Sequence[StoredProposal], schema: LabelSchema
    ) -> set[int]:
        """Ids of the open ones that are annotated by now, for their label or for any."""
        done = set()
        still_open = sorted((p for p in found if p.state == "open"), key=lambda p: p.case)
        for name, mine in groupby(still_open, key=lambda p: p.case):
            case = self._cases.get(name)
            revision = self._revisions.latest(case)
            if revision is None:
                continue
            for proposal in mine:
                known = (revision.annotations, case.geometry)
                if proposal.unit == "volume":
                    labels = annotated_volume(*known, schema)
                else:
                    labels = annotated_slices(*known, proposal.plane, schema)[proposal.index]
                if proposal.label is None:
                    is_done = labels.any()
                else:
                    is_done = labels[schema.ids.index(proposal.label)]
                if is_done:
                    done.add(proposal.id)
        return done


def _checked(connection: sqlite3.Connection, proposal: Mapping[str, Any]) -> tuple:
    """A proposal's values for its row; raises StudyError for what can't be one."""
    try:
        case, unit, plane, index = (proposal[key] for key in ("case", "unit", "plane", "index"))
        score, reason, strategy = (proposal[key] for key in ("score", "reason", "strategy"))
    except KeyError as error:
        raise StudyError(f"A proposal needs its {error.args[0]}.") from error
    row = case_row(connection, case)
    geometry = Geometry.from_dict(json.loads(row["geometry"]))
    if unit == "volume":
        if plane is not None or index is not None:
            raise StudyError("A proposed volume has no plane and no slice number.")
    elif unit != "slice" or plane not in PLANES:
        raise StudyError(f"'{unit}' in the plane '{plane}' can't be proposed.")
    elif not 0 <= index < geometry.shape[geometry.axis_of(plane)]:
        raise StudyError(f"Case '{case}' has no {plane} slice {index}.")
    if not math.isfinite(score):
        raise StudyError(f"The score of a proposal must be a number, not {score}.")
    label, number = proposal.get("label"), proposal.get("round")
    if label is not None:
        load_schema(connection).label(label)
    if number is not None and not connection.execute(
        "SELECT 1 FROM rounds WHERE number = ?", (number,)
    ).fetchone():
        raise StudyError(f"The study has no round {number}.")
    index = None if index is None else int(index)
    return row["id"], unit, plane, index, label, float(score), reason, strategy, number


def _proposal(row: sqlite3.Row) -> StoredProposal:
    same = (
        "id", "batch", "position", "unit", "plane", "label", "score", "reason", "strategy", "round",
        "state", "note", "created",
    )
    return StoredProposal(
        case=row["name"], index=row["slice"], **{name: row[name] for name in same}
    )


def _no_state(state: str) -> str:
    return f"'{state}' isn't a proposal's state: use one of {', '.join(STATES)}."
