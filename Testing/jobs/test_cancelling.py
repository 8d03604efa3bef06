"""A training that is stopped goes on where it stopped."""

import json
import shutil
import signal

import pytest

from Testing.jobs.running import call, events_of, start

ITERATIONS = 60


def until_step(process, least: int) -> int:
    """Read events until the segmenter has made `least` steps in this process; returns its step."""
    seen = 0
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and event["stage"] == "segmenter":
            seen += 1
            if seen == least:
                return event["step"]
    pytest.fail(process.stderr.read())


def test_a_stopped_training_goes_on_to_its_end(trained, tmp_path, capfd):
    study = tmp_path / "study"
    shutil.copytree(trained, study)
    train = (
        "train", study, "--preset", "fast", "--device", "cpu", "--iterations", ITERATIONS,
        "--events", "json",
    )
    ways = {
        (): lambda process: process.send_signal(signal.SIGTERM),
        ("--cancel-on-stdin-close",): lambda process: process.stdin.close(),
    }
    reached = 0
    for options, cancel in ways.items():
        process = start(*train, *options)
        step = until_step(process, 3)
        assert step == reached + 3, "It goes on after the last step that was made."
        cancel(process)
        events = [json.loads(line) for line in process.stdout]
        assert process.wait(20) == 130
        assert events[-2]["event"] == "cancelled" and events[-1]["status"] == 130
        said = process.stderr.read()
        assert said.startswith("activesegloop: ") and said.count("\n") == 1
        assert "run the same command again" in said
        reached = max([step, *(e["step"] for e in events if e["event"] == "progress")])
        assert reached < ITERATIONS

    (tmp_path / "stop").touch()
    assert call(*train, "--cancel-file", tmp_path / "stop") == 130
    capfd.readouterr()
    assert call(*train) == 0
    events = events_of(capfd.readouterr().out)
    steps = [e for e in events if e["event"] == "progress" and e["stage"] == "segmenter"]
    assert steps[0]["step"] == reached + 1 and steps[-1]["step"] == ITERATIONS
    assert "Going on with round 2." in [e.get("text") for e in events]
    metrics = json.loads((study / "models" / "round-002" / "metrics.json").read_text())
    assert len(metrics["stages"]["segmenter"]["losses"]) == ITERATIONS
