"""The study's state in one SQLite file that several processes may use."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.study.migrations import MIGRATIONS

NAME = "study.sqlite"
# Marks the file as ours whatever its name; "ASLp" in ASCII.
APPLICATION_ID = 0x41534C70
# Longest wait for another process that is writing. A write takes milliseconds, but a study on a
# network drive that is being backed up may stall for long, and giving up would lose a label map.
BUSY_SECONDS = 60.0
# EXTRA also flushes the folder after the journal is removed: without that, a power failure just
# after a commit could bring the journal, and the old state, back.
SYNCHRONOUS = "EXTRA"


class Database:
    """Short transactions on a study's file; every one opens and closes its own connection.

    Nothing stays open in between: the folder can be moved, copied or zipped, threads need no
    connection of their own, and a forked process inherits none.
    """

    def __init__(
        self, folder: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS
    ) -> None:
        self.path = folder / NAME
        self._migrations = migrations

    @property
    def is_writable(self) -> bool:
        """Whether the file may be written; an archived study may not."""
        return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the study throughout."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection that nobody writes beside; an exception undoes everything done in it."""
        # IMMEDIATE takes the write lock at once: what is read inside can't change until the
        # commit, so numbers may be given out, and two writers wait instead of failing midway.
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def is_filled(self) -> bool:
        """Whether there is a study; a file whose creation was interrupted holds none.

        Raises StudyError when the file is something else.
        """
        if not self.path.exists():
            return False
        with self._connection() as connection:
            return not self._is_blank(connection) and self._version(connection) > 0

    def create(self, fill: Callable[[sqlite3.Connection], None]) -> bool:
        """Make the tables in a new file and fill them; False when the file holds any already.

        All in one transaction: after a kill the file has no tables and can be created anew.
        """
        with self._connection(create=True) as connection:
            # A rollback journal, not a write-ahead log: WAL needs memory shared by all processes,
            # which network drives don't give, and leaves accepted changes in a second file, which
            # a copy of the folder may miss. Persistent, like the page size.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
            if not self._is_blank(connection):
                return False
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._apply(connection, 0)
            fill(connection)
            connection.execute("COMMIT")
        return True

    def migrate(self) -> None:
        """Bring a study of an earlier version up to date.

        Raises StudyError when the file isn't a study, or one of a newer version.
        """
        with self._connection() as connection:
            if self._version(connection) == len(self._migrations):
                return
            connection.execute("BEGIN IMMEDIATE")
            # Another process may have been faster.
            version = self._version(connection)
            if version < len(self._migrations):
                self._apply(connection, version)
            connection.execute("COMMIT")

    @staticmethod
    def _is_blank(connection: sqlite3.Connection) -> bool:
        return connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0

    def _version(self, connection: sqlite3.Connection) -> int:
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            if self._is_blank(connection):
                raise StudyError(
                    f"The creation of the study {self.path.parent} was interrupted: create it "
                    "again."
                )
            raise StudyError(f"{self.path} isn't a study of ActiveSegLoop.")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(self._migrations):
            raise StudyError(
                f"The study {self.path.parent} was written by a newer ActiveSegLoop (study version "
                f"{version}, this one knows {len(self._migrations)}): update ActiveSegLoop."
            )
        return version

    def _apply(self, connection: sqlite3.Connection, version: int) -> None:
        for step in self._migrations[version:]:
            for statement in step:
                connection.execute(statement)
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise StudyError(
                f"{self.path} is damaged: a row of its table {broken[0]} refers to a row of "
                f"{broken[2]} that isn't there; restore the study from a backup."
            )
        connection.execute(f"PRAGMA user_version = {len(self._migrations)}")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(begin)
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _connection(self, create: bool = False) -> Iterator[sqlite3.Connection]:
        """An open connection; what isn't committed is rolled back when it is closed."""
        mode = "rwc" if create else "rw"
        if not create and not self.path.is_file():
            raise StudyError(
                f"{self.path.parent} isn't a study: it has no {NAME}; create a study there, or "
                "choose another folder."
            )
        try:
            connection = sqlite3.connect(
                f"{_uri(self.path)}?mode={mode}",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,  # transactions are begun and committed above, nowhere else
            )
            connection.row_factory = sqlite3.Row
            try:
                connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
                yield connection
            finally:
                connection.close()
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
            raise  # a mistake of ours, not of the user's or the disk's
        except sqlite3.DatabaseError as error:
            raise StudyError(self._sentence(error)) from error

    def _sentence(self, error: sqlite3.DatabaseError) -> str:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return (
                f"Another process has been writing to {self.path} for more than "
                f"{BUSY_SECONDS:.0f} seconds: try again when it has finished."
            )
        if name.startswith("SQLITE_NOTADB"):
            return f"{self.path} isn't a study of ActiveSegLoop."
        if name.startswith("SQLITE_FULL"):
            return f"The disk of {self.path} is full: make room, then try again."
        if name.startswith("SQLITE_READONLY"):
            return f"{self.path} can't be written: make it and its folder writable."
        if name.startswith("SQLITE_CORRUPT"):
            return f"{self.path} is damaged ({error}): restore the study from a backup."
        return f"{self.path} can't be used: {error}."


def _uri(path: Path) -> str:
    """SQLite's form, which isn't Path.as_uri's for //server/share on Windows."""
    name = path.absolute().as_posix()
    return "file://" + quote(name if name.startswith("/") else f"/{name}", safe="/:")
