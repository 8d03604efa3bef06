"""The result files of an experiment: summary.json, table.txt and pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.results import summarize_experiment
from ActiveSegLoopLib.simulation.tables import results_table
from ActiveSegLoopLib.simulation.virtue_results import summarize_virtues, virtues_table
from ActiveSegLoopLib.simulation.virtue_settings import VirtueSettings
from ActiveSegLoopLib.study.files import atomic_write


@dataclass(frozen=True)
class Written:
    """The table as text, the files' names in the experiment's folder, and whether all is done."""

    table: str
    files: tuple[str, ...]
    finished: bool


def write_results(experiment: Experiment) -> Written:
    """Write what an experiment has come to so far into its folder."""
    if experiment.settings.KIND == VirtueSettings.KIND:
        from ActiveSegLoopLib.simulation.virtue_plots import draw_virtues as draw

        summary = summarize_virtues(experiment)
        table = virtues_table(summary)
    else:
        from ActiveSegLoopLib.simulation.plots import draw_results as draw

        summary = summarize_experiment(experiment)
        table = results_table(summary)
    texts = {"summary.json": json.dumps(summary, indent=1), "table.txt": table}
    for name, text in texts.items():
        with atomic_write(experiment.folder / name) as path:
            path.write_text(text + "\n", encoding="utf-8")
    pictures = draw(summary, experiment.folder)
    return Written(table, (*texts, *pictures), summary["finished"])
