"""What Zharov's experiment has come to: performance over effort, and the best trajectory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from ActiveSegLoopLib.selection.curves import upper_concave_hull
from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.records import finished_rounds, is_finished, plain
from ActiveSegLoopLib.simulation.run_key import RunKey
from ActiveSegLoopLib.simulation.tables import columns, number, percent
from ActiveSegLoopLib.simulation.virtue_settings import Virtues, VirtueSettings
from ActiveSegLoopLib.wording import counted

# What is compared: which points, and what effort is (Zharov 2022, sections 3.1 and 3.3).
QUALITY, COMPLETENESS, ALL = "quality and diversity", "diversity and completeness", "all three"


def summarize_virtues(experiment: Experiment) -> dict:
    """Everything that the experiment tells, also while it isn't finished; plain JSON values.

    A point is the median over its seeds (as in the paper); performance is normalized to the model
    trained on the labels of everything.
    """
    settings: VirtueSettings = experiment.settings
    points, first = [], None
    for virtues in settings.virtues():
        lines = []
        for seed in range(settings.seeds):
            lines += finished_rounds(experiment, RunKey(virtues.name, seed))
        if lines:
            points.append(_point(virtues, lines))
            first = first or lines[0]
    full = next((p["mean_dice"] for p in points if p["name"] == Virtues(1, 1.0, 1.0).name), None)
    for point in points:
        point["performance"] = point["mean_dice"] / full if full else float("nan")
    comparisons = {
        QUALITY: [p for p in points if p["completeness"] == 1],
        COMPLETENESS: [p for p in points if p["interval"] == 1],
    }
    if settings.together:
        comparisons[ALL] = points
    return plain({
        "finished": all(is_finished(experiment, key) for key in experiment.runs()),
        "settings": {"kind": settings.KIND, **asdict(settings)},
        "labels": experiment.schema.names,
        "pool_cases": len(experiment.role("pool")),
        "test_cases": len(experiment.role("test")),
        "training": first and first["settings"],
        "versions": first and first["versions"],
        "full": full,
        "points": points,
        "comparisons": {name: _compared(name, found) for name, found in comparisons.items()},
    })


def virtues_table(summary: Mapping) -> str:
    """The comparisons as text, each point with its effort; "*" is on the best trajectory."""
    settings = summary["settings"]
    blocks = [
        f"{counted(summary['pool_cases'], 'pool case')}, "
        f"{counted(summary['test_cases'], 'test case')} that no model sees; median of "
        f"{counted(settings['seeds'], 'seed')}. Trained on all labels: Dice "
        f"{number(summary['full'], 4)}, which is the performance 100 %."
        + ("" if summary["finished"] else " Not all runs are finished.")
    ]
    for name, found in summary["comparisons"].items():
        rows = [
            [
                percent(found["effort"][i]), percent(point["quality"]),
                percent(point["diversity"]), percent(point["completeness"]),
                number(point["mean_dice"], 4), percent(point["performance"]),
                "*" if i in found["hull"] else "",
            ]
            for i, point in enumerate(found["points"])
        ]
        header = ["effort", "quality (IoU)", "volumes", "slices", "Dice", "performance", "best"]
        blocks.append(f"{name.capitalize()}\n{columns(header, rows)}")
    return "\n\n".join(blocks)


def _point(virtues: Virtues, lines: Sequence[Mapping]) -> dict:
    measured = {
        name: float(np.mean([line["virtues"][name] for line in lines]))
        for name in ("quality", "diversity", "completeness")
    }
    values = [line["mean_dice"] for line in lines if line["mean_dice"] is not None]
    return {
        "name": virtues.name, "interval": virtues.interval, **measured,
        "mean_dice": float(np.median(values)) if values else float("nan"),
        "per_seed": values,
    }


def _compared(name: str, points: Sequence[Mapping]) -> dict:
    """The points by their effort, and which of them lie on the upper concave hull."""
    varied = {
        QUALITY: ("quality", "diversity"), COMPLETENESS: ("diversity", "completeness"),
        ALL: ("quality", "diversity", "completeness"),
    }[name]
    effort = [float(np.prod([point[virtue] for virtue in varied])) for point in points]
    order = np.argsort(effort, kind="stable")
    points, effort = [points[i] for i in order], [effort[i] for i in order]
    hull = upper_concave_hull(effort, [point["performance"] for point in points])
    return {"virtues": varied, "effort": effort, "points": points, "hull": hull}
