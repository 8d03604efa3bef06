"""Locks that a process holds and the system lets go of when it dies, however it dies."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

if os.name == "nt":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        # Record locks, unlike flock, aren't inherited by child processes, which may outlive us.
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True


# Closing any descriptor of a file drops all record locks that the process has on it, so a file
# that is locked here is never opened a second time. A forked child doesn't own its parent's locks.
_held: dict[tuple[int, str], ProcessLock] = {}
_guard = threading.Lock()


@dataclass(eq=False)
class ProcessLock:
    """A file that this process has locked; use acquire and release."""

    path: Path
    descriptor: int

    @classmethod
    def acquire(cls, path: Path) -> ProcessLock | None:
        """Lock a file, made when it is missing; None when a living process has it locked.

        Raises FileNotFoundError when its folder doesn't exist.
        """
        with _guard:
            if _key(path) in _held:
                return None
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                locked = _try_lock(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if not locked:
                os.close(descriptor)
                return None
            lock = cls(Path(os.path.realpath(path)), descriptor)
            _held[_key(path)] = lock
            return lock

    @staticmethod
    def is_held(path: Path) -> bool:
        """Whether a living process, this one included, has the file locked."""
        if ProcessLock.is_ours(path):
            return True
        if not path.exists():
            return False
        try:
            lock = ProcessLock.acquire(path)
        except FileNotFoundError:
            return False
        if lock is None:
            return True
        lock.release()
        return False

    @staticmethod
    def is_ours(path: Path) -> bool:
        """Whether this very process has the file locked."""
        with _guard:
            return _key(path) in _held

    @staticmethod
    def release_ours(path: Path) -> None:
        """Let go of a file if this process has it locked."""
        with _guard:
            lock = _held.get(_key(path))
        if lock is not None:
            lock.release()

    def release(self) -> None:
        """Let go of the file; it stays where it is."""
        with _guard:
            if _held.pop(_key(self.path), None) is not None:
                os.close(self.descriptor)


def _key(path: Path) -> tuple[int, str]:
    return os.getpid(), os.path.realpath(path)
