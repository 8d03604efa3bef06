"""Files that are whole or absent, and locks that die with their process."""

import errno
import os
import shutil
import subprocess
import sys

import pytest

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.study.files import (
    STAGING,
    atomic_write,
    is_left,
    make_folder,
    remove_if_left,
    sha256_of,
    staging,
)
from ActiveSegLoopLib.study.locks import ProcessLock
from Testing.repository import ROOT

HOLD = """
import sys
from pathlib import Path
from ActiveSegLoopLib.study.locks import ProcessLock
lock = ProcessLock.acquire(Path(sys.argv[1]))
print("held" if lock else "taken", flush=True)
sys.stdin.read()
"""


def holding(path):
    """Another process that tries to hold a lock until it is killed or its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


def test_a_file_appears_whole_under_its_name_and_nothing_stays_beside_it(tmp_path):
    target = tmp_path / "deep" / "er" / "model.json"
    with atomic_write(target) as path:
        assert path.name == "model.json"
        path.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert [p.name for p in target.parent.iterdir()] == ["model.json"]


def test_an_exception_leaves_the_old_file_as_it_was(tmp_path):
    target = tmp_path / "model.json"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_write(target) as path:
        path.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cant_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="file can't be made: File exists"):
        make_folder(tmp_path / "file" / "folder")


def test_the_hash_is_the_one_that_sha256sum_prints(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


def test_a_folder_in_use_isnt_left_and_one_that_was_left_is_removed(tmp_path):
    with staging(tmp_path) as folder:
        assert not is_left(folder)
        assert not remove_if_left(folder)
        assert folder.is_dir()
    left = tmp_path / f"{STAGING}0"
    left.mkdir()
    (left / "half.seg.nrrd").write_text("x")
    assert is_left(left)
    assert remove_if_left(left)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left_behind", [False, True])
def test_two_that_clear_away_the_same_leftover_dont_fail_each_other(
    tmp_path, monkeypatch, left_behind
):
    left = tmp_path / f"{STAGING}left"
    left.mkdir()
    (left / "half a file").write_bytes(b"half")
    remove = shutil.rmtree

    def another_was_faster(folder):
        remove(folder)
        if left_behind:  # the other one has just taken the lock in the folder
            raise OSError(errno.ENOTEMPTY, "Directory not empty")
        remove(folder)

    monkeypatch.setattr(shutil, "rmtree", another_was_faster)
    assert remove_if_left(left) and not left.exists()


def test_a_leftover_that_may_not_be_removed_is_told(tmp_path, monkeypatch):
    (tmp_path / f"{STAGING}left").mkdir()

    def refused(folder):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refused)
    with pytest.raises(PermissionError):
        remove_if_left(tmp_path / f"{STAGING}left")


def test_a_lock_is_held_by_one_process_and_let_go_when_that_is_killed(tmp_path):
    path = tmp_path / ".lock"
    process, said = holding(path)
    try:
        assert said == "held"
        assert ProcessLock.acquire(path) is None
        assert ProcessLock.is_held(path) and not ProcessLock.is_ours(path)
        assert ProcessLock.is_held(path), "looking doesn't take it away"
    finally:
        process.kill()
        process.wait()
    assert path.exists() and not ProcessLock.is_held(path)
    lock = ProcessLock.acquire(path)
    assert ProcessLock.is_ours(path)
    lock.release()
    assert not ProcessLock.is_held(path)


def test_looking_at_ones_own_lock_doesnt_let_go_of_it(tmp_path):
    path = tmp_path / ".lock"
    lock = ProcessLock.acquire(path)
    assert ProcessLock.acquire(path) is None
    assert ProcessLock.is_held(path)
    process, said = holding(path)
    process.communicate()
    assert said == "taken"
    lock.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_forked_child_doesnt_keep_its_parents_lock(tmp_path):
    path = tmp_path / ".lock"
    lock = ProcessLock.acquire(path)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(read, 1)
        os._exit(0)
    lock.release()
    process, said = holding(path)
    process.communicate()
    os.write(write, b"x")
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)
    assert said == "held"
