"""What the runs of an experiment have written: one line of JSON for each finished round."""

from __future__ import annotations

import json

from ActiveSegLoopLib.simulation.experiment import Experiment, RunKey

LINES = "rounds.jsonl"


def finished_rounds(experiment: Experiment, key: RunKey) -> list[dict]:
    """What the finished rounds of a run came to, the first one first."""
    path = experiment.run_folder(key) / LINES
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines][: experiment.rounds_of(key)]


def is_finished(experiment: Experiment, key: RunKey) -> bool:
    """Whether all rounds of a run are done, or there was nothing left to label."""
    done = finished_rounds(experiment, key)
    return len(done) >= experiment.rounds_of(key) or bool(done and done[-1]["exhausted"])
