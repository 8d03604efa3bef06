"""Pictures of an experiment, fit for a paper: each as PNG and, for print, as PDF."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ActiveSegLoopLib.evaluation.statistics import bootstrap_interval
from ActiveSegLoopLib.images.writing import replacing

DPI = 200
# Okabe and Ito's palette: told apart also by those who see colors differently.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933",
    "#882255", "#44AA99",
)
MARKERS = "os^DvPX*<>"
STYLE = {
    "font.size": 9, "axes.titlesize": 9.5, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "0.9", "axes.axisbelow": True, "pdf.fonttype": 42,
    "legend.frameon": False,
}


def draw_results(summary: Mapping, folder: Path) -> list[str]:
    """Draw a summary (see results.summarize_experiment) into a folder; the pictures' names."""
    if not summary["strategies"]:
        return []
    with rc_context(STYLE):
        pictures = {"curves": _curves(summary), "labels": _labels(summary)}
        if summary["correlations"]:
            pictures["correlations"] = _correlations(summary)
        names = []
        for name, figure in pictures.items():
            names += save_figure(figure, folder, name)
        return names


def save_figure(figure: Figure, folder: Path, name: str) -> list[str]:
    """Save a figure as PNG and PDF, the same file for the same figure; the files' names."""
    names = []
    for ending, moment in (("png", "Software"), ("pdf", "CreationDate")):
        with replacing(folder / f"{name}.{ending}") as temporary:
            figure.savefig(temporary, format=ending, dpi=DPI, metadata={moment: None})
        names.append(f"{name}.{ending}")
    return names


def _curves(summary: Mapping) -> Figure:
    """Mean Dice over the share of the pool and over the share of its foreground."""
    figure = Figure(figsize=(7.2, 3.4), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    unit = summary["settings"]["unit"]
    _draw(left, summary, "share", lambda run: run["mean_dice"])
    left.set_xlabel(f"{unit}s labeled, % of the pool")
    left.set_ylabel("mean Dice, unseen cases, %")
    _draw(right, summary, "foreground_share", lambda run: run["mean_dice"])
    right.set_xlabel("foreground voxels labeled, % of the pool")
    for axes in (left, right):
        _reference(axes, summary["full"]["mean_dice"])
    _legend(figure, left)
    return figure


def _labels(summary: Mapping) -> Figure:
    """Dice of each label over the share of the pool."""
    names = list(summary["labels"].values())
    across = min(3, len(names))
    down = math.ceil(len(names) / across)
    figure = Figure(figsize=(2.7 * across + 0.6, 2.5 * down + 0.6), facecolor="white",
                    layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharex=True).ravel()
    for axes, name in zip(panels, names):
        _draw(axes, summary, "share", lambda run, name=name: run["dice"][name])
        _reference(axes, summary["full"]["dice"][name], targets=())
        axes.set_title(name)
    for axes in panels[len(names):]:
        axes.set_axis_off()
    figure.supxlabel(f"{summary['settings']['unit']}s labeled, % of the pool", fontsize=9)
    figure.supylabel("Dice, unseen cases, %", fontsize=9)
    _legend(figure, panels[0])
    return figure


def _draw(axes: Axes, summary: Mapping, over: str, of) -> None:
    """A line per strategy: the mean over its seeds, and the 95 % interval of that mean.

    It ends where the budgets of its seeds part: beyond, a mean would be of other seeds or budgets.
    """
    for number, strategy in enumerate(summary["strategies"]):
        runs = [run for run in summary["runs"] if run["strategy"] == strategy]
        budgets = zip(*(run["units"] for run in runs))
        rounds = len(list(takewhile(lambda units: len(set(units)) == 1, budgets)))
        if rounds == 0:
            continue
        budget = 100 * np.mean([run[over][:rounds] for run in runs], axis=0)
        values = 100 * np.array([of(run)[:rounds] for run in runs], float)
        color = PALETTE[number % len(PALETTE)]
        low, high = np.array([bootstrap_interval(column) for column in values.T]).T
        axes.fill_between(budget, low, high, color=color, alpha=0.14, linewidth=0)
        axes.plot(budget, values.mean(axis=0), color=color, linewidth=1.5, markersize=4.5,
                  marker=MARKERS[number % len(MARKERS)], label=strategy.replace("_", " "))


def _reference(axes: Axes, dice: float | None, targets: Sequence[float] = (0.99, 0.95)) -> None:
    """Lines at the Dice of full annotation and at shares of it."""
    if dice is None:
        return
    axes.axhline(100 * dice, color="0.25", linewidth=1, label="all labels")
    for target, style in zip(targets, ("--", ":")):
        axes.axhline(100 * dice * target, color="0.25", linewidth=0.9, linestyle=style,
                     label=f"{100 * target:.0f} % of that")


def _correlations(summary: Mapping) -> Figure:
    """The rank correlation of each score with the true error of a slice."""
    found = summary["correlations"]
    scores = sorted(found, key=lambda score: _or_zero(found[score]["mean"]))
    figure = Figure(figsize=(5.2, 0.9 + 0.24 * len(scores)), facecolor="white",
                    layout="constrained")
    axes = figure.add_subplot()
    means = [_or_zero(found[score]["mean"]) for score in scores]
    spreads = [_or_zero(found[score]["sd"]) for score in scores]
    axes.barh(range(len(scores)), means, xerr=spreads, color=PALETTE[0], height=0.65,
              error_kw={"elinewidth": 0.9, "ecolor": "0.3"})
    axes.set_yticks(range(len(scores)), [score.replace("_", " ") for score in scores])
    axes.axvline(0, color="0.25", linewidth=0.8)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("rank correlation with 1 - Dice of the slice")
    return figure


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)),
                  columnspacing=1.4, handlelength=2.0)


def _or_zero(value: float | None) -> float:
    return 0.0 if value is None else value
