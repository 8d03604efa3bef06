"""Readers' own messages kept from the user's terminal."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import SimpleITK as sitk

_one_at_a_time = threading.RLock()


@contextmanager
def quiet_itk() -> Iterator[None]:
    """No ITK warning is printed inside; the former state returns afterwards."""
    with _one_at_a_time:  # the switch belongs to the whole process
        shown = sitk.ProcessObject.GetGlobalWarningDisplay()
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
        try:
            yield
        finally:
            sitk.ProcessObject.SetGlobalWarningDisplay(shown)


@contextmanager
def captured_stderr() -> Iterator[list[str]]:
    """Collect what C libraries (HDF5, libtiff, libjpeg, MetaIO) print to stderr by themselves.

    Gives a list that holds the lines when the block ends. The file descriptor belongs to the whole
    process, so this is for the few formats whose libraries print, not for every read.
    """
    lines: list[str] = []
    with _one_at_a_time:
        try:
            kept = os.dup(2)
        except OSError:  # a window application without a stderr: nothing to keep quiet
            yield lines
            return
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
            try:
                yield lines
            finally:
                os.dup2(kept, 2)
                os.close(kept)
                sink.seek(0)
                lines += sink.read().decode(errors="replace").splitlines()
