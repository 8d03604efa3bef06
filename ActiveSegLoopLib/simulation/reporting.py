"""The result files of an experiment: summary.json, table.txt and pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.results import summarize_experiment
from ActiveSegLoopLib.study.files import atomic_write


@dataclass(frozen=True)
class Written:
    """The table as text, the names of the files in the experiment's folder, and whether all runs
    are finished.
    """

    table: str
    files: tuple[str, ...]
    finished: bool


def write_results(experiment: Experiment) -> Written:
    """Write what an experiment has come to so far into its folder."""
    summary = summarize_experiment(experiment)
    with atomic_write(experiment.folder / "summary.json") as path:
        path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    table = json.dumps(summary["strategies"], indent=1)
    return Written(table, ("summary.json",), summary["finished"])
