"""The database file: versions, migrations, transactions, and files that aren't ours."""

import os
import sqlite3
import threading

import pytest

import ActiveSegLoopLib.study.database as module
from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.study import LabelSchema, Study
from ActiveSegLoopLib.study.database import APPLICATION_ID, Database
from ActiveSegLoopLib.study.migrations import MIGRATIONS

FIRST = (
    "CREATE TABLE cases (id INTEGER PRIMARY KEY, name TEXT)",
    "INSERT INTO cases (name) VALUES ('a'), ('b')",
)
SECOND = (
    "ALTER TABLE cases ADD COLUMN role TEXT NOT NULL DEFAULT 'pool'",
    "CREATE TABLE notes (case_id INTEGER REFERENCES cases (id), text TEXT)",
)
THIRD = ("UPDATE cases SET role = 'test' WHERE name = 'b'",)


def state(database):
    with database.reading() as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        return version, [tuple(row) for row in connection.execute("SELECT * FROM cases")]


@pytest.fixture
def old(tmp_path):
    """A study of version 1."""
    database = Database(tmp_path, [FIRST])
    assert database.create(lambda connection: None)
    return database


def test_a_study_of_an_earlier_version_is_brought_up_to_date_step_by_step(tmp_path, old):
    new = Database(tmp_path, [FIRST, SECOND, THIRD])
    new.migrate()
    assert state(new) == (3, [(1, "a", "pool"), (2, "b", "test")])
    new.migrate()
    assert state(new)[0] == 3


def test_a_migration_that_fails_changes_nothing(tmp_path, old):
    before = old.path.read_bytes()
    with pytest.raises(StudyError, match="no such table: nowhere"):
        Database(tmp_path, [FIRST, SECOND, ("UPDATE nowhere SET x = 1",)]).migrate()
    assert old.path.read_bytes() == before
    with pytest.raises(StudyError, match="table notes refers to a row of cases"):
        Database(tmp_path, [FIRST, SECOND, ("INSERT INTO notes VALUES (7, 'x')",)]).migrate()
    assert old.path.read_bytes() == before


def test_a_study_of_a_newer_version_is_refused_and_left_alone(tmp_path, old):
    Database(tmp_path, [FIRST, SECOND]).migrate()
    before = old.path.read_bytes()
    with pytest.raises(StudyError, match="newer ActiveSegLoop .*version 2, this one knows 1"):
        old.migrate()
    assert old.path.read_bytes() == before


def test_two_that_migrate_at_once_do_it_once(tmp_path, old):
    errors = []

    def migrate():
        try:
            Database(tmp_path, [FIRST, SECOND, THIRD]).migrate()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=migrate) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert state(old) == (3, [(1, "a", "pool"), (2, "b", "test")])


def test_a_studys_file_is_of_the_newest_version_and_says_whose_it_is(study):
    connection = sqlite3.connect(study.folder / "study.sqlite")
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    connection.close()


def test_nothing_stays_open_or_beside_the_file_when_nobody_works(study):
    study.cases()
    study.rename_label("artery", "Artery")
    assert [path.name for path in study.folder.iterdir()] == ["study.sqlite"]
    if os.path.isdir("/proc/self/fd"):
        targets = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                   if os.path.exists(f"/proc/self/fd/{fd}")]
        assert not [target for target in targets if str(study.folder) in target]


def test_an_exception_inside_undoes_what_was_written(study):
    with pytest.raises(KeyError), study.database.writing() as connection:
        connection.execute("DELETE FROM labels")
        raise KeyError
    assert study.schema.ids == ("artery", "vein")


def test_foreign_keys_are_enforced(study):
    with pytest.raises(sqlite3.IntegrityError), study.database.writing() as connection:
        connection.execute("UPDATE study SET current_round = 5")


def test_waiting_for_another_writer_ends_in_a_sentence(study, monkeypatch):
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    with study.database.writing(), pytest.raises(StudyError, match="Another process has been"):
        study.rename_label("artery", "x")


def test_a_folder_without_a_study_and_files_that_arent_one_are_refused(tmp_path):
    with pytest.raises(StudyError, match="isn't a study: it has no study.sqlite"):
        Study.open(tmp_path)
    (tmp_path / "study.sqlite").write_text("These are notes on a study, not its database." * 99)
    with pytest.raises(StudyError, match="isn't a study of ActiveSegLoop"):
        Study.open(tmp_path)
    (tmp_path / "study.sqlite").unlink()
    connection = sqlite3.connect(tmp_path / "study.sqlite")
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(StudyError, match="isn't a study of ActiveSegLoop"):
        Study.open(tmp_path)
    with pytest.raises(StudyError, match="isn't a study of ActiveSegLoop"):
        Study.create(tmp_path, LabelSchema.parse("1=a"))


def test_a_damaged_database_is_named(study, case):
    data = bytearray(study.database.path.read_bytes())
    data[4096:] = b"\x55" * (len(data) - 4096)
    study.database.path.write_bytes(data)
    with pytest.raises(StudyError, match="study.sqlite is damaged"):
        study.cases()


def test_a_folder_with_odd_characters_holds_a_study(tmp_path):
    folder = tmp_path / "50% off? #1 & ü 动"
    Study.create(folder, LabelSchema.parse("1=a"))
    assert Study.open(folder).schema.ids == ("a",)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc to name open files")
def test_a_label_map_is_on_the_disk_before_its_name_and_its_name_before_its_row(
    study, case, make_labels, monkeypatch
):
    monkeypatch.undo()  # the disk is waited for as in real life
    with study.database.reading() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 3
    done, fsync, replace = [], os.fsync, os.replace

    def flushed(descriptor):
        done.append(("flush", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))))
        fsync(descriptor)

    def renamed(source, target):
        done.append(("rename", os.path.basename(target)))
        replace(source, target)
        if os.path.basename(target) == "r0001.seg.nrrd":
            # Nobody else sees the revision before all this lasts.
            assert Study.open(study.folder).latest(case) is None

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", flushed)
        patch.setattr(os, "replace", renamed)
        study.add_revision(case, make_labels())
    assert done[-3:] == [
        ("flush", "labels.seg.nrrd"),
        ("rename", "r0001.seg.nrrd"),
        ("flush", "scan"),
    ]
    assert ("flush", "labels") in done and ("flush", "study") in done, "new folders last, too"
