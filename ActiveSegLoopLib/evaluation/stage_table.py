"""The stages of an experiment: training cases, accuracy, and what was left to correct."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ActiveSegLoopLib.evaluation.overlap import Overlap, Summary, summarize

TOTAL = "total"


@dataclass(frozen=True)
class Stage:
    """One training and its test.

    training_cases: how many it was trained on. overlaps: for each test case what compare_labels
    returned. corrected: for each case that was segmented by the model before and then corrected
    for this training, the share of voxels changed by structure, and under "total" that of all.
    """

    name: str
    training_cases: int
    overlaps: Sequence[Mapping[str, Overlap]]
    corrected: Sequence[Mapping[str, float]] = field(default_factory=tuple)

    @property
    def structures(self) -> list[str]:
        """Names of the structures, in order."""
        return list(dict.fromkeys(name for case in self.overlaps for name in case))

    def dice(self, structure: str) -> Summary:
        """Dice of one structure over the test cases, or of all values together for "total"."""
        names = self.structures if structure == TOTAL else [structure]
        return summarize(case[n].dice for n in names for case in self.overlaps if n in case)

    def share_corrected(self, structure: str) -> Summary:
        """Share of a structure's voxels that had to be corrected, over the corrected cases."""
        return summarize(case[structure] for case in self.corrected if structure in case)

    def false_positives(self, structure: str) -> list[float]:
        """Volumes in ml predicted in test cases that don't have the structure."""
        cases = [case[structure] for case in self.overlaps if structure in case]
        return [c.predicted_ml for c in cases if c.truth_voxels == 0 and c.predicted_voxels > 0]


def stage_table(stages: Sequence[Stage]) -> str:
    """Kim's Table 1 as text: mean ± SD of the Dice in %, and the share of voxels corrected.

    Means are over the test cases that have the structure in truth or prediction ("total": over all
    values), SDs are the sample's. Structures predicted where there are none are listed below.
    """
    structures = list(dict.fromkeys(n for stage in stages for n in stage.structures))
    rows = [
        ("", [stage.name for stage in stages]),
        ("training cases", [str(stage.training_cases) for stage in stages]),
        ("test cases", [str(len(stage.overlaps)) for stage in stages]),
        None,
        ("Dice, %", [""] * len(stages)),
    ]
    for name in (*structures, TOTAL):
        rows.append((f"  {name}", [_percent(stage.dice(name)) for stage in stages]))
    if any(stage.corrected for stage in stages):
        rows += [None, ("voxels corrected, %", [""] * len(stages))]
        for name in (*structures, TOTAL):
            cells = [_percent(stage.share_corrected(name)) for stage in stages]
            rows.append((f"  {name}", cells))
    lines = [_columns(rows)]
    for stage in stages:
        for name in structures:
            volumes = stage.false_positives(name)
            if volumes:
                cases = "1 case" if len(volumes) == 1 else f"{len(volumes)} cases"
                mean = sum(volumes) / len(volumes)
                lines.append(
                    f"{stage.name}: {name} found in {cases} without any ({mean:.1f} ml on average)"
                )
    return "\n".join(lines)


def _percent(summary: Summary) -> str:
    if summary.count == 0:
        return "–"
    spread = "" if math.isnan(summary.sd) else f" ± {100 * summary.sd:5.2f}"
    return f"{100 * summary.mean:.2f}{spread}"


def _columns(rows: Sequence[tuple[str, list[str]] | None]) -> str:
    filled = [row for row in rows if row is not None]
    first = max(len(title) for title, _ in filled)
    widths = [max(len(cell) for cell in column) for column in zip(*(c for _, c in filled))]
    rule = "─" * (first + sum(width + 3 for width in widths))
    lines = []
    for row in rows:
        if row is None:
            lines.append(rule)
        else:
            cells = "".join(f"   {cell:>{width}}" for cell, width in zip(row[1], widths))
            lines.append(f"{row[0]:<{first}}{cells}".rstrip())
    return "\n".join(lines)
