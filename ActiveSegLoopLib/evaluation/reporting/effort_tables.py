"""Labeling time (Kim 2020, Table 2) and the agreement of annotators, as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import product

from ActiveSegLoopLib.evaluation.agreement import Agreement
from ActiveSegLoopLib.evaluation.comparison import compare_segmentations
from ActiveSegLoopLib.evaluation.overlap import summarize
from ActiveSegLoopLib.evaluation.reporting.table import (
    Column,
    Table,
    between,
    minutes,
    number,
    percent,
    spread,
    words,
)
from ActiveSegLoopLib.evaluation.timing import (
    SLICE,
    WHOLE,
    LabelingTime,
    TimeComparison,
    compare_times,
)

_UNITS = {WHOLE: "whole volumes, time per case", SLICE: "single slices, time per slice"}
TWO, ONE_TWICE, UNKNOWN = (
    "two annotators", "one annotator, twice", "labels and a second labeling, annotators not named"
)
SUM, TOTAL_OF_CASE = "sum of the structures", "all of a case together"


def time_case_rows(times: Sequence[LabelingTime], names: dict[str, str]) -> Table:
    """Every time: one row for each case, origin, unit and structure; only in the files."""
    rows = [
        {
            "case": time.case, "labels": time.origin, "unit": time.unit, "amount": time.amount,
            "structure": names[id], "seconds": seconds,
        }
        for time in times
        for id, seconds in time.seconds.items()
    ]
    return Table("times", "Every labeling time", rows)


def time_summaries(times: Sequence[LabelingTime], names: dict[str, str]) -> list[Table]:
    """By hand against corrected, a table for each unit of work that the study has times of."""
    tables = []
    for unit, said in _UNITS.items():
        if not any(time.unit == unit for time in times):
            continue
        found = compare_times(times, list(names), unit)
        rows = [
            _row(names[id], row)
            for id, row in found.labels.items()
            if row.manual.count or row.corrected.count
        ]
        if len(found.labels_summed) > 1:
            rows.append(_row(SUM, found.sum))
        rows.append(_row(TOTAL_OF_CASE, found.total))
        columns = (
            words("structure", "structure"),
            minutes("manual_mean", "manual_sd", "by hand"),
            Column("n", lambda row: str(row["manual_n"])),
            minutes("corrected_mean", "corrected_sd", "corrected"),
            Column("n", lambda row: str(row["corrected_n"])),
            number("ratio", "corrected / by hand"),
            between("ratio_low", "ratio_high", "95 % interval"),
        )
        notes = [
            "Mean ± SD over n cases, as the labeling tool measured them; a second labeling of a "
            "case counts as one more. Pauses longer than the tool's idle limit aren't counted. The "
            "two are of different cases as a rule, so that the comparison isn't paired. The sum is "
            "over structures with both times.",
        ]
        tables.append(
            Table(f"time_summary_{unit}", f"Labeling time: {said}", rows, columns, notes)
        )
    return tables


def _row(name: str, found: TimeComparison) -> dict:
    return {
        "structure": name,
        "manual_mean": found.manual.mean,
        "manual_sd": found.manual.sd,
        "manual_n": found.manual.count,
        "corrected_mean": found.corrected.mean,
        "corrected_sd": found.corrected.sd,
        "corrected_n": found.corrected.count,
        "saved_seconds": found.manual.mean - found.corrected.mean,
        "ratio": found.ratio,
        "ratio_low": found.interval[0],
        "ratio_high": found.interval[1],
    }


def agreement_case_rows(
    found: Iterable[Agreement], schema_values: dict[str, int], names: dict[str, str]
) -> Table:
    """Every agreement: one row for each case, pair of annotators and structure."""
    rows = []
    for entry in found:
        surface = None
        if entry.volumes is not None:
            value = schema_values[entry.label]
            (compared,) = compare_segmentations(*entry.volumes, {value: entry.label})
            surface = compared.surface.symmetric
        rows.append({
            "case": entry.case,
            "structure": names[entry.label],
            "between": _between(entry),
            "first": entry.first,
            "second": entry.second,
            "first_labels": entry.origins[0],
            "second_labels": entry.origins[1],
            "share_of_volume": entry.share,
            "dice": entry.overlap.dice,
            "iou": entry.overlap.iou,
            "difference_ml": entry.overlap.predicted_ml - entry.overlap.truth_ml,
            "surface_rms": surface.rms if surface else math.nan,
            "surface_mean": surface.mean if surface else math.nan,
        })
    return Table("agreement", "Every agreement of two labelings", rows)


def _between(entry: Agreement) -> str:
    if entry.first is None or entry.second is None:
        return UNKNOWN
    return ONE_TWICE if entry.first == entry.second else TWO


def agreement_summary(cases: Table, names: dict[str, str]) -> Table | None:
    """The agreements by structure; None when nothing was labeled twice."""
    rows = []
    for whose, name in product((TWO, ONE_TWICE, UNKNOWN), names.values()):
        own = [r for r in cases.rows if (r["between"], r["structure"]) == (whose, name)]
        if own:
            dice = summarize(row["dice"] for row in own)
            rms = summarize(row["surface_rms"] for row in own)
            rows.append({
                "between": whose, "structure": name,
                "n": dice.count, "dice_mean": dice.mean, "dice_sd": dice.sd,
                "iou_mean": summarize(row["iou"] for row in own).mean,
                "rms_n": rms.count, "rms_mean": rms.mean, "rms_sd": rms.sd,
            })
    if not rows:
        return None
    columns = (
        words("between", "between"),
        words("structure", "structure"),
        Column("n", lambda row: str(row["n"])),
        spread("dice_mean", "dice_sd", "Dice, %", 2, 100),
        percent("iou_mean", "IoU, %"),
        Column("n with a surface", lambda row: str(row["rms_n"])),
        spread("rms_mean", "rms_sd", "surface RMS, mm"),
    )
    pairs = {
        tuple(sorted((row["first"], row["second"]))) for row in cases.rows if row["between"] == TWO
    }
    said = "; ".join(" and ".join(pair) for pair in sorted(pairs))
    notes = [
        (f"Annotators: {said}. " if said else "")
        + "Counted where both annotated the structure in the same case; surfaces where both "
        "annotated all of it. Labelings that were stored as second ones are meant to be drawn "
        "without the first in sight; who corrected or went on with labels has seen them.",
    ]
    return Table("agreement_summary", "Agreement between annotators", rows, columns, notes)
