"""Surface errors of a study's comparisons (Kim 2020, Table 3).

The SD within a case (over the points of a surface) and the SD across cases are different things
and stand in different columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ActiveSegLoopLib.evaluation.overlap import summarize
from ActiveSegLoopLib.evaluation.reporting.surface_pairs import KINDS, ComparedPair
from ActiveSegLoopLib.evaluation.reporting.table import (
    Column,
    Row,
    Table,
    number,
    percent,
    spread,
    words,
)
from ActiveSegLoopLib.evaluation.stage_table import TOTAL

_STATS = (
    "count", "rms", "mean", "sd", "median", "p95", "maximum", "within_1mm", "within_2mm",
    "signed_mean",
)


def surface_case_rows(compared: Sequence[ComparedPair], names: dict[str, str]) -> Table:
    """Every number of every comparison, in both directions and together; only in the files."""
    rows = []
    for entry in compared:
        pair = entry.pair
        first, second = pair.names()
        for id, found in entry.structures.items():
            row = {
                "comparison": pair.kind, "case": pair.case.name, "patient": pair.case.group,
                "role": pair.case.role, "round": pair.round, "first": first, "second": second,
                "structure": names[id], "dice": found.dice, "iou": found.iou,
                "surface_dice": found.surface_dice, "tolerance_mm": found.tolerance_mm,
                "first_ml": found.first_ml, "second_ml": found.second_ml,
                "difference_ml": found.difference_ml, "false_positive_ml": found.false_positive_ml,
            }
            for direction in ("symmetric", "a_to_b", "b_to_a"):
                stats = getattr(found.surface, direction)
                row |= {f"{direction}_{key}": getattr(stats, key) for key in _STATS}
            rows.append(row | {"fits": found.fits, "verdict": found.verdict})
    return Table("surfaces", "Every surface comparison", rows)


def surface_summary(
    compared: Sequence[ComparedPair], names: dict[str, str], limit_mm: float
) -> Table | None:
    """The comparisons by kind and structure, over the cases; None when there are none."""
    rows = []
    for kind in KINDS:
        entries = [entry for entry in compared if entry.pair.kind == kind]
        if not entries:
            continue
        for id, name in [*names.items(), (None, TOTAL)]:
            found = [s for e in entries for key, s in e.structures.items() if id in (None, key)]
            if found:
                rows.append({"comparison": kind, "structure": name} | _summary(found))
    if not rows:
        return None
    columns = (
        words("comparison", "between"),
        words("structure", "structure"),
        Column("n", lambda row: str(row["n"])),
        spread("rms_mean", "rms_sd_across_cases", "RMS, mm, mean ± SD across cases"),
        number("sd_within_cases", "SD within a case, mm"),
        number("mean_distance", "mean distance, mm"),
        number("signed_mean", "signed mean, mm"),
        number("median", "median, mm"),
        number("p95", "95th percentile, mm"),
        number("maximum", "largest, mm", 1),
        percent("within_1mm", "within 1 mm, %"),
        percent("within_2mm", "within 2 mm, %"),
        percent("surface_dice", "surface Dice, %"),
        Column("points", lambda row: str(row["points"])),
        Column(f"RMS below {limit_mm:g} mm", _fits, False),
    )
    notes = [
        "Distances are from every point of each surface to the closest point of the other, both "
        "directions together, on surfaces without smoothing; undefined where a structure is "
        "missing in one of the two. n and the means are over the structures and cases where it is "
        "defined, the largest distance is over all of them. The signed mean is positive where the "
        "first of the two reaches beyond the second; the shares within 1 and 2 mm are of the "
        "points. Surface Dice: share of the surface's area "
        f"within {compared[0].structures[next(iter(compared[0].structures))].tolerance_mm:g} mm.",
    ]
    return Table("surface_summary", "Surface error", rows, columns, notes)


def _summary(found: Sequence) -> dict:
    defined = [s.surface.symmetric for s in found if not s.surface.reason]
    rms = summarize(stats.rms for stats in defined)
    verdicts = [s.fits for s in found if s.fits is not None]
    return {
        "n": len(defined),
        "undefined": len(found) - len(defined),
        "points": sum(stats.count for stats in defined),
        "rms_mean": rms.mean,
        "rms_sd_across_cases": rms.sd,
        "sd_within_cases": summarize(stats.sd for stats in defined).mean,
        "mean_distance": summarize(stats.mean for stats in defined).mean,
        "signed_mean": summarize(stats.signed_mean for stats in defined).mean,
        "median": summarize(stats.median for stats in defined).mean,
        "p95": summarize(stats.p95 for stats in defined).mean,
        "maximum": max((stats.maximum for stats in defined), default=math.nan),
        "within_1mm": summarize(stats.within_1mm for stats in defined).mean,
        "within_2mm": summarize(stats.within_2mm for stats in defined).mean,
        "surface_dice": summarize(s.surface_dice for s in found).mean,
        "fit": sum(verdicts),
        "judged": len(verdicts),
    }


def _fits(row: Row) -> str:
    return f"{row['fit']} of {row['judged']}" if row["judged"] else "no verdict"
