"""Segmenting in a scene without waiting: stopped at once, and nothing of it is left behind."""

import tempfile
import threading
import time

import numpy as np
import pytest

from ActiveSegLoopLib.images.volume import Volume
from Testing.scene.conftest import GRID

AT_ONCE = 1.0  # seconds; the writing below waits for as long as the test wants


class Worker:
    """A worker that is asked and never answers."""

    def __init__(self):
        self.is_closed = False

    def segment_images(self, images, out):
        return 1

    def poll(self):
        return []

    def close(self):
        self.is_closed = True


@pytest.fixture
def writing(monkeypatch):
    """The image is written as soon as this event is set."""
    from ActiveSegLoopLib.scene import segmenting

    go_on, original = threading.Event(), segmenting.write_volume

    def written(path, volume):
        go_on.wait(20)
        original(path, volume)

    monkeypatch.setattr(segmenting, "write_volume", written)
    yield go_on
    go_on.set()


@pytest.fixture
def task(scene, study, writing, tmp_path, monkeypatch):
    """A volume of the scene that is to be segmented; its image is being written."""
    from ActiveSegLoopLib.scene.segmenting import Segmenting
    from ActiveSegLoopLib.scene.volumes import volume_node

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    node = volume_node(Volume(np.zeros(GRID.shape, np.int16), GRID), "ct")
    made = Segmenting(study, Worker(), [node])
    assert [event["event"] for event in made.poll()] == ["begun"]
    return made


def left(tmp_path):
    """The names in the folder for temporary files."""
    return [path.name for path in (tmp_path / "temporary").iterdir()]


def wait_for_nothing_left(tmp_path):
    """The temporary folder is gone soon."""
    end = time.monotonic() + 10
    while left(tmp_path):
        assert time.monotonic() < end, left(tmp_path)
        time.sleep(0.01)


@pytest.mark.parametrize("stop", ["cancel", "close"])
def test_stopping_does_not_wait_for_what_is_being_written(task, writing, tmp_path, stop):
    began = time.monotonic()
    getattr(task, stop)()
    task.poll()
    assert task.status == 130 and not task.is_running
    assert time.monotonic() - began < AT_ONCE
    assert left(tmp_path), "it is still being written there"
    writing.set()
    wait_for_nothing_left(tmp_path)


def test_nothing_is_left_of_a_segmentation_that_is_stopped_after_the_writing(
    task, writing, tmp_path
):
    writing.set()
    task._step.finish()
    task.cancel()
    assert task.poll() == [{"event": "exit", "status": 130}]
    assert left(tmp_path) == []


def test_a_stopped_segmentation_ends_the_worker_that_works_for_it(task, writing, tmp_path):
    writing.set()
    task._step.finish()
    task.poll()
    task.cancel()
    task.poll()
    assert task._worker.is_closed and left(tmp_path) == []
