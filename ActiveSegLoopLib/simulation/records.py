"""What the runs of an experiment have written: one line of JSON for each finished round."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np

from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.run_key import RunKey

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


def plain(value):
    """The same with None for NaN and plain numbers for NumPy's, as JSON needs it."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (float, np.floating)):
        return round(float(value), 6) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
