"""Pictures of Zharov's experiment: performance over effort, and what the best spend effort on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ActiveSegLoopLib.simulation.plots import MARKERS, PALETTE, STYLE, save_figure

_NAMES = {"quality": "quality (IoU)", "diversity": "share of volumes",
          "completeness": "share of slices"}


def draw_virtues(summary: Mapping, folder: Path) -> list[str]:
    """Draw a summary (see virtue_results.summarize_virtues) into a folder; the pictures' names."""
    comparisons = [c for c in summary["comparisons"].values() if len(c["points"]) > 1]
    if not comparisons or not summary["full"]:
        return []
    with rc_context(STYLE):
        figure = Figure(figsize=(7.4, 0.5 + 2.9 * len(comparisons)), facecolor="white",
                        layout="constrained")
        panels = figure.subplots(len(comparisons), 2, squeeze=False)
        for (left, right), found in zip(panels, comparisons):
            _trajectory(left, found)
            _spent(right, found)
        return save_figure(figure, folder, "virtues")


def _trajectory(axes: Axes, found: Mapping) -> None:
    """Every point over its effort; color and marker are the two virtues that vary."""
    by_color, by_marker = (_grouped(found["points"], name) for name in found["virtues"][:2])
    palette = colormaps["viridis"](np.linspace(0, 0.9, len(set(by_color))))
    colors = dict(zip(sorted(set(by_color)), palette))
    markers = dict(zip(sorted(set(by_marker)), MARKERS * len(by_marker)))
    effort, performance = 100 * np.array(found["effort"]), _performance(found)
    for x, y, color, marker in zip(effort, performance, by_color, by_marker):
        axes.plot(x, y, markers[marker], color=colors[color], markersize=6)
    hull = found["hull"]
    axes.plot(effort[hull], performance[hull], color="0.25", linewidth=1.2, zorder=1,
              label="best trajectory")
    names = [_NAMES[name] for name in found["virtues"][:2]]
    entries = [(names[0], value, "s", color) for value, color in colors.items()]
    entries += [(names[1], value, marker, "0.45") for value, marker in markers.items()]
    for name, value, marker, color in entries:
        label = f"{name} {100 * value:.0f} %"
        axes.plot([], [], marker, color=color, markersize=5, label=label)
    axes.set_xlabel("effort, % (" + " x ".join(found["virtues"]) + ")")
    axes.set_ylabel("Dice, % of full annotation")
    axes.legend(fontsize=6.5, loc="lower right", labelspacing=0.25, handlelength=1.2)


def _spent(axes: Axes, found: Mapping) -> None:
    """The virtues of the points on the best trajectory over their performance."""
    performance = _performance(found)[found["hull"]]
    for number, virtue in enumerate(found["virtues"]):
        values = [100 * found["points"][i][virtue] for i in found["hull"]]
        axes.plot(performance, values, color=PALETTE[number], marker=MARKERS[number],
                  markersize=4.5, linewidth=1.5, label=_NAMES[virtue])
    axes.set_xlabel("Dice on the best trajectory, % of full annotation")
    axes.set_ylabel("virtue, %")
    axes.set_ylim(0, 105)
    axes.legend(fontsize=8)


def _grouped(points: Sequence[Mapping], virtue: str) -> list[float]:
    """A virtue of each point; the quality is the mean of all with the same interval."""
    if virtue != "quality":
        return [round(point[virtue], 3) for point in points]
    by_interval: dict[int, list[float]] = {}
    for point in points:
        by_interval.setdefault(point["interval"], []).append(point["quality"])
    return [round(float(np.mean(by_interval[point["interval"]])), 3) for point in points]


def _performance(found: Mapping) -> np.ndarray:
    return 100 * np.array([point["performance"] for point in found["points"]], float)
