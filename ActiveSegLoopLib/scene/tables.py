"""Results as table nodes, which Slicer shows, plots, saves and exports."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import vtk

from ActiveSegLoopLib.evaluation.comparison import StructureComparison
from ActiveSegLoopLib.scene.ownership import named


def table(name: str, columns: Mapping[str, Sequence[Any]]) -> Any:
    """Our table node of this name with these columns; one that is there already is filled anew.

    A column of texts becomes one of texts, all else numbers; None becomes NaN.
    """
    node = named("table", name, "vtkMRMLTableNode")
    made = vtk.vtkTable()
    for title, values in columns.items():
        made.AddColumn(_column(title, list(values)))
    node.SetAndObserveTable(made)
    return node


def comparison_table(comparisons: Sequence[StructureComparison | Mapping], name: str) -> Any:
    """A row per structure: overlap, volumes, surface distances in mm, the verdict in words.

    comparisons: what compare_segmentations returned, or their to_dict().
    """
    rows = [c if isinstance(c, Mapping) else c.to_dict() for c in comparisons]
    surfaces = [row["surface"]["symmetric"] for row in rows]
    columns: dict[str, list[Any]] = {
        "Structure": [row["name"] for row in rows],
        "Dice": [row["dice"] for row in rows],
        "IoU": [row["iou"] for row in rows],
        "Surface Dice": [row["surface_dice"] for row in rows],
        "First (ml)": [row["first_ml"] for row in rows],
        "Second (ml)": [row["second_ml"] for row in rows],
        "Difference (ml)": [row["difference_ml"] for row in rows],
    }
    for title, key in (
        ("Surface RMS (mm)", "rms"), ("Mean (mm)", "mean"), ("SD (mm)", "sd"),
        ("Median (mm)", "median"), ("95 % (mm)", "p95"), ("Maximum (mm)", "maximum"),
        ("Within 1 mm", "within_1mm"), ("Within 2 mm", "within_2mm"), ("Points", "count"),
    ):
        columns[title] = [surface[key] for surface in surfaces]
    columns["Verdict"] = [row["verdict"] for row in rows]
    return table(name, columns)


def _column(title: str, values: list[Any]) -> Any:
    texts = any(isinstance(value, str) for value in values)
    column = vtk.vtkStringArray() if texts else vtk.vtkDoubleArray()
    column.SetName(title)
    for value in values:
        if texts:
            column.InsertNextValue("" if value is None else str(value))
        else:
            column.InsertNextValue(math.nan if value is None else float(value))
    return column
