"""Curves as plot nodes: scores along an axis, a training as it goes, accuracy over the rounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import slicer

from ActiveSegLoopLib.scene.ownership import named, own
from ActiveSegLoopLib.scene.tables import table
from ActiveSegLoopLib.study.colors import distinct_colors
from ActiveSegLoopLib.study.study import Study


def chart(
    name: str,
    x: tuple[str, Sequence[float]],
    curves: Mapping[str, Sequence[float]],
    y_title: str,
    colors: Mapping[str, Sequence[float]] | None = None,
) -> Any:
    """Our chart node of this name with curves over x (title, values); one there is drawn anew.

    colors: r, g, b from 0 to 1 by curve, distinct ones where left out.
    """
    x_title, positions = x
    source = table(name, {x_title: positions, **curves})
    node = named("chart", name, "vtkMRMLPlotChartNode")
    node.RemoveAllPlotSeriesNodeIDs()
    free = iter(distinct_colors(len(curves), []))
    for title in curves:
        color = (colors or {}).get(title) or next(free)
        series = series_node(f"{name}: {title}", title, source, x_title, color)
        node.AddAndObservePlotSeriesNodeID(series.GetID())
    for other in _series_of(name):
        if other.GetName() not in {f"{name}: {title}" for title in curves}:
            slicer.mrmlScene.RemoveNode(other)
    node.SetTitle(name)
    node.SetXAxisTitle(x_title)
    node.SetYAxisTitle(y_title)
    node.SetLegendVisibility(len(curves) > 1)
    return node


def series_node(
    name: str, column: str, source: Any, x_column: str, color: Sequence[float]
) -> Any:
    """Our series node of this name: a column of a table over another one, as points on a line."""
    node = named("series", name, "vtkMRMLPlotSeriesNode")
    node.SetAndObserveTableNodeID(source.GetID())
    node.SetXColumnName(x_column)
    node.SetYColumnName(column)
    node.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    node.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleSolid)
    node.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
    node.SetColor(*map(float, color))
    return node


def slice_scores(name: str, plane: str, scores: Mapping[int, float]) -> Any:
    """A chart of a score along a plane's axis: by slice number, in order."""
    slices = sorted(scores)
    return chart(
        name, (f"{plane.capitalize()} slice", slices), {"Score": [scores[i] for i in slices]},
        "Score",
    )


def learning_curve(study: Study, name: str = "Learning curve") -> Any:
    """A chart of the validation Dice of every label over the labeled cases of each round.

    None when no round has a validation yet.
    """
    rounds = [r for r in study.rounds() if r.state == "finished" and (r.metrics or {}).get("dice")]
    if not rounds:
        return None
    labels = study.schema.labels
    curves = {
        label.name: [_number(r.metrics["dice"].get(label.name)) for r in rounds]
        for label in labels
    }
    colors = {label.name: label.color for label in labels}
    cases = [float(r.metrics["training_cases"]) for r in rounds]
    return chart(name, ("Cases trained on", cases), curves, "Validation Dice", colors)


class TrainingChart:
    """The loss and the validation Dice of a training, drawn while it goes on.

        chart = TrainingChart()
        chart.add(job.poll())          # in a timer's slot
        chart.node                     # to be shown in a plot view
    """

    def __init__(self, name: str = "Training") -> None:
        self._name = name
        self._loss: tuple[list[float], list[float]] = ([], [])
        self._dice: tuple[list[float], list[float]] = ([], [])
        self._before = 0
        self._stage: str | None = None
        self._step = 0
        self.node = named("chart", name, "vtkMRMLPlotChartNode")
        self.node.RemoveAllPlotSeriesNodeIDs()
        self.node.SetTitle(name)
        self.node.SetXAxisTitle("Step")
        self.node.SetYAxisTitle("Loss, Dice")
        for title, color in (("Loss", (0.85, 0.4, 0.1)), ("Validation Dice", (0.1, 0.4, 0.75))):
            source = self._table(title, ([], []))
            series = series_node(f"{name}: {title}", title, source, "Step", color)
            if title == "Loss":
                series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
            self.node.AddAndObservePlotSeriesNodeID(series.GetID())

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Draw what a job has told: the curves change once for all these events."""
        counts = len(self._loss[0]), len(self._dice[0])
        for event in events:
            if event.get("event") == "progress" and event.get("loss") is not None:
                self._enter(event["stage"])
                self._step = int(event["step"])
                self._append(self._loss, event["loss"])
            elif event.get("event") == "validation" and event.get("dice") is not None:
                self._enter(event["stage"])
                self._append(self._dice, event["dice"])
        if len(self._loss[0]) > counts[0]:
            self._table("Loss", self._loss)
        if len(self._dice[0]) > counts[1]:
            self._table("Validation Dice", self._dice)

    def _enter(self, stage: str) -> None:
        """Stages follow one another along the axis."""
        if stage != self._stage:
            self._before += self._step
            self._stage, self._step = stage, 0

    def _append(self, curve: tuple[list[float], list[float]], value: float) -> None:
        curve[0].append(float(self._before + self._step))
        curve[1].append(float(value))

    def _table(self, title: str, curve: tuple[list[float], list[float]]) -> Any:
        return own(
            table(f"{self._name}: {title}", {"Step": curve[0], title: curve[1]}), "table"
        )


def _series_of(name: str) -> list[Any]:
    from ActiveSegLoopLib.scene.ownership import find

    return [node for node in find("series") if node.GetName().startswith(f"{name}: ")]


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
