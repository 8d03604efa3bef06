"""Files that are either whole or not there, whenever a process is killed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.study.locks import ProcessLock

STAGING = ".tmp-"
_LOCK = ".lock"


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path of the same name to write to, moved to the given one when all went well.

    The file is flushed to the disk, then renamed over what was there; the folder is made when it
    is missing. An exception inside leaves everything as it was.
    """
    path = Path(path)
    make_folder(path.parent)
    with staging(path.parent) as folder:
        temporary = folder / path.name
        yield temporary
        flush(temporary)
        publish(temporary, path)


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A folder for unfinished files inside another one, gone afterwards.

    It is locked while this process uses it, so that is_left tells it from one whose process was
    killed.
    """
    while True:
        temporary = folder / f"{STAGING}{uuid.uuid4().hex}"
        try:
            temporary.mkdir()
            lock = _locked(temporary)
        except OSError as error:
            raise StudyError(
                f"{folder} can't be written to: {error.strerror or error}."
            ) from error
        if lock is not None:
            break
        shutil.rmtree(temporary, ignore_errors=True)
    try:
        yield temporary
    finally:
        lock.release()
        shutil.rmtree(temporary, ignore_errors=True)


def _locked(temporary: Path) -> ProcessLock | None:
    """The lock of a fresh staging folder, or None when somebody cleared it away just now."""
    try:
        lock = ProcessLock.acquire(temporary / _LOCK)
    except FileNotFoundError:
        return None
    if lock is not None and not (temporary / _LOCK).exists():
        lock.release()
        return None
    return lock


def remove_if_left(temporary: Path) -> bool:
    """Remove a staging folder that no living process uses; False when one does."""
    try:
        lock = ProcessLock.acquire(temporary / _LOCK)
    except FileNotFoundError:
        return True
    if lock is None:
        return False
    if os.name == "nt":
        lock.release()  # Windows can't remove a file that is open.
    try:
        shutil.rmtree(temporary)
    except OSError as error:
        # Another process came upon it at the same moment, and removes it just as well.
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
            raise
    finally:
        lock.release()
    return True


def is_left(temporary: Path) -> bool:
    """Whether no living process uses a staging folder; changes nothing."""
    return temporary.exists() and not ProcessLock.is_held(temporary / _LOCK)


def make_folder(folder: Path) -> None:
    """Make a folder, and those it lies in, that last; nothing happens when it exists."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
        flush(folder.parent)
    except OSError as error:
        raise StudyError(f"{folder} can't be made: {error.strerror or error}.") from error


def publish(temporary: Path, path: Path) -> None:
    """Move a flushed file to its name and make that last; raises StudyError when that fails."""
    try:
        os.replace(temporary, path)
        flush(path.parent)
    except OSError as error:
        raise StudyError(f"{path} can't be written: {error.strerror or error}.") from error


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows can't open folders; NTFS journals its names.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
