"""The warm worker: loads once, answers every line, and lives on after a bad one."""

import json
import signal
import time

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.segmentation import read_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import Study
from Testing.jobs.running import content, start


@pytest.fixture
def worker(trained):
    """A worker that has said it is ready."""
    process = start("serve", trained, "--device", "cpu")
    ready = json.loads(process.stdout.readline())
    assert ready["event"] == "ready" and ready["round"] == 1 and ready["channels"] == 1
    yield process
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


def tell(process, request) -> None:
    """Send one line."""
    process.stdin.write((request if isinstance(request, str) else json.dumps(request)) + "\n")
    process.stdin.flush()


def ask(process, request) -> dict:
    """Send one line and read the one line that answers it."""
    tell(process, request)
    return json.loads(process.stdout.readline())


def test_it_segments_again_and_again_and_survives_bad_requests(worker, trained, data, tmp_path):
    outs = [tmp_path / "a.seg.nrrd", tmp_path / "new" / "b.seg.nrrd"]
    folder = tmp_path / "folder.nrrd"
    request = {"id": 1, "command": "segment", "images": [str(data.image(3))]}
    answer = ask(worker, request | {"out": str(outs[0])})
    assert answer["ok"] and answer["id"] == 1 and answer["out"] == str(outs[0])

    bad = {
        "not JSON": "isn't JSON",
        "[1]": "a JSON object",
        '{"id": 2, "command": "dance"}': "no command 'dance'",
        '{"id": 2, "command": "segment"}': "needs",
        '{"id": 2, "command": "segment", "images": "a", "out": "b"}': "list of paths",
        '{"id": 2, "command": "segment", "images": [""], "out": "b.nii"}': "list of paths",
        json.dumps(request | {"id": 2, "out": ""}): "'out' of a request is empty",
        '{"id": 2, "command": "segment", "case": "p2", "out": ""}': "'out' of a request is empty",
        '{"id": 2, "command": "segment", "case": "p9"}': "no case 'p9'",
        '{"id": 2, "command": "segment", "images": ["none.nii"], "out": "b.seg.nrrd"}': "none.nii",
        '{"id": 2, "command": "ping", "speed": 3}': "no field 'speed'",
        json.dumps(request | {"id": 2, "out": str(outs[0])}): "exists already",
        json.dumps(request | {"id": 2, "out": str(tmp_path / "x.png")}): "x.png has no ending",
        json.dumps(request | {"id": 2, "out": str(outs[0] / "x.nii.gz")}): "isn't a folder",
        json.dumps(request | {"id": 2, "out": str(folder), "overwrite": True}): "is a folder: name",
        json.dumps(request | {"id": 2, "case": "p2"}): "either 'case' or 'images'",
        '{"id": 2, "command": "segment", "case": "p2", "series": "1.2"}': "either 'case' or 'ser",
    }
    folder.mkdir()
    before = content(tmp_path)
    for line, said in bad.items():
        answer = ask(worker, line)
        assert answer["ok"] is False and said in answer["error"], line
        assert "details in" not in answer["error"], "That is a fault of the worker."
        assert answer["id"] == (2 if '"id": 2' in line else None)

    assert content(tmp_path) == before and not outs[1].parent.exists()
    assert ask(worker, {"id": "x", "command": "ping"}) == {"id": "x", "ok": True}
    again = ask(worker, request | {"out": str(outs[1])})
    assert again["ok"] and again["seconds"] < 5
    assert (read_segmentation(outs[0])[0].array == read_segmentation(outs[1])[0].array).all()
    assert ask(worker, request | {"out": str(outs[1]), "overwrite": True})["ok"]

    study = Study.open(trained)
    kept = ask(worker, {"id": 3, "command": "segment", "case": "p2"})["prediction"]
    assert kept == str(study.prediction(study.current_round(), study.case("p2")))
    assert ask(worker, {"id": 4, "command": "reload"})["round"] == 1
    assert ask(worker, {"id": 5, "command": "quit"}) == {"id": 5, "ok": True}
    assert worker.wait(20) == 0
    assert worker.stderr.read() == ""


def test_a_cancel_stops_what_was_asked_before_and_nothing_after(worker, tmp_path):
    rng = np.random.default_rng(0)
    grid = Geometry((160, 160, 160), (1.5, 1.0, 1.0))
    large = Volume(rng.normal(0, 5, grid.shape).astype(np.float32), grid)
    write_volume(tmp_path / "large.nii.gz", large)
    request = {"command": "segment", "images": [str(tmp_path / "large.nii.gz")]}
    for number in (1, 2):
        out = str(tmp_path / f"{number}.seg.nrrd")
        tell(worker, request | {"id": number, "out": out, "uncertainty": number == 1})
    time.sleep(0.7)  # the first one is at work
    began = time.monotonic()
    for said in ({"id": 3, "command": "cancel"}, {"id": 4, "command": "segment", "case": "p2"}):
        tell(worker, said)
    answers = [json.loads(worker.stdout.readline()) for _ in range(4)]
    assert time.monotonic() - began < 30
    assert [answer["id"] for answer in answers] == [1, 2, 3, 4]
    canceled = {"ok": False, "error": "This request was canceled.", "canceled": True}
    assert answers[:2] == [{"id": 1} | canceled, {"id": 2} | canceled]
    assert answers[2] == {"id": 3, "ok": True} and answers[3]["ok"]
    assert [path.name for path in tmp_path.iterdir()] == ["large.nii.gz"]


def test_it_ends_when_its_input_ends_or_a_signal_comes_while_it_waits(worker, trained):
    other = start("serve", trained / "models" / "round-001", "--device", "cpu")
    assert json.loads(other.stdout.readline())["round"] is None
    other.send_signal(signal.SIGTERM)
    worker.stdin.close()
    assert worker.wait(20) == 0
    assert other.wait(20) == 130
    assert other.communicate() == ("", "activesegloop: Stopped.\n")
