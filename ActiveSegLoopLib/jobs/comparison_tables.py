"""Comparisons as text for people and as rows for spreadsheets."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ActiveSegLoopLib.evaluation.comparison import StructureComparison
from ActiveSegLoopLib.evaluation.overlap import summarize
from ActiveSegLoopLib.images.writing import replacing

DIRECTIONS = ("a_to_b", "b_to_a", "symmetric")
_EFFECTS = ("rms", "largest", "volume_before", "volume_after")  # of smoothing


@dataclass(frozen=True)
class Compared:
    """Two named segmentations of a case ("" for the only one), structure by structure."""

    case: str
    first: str
    second: str
    structures: Sequence[StructureComparison]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "case": self.case or None,
            "first": self.first,
            "second": self.second,
            "structures": [structure.to_dict() for structure in self.structures],
        }


def in_words(compared: Compared, directions: Sequence[str] = DIRECTIONS) -> str:
    """Tables of overlap and of distances with a line for each structure, and its verdict.

    directions: which of the distances are shown.
    """
    title = f"{compared.case}: " if compared.case else ""
    lines = [
        f"{title}{compared.first} against {compared.second}",
        *_columns(_overlaps(compared)),
        *_columns(_distances(compared, directions)),
        "Signed: positive where the surface lies outside the other one; both: where "
        f"{compared.first} lies outside {compared.second}.",
    ]
    lines += [f"{found.name}: {found.verdict}" for found in compared.structures]
    lines += [
        f"{found.name}, {name}: {effect}"
        for found in compared.structures
        for name, effect in zip((compared.first, compared.second), found.smoothing)
        if effect is not None
    ]
    for found in compared.structures:
        if found.overlap.truth_voxels == 0 and found.overlap.predicted_voxels:
            lines.append(
                f"{found.name}: {compared.second} has {found.false_positive_ml:.2f} ml of it, "
                f"{compared.first} none."
            )
    return "\n".join(lines)


def _overlaps(compared: Compared) -> list[list[str]]:
    tolerance = compared.structures[0].tolerance_mm
    rows = [[
        "", "Dice", "IoU", f"surface Dice {tolerance:g} mm", f"{compared.first} ml",
        f"{compared.second} ml", "difference ml", "false positive ml",
    ]]
    for found in compared.structures:
        volumes = found.first_ml, found.second_ml, found.difference_ml, found.false_positive_ml
        rows.append([
            found.name,
            *(_number(x, 3) for x in (found.dice, found.iou, found.surface_dice)),
            *(_number(x, 2) for x in volumes),
        ])
    return rows


def _distances(compared: Compared, directions: Sequence[str]) -> list[list[str]]:
    names = {
        "a_to_b": f"{compared.first} to {compared.second}",
        "b_to_a": f"{compared.second} to {compared.first}",
        "symmetric": "both",
    }
    by_area = compared.structures[0].surface.weighting == "area"
    rows = [[
        "mm, weighted by area" if by_area else "mm", "RMS", "mean", "SD", "median", "95 %", "max",
        "signed mean", "within 1 mm, %", "within 2 mm, %", "points",
    ]]
    for found in compared.structures:
        for direction in directions:
            s = getattr(found.surface, direction)
            rows.append([
                f"{found.name}, {names[direction]}",
                *(_number(x, 2) for x in (s.rms, s.mean, s.sd, s.median, s.p95, s.maximum)),
                _number(s.signed_mean, 2),
                *(_number(100 * x, 1) for x in (s.within_1mm, s.within_2mm)),
                str(s.count),
            ])
    return rows


def summary_in_words(all_compared: Sequence[Compared]) -> str:
    """For each pair the means over cases; only defined values count, and n says how many."""
    lines = []
    for first, second in dict.fromkeys((c.first, c.second) for c in all_compared):
        cases = [c.structures for c in all_compared if (c.first, c.second) == (first, second)]
        rows = [["", "Dice, mean ± SD (n)", "RMS mm, mean ± SD (n)", "fit for print"]]
        for name in dict.fromkeys(s.name for case in cases for s in case):
            found = [s for case in cases for s in case if s.name == name]
            judged = [s.fits for s in found if s.fits is not None]
            rows.append([
                name,
                _spread([s.dice for s in found], 3),
                _spread([s.surface.symmetric.rms for s in found], 2),
                f"{sum(judged)} of {len(judged)}",
            ])
        lines += [f"All cases, {first} against {second}", *_columns(rows)]
    return "\n".join(lines)


def write_csv(path: Path, all_compared: Sequence[Compared]) -> None:
    """A line for each case, pair and structure with every number; undefined ones are empty."""
    rows = [_row(compared, found) for compared in all_compared for found in compared.structures]
    with replacing(path) as temporary:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _row(compared: Compared, found: StructureComparison) -> dict[str, Any]:
    numbers = found.to_dict()
    surface, smoothing = numbers.pop("surface"), numbers.pop("smoothing")
    verdict = {key: numbers.pop(key) for key in ("fits", "verdict")}
    row = {"case": compared.case, "first": compared.first, "second": compared.second, **numbers}
    for direction in DIRECTIONS:
        row |= {f"{direction}_{key}": value for key, value in surface[direction].items()}
    row["smoothing"] = max((effect["factor"] for effect in smoothing if effect), default=0.0)
    for which, effect in zip(("first", "second"), smoothing):
        row |= {f"{which}_smoothing_{key}": effect and effect[key] for key in _EFFECTS}
    return row | {"weighting": surface["weighting"], "undefined": surface["reason"]} | verdict


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _spread(values: Sequence[float], digits: int) -> str:
    summary = summarize(values)
    if not summary.count:
        return "–"
    sd = "" if math.isnan(summary.sd) else f" ± {summary.sd:.{digits}f}"
    return f"{summary.mean:.{digits}f}{sd} ({summary.count})"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]
