"""Overlap and volume of each structure in one round: IoU, ml, and what is found where none is."""

from __future__ import annotations

import math

from ActiveSegLoopLib.evaluation.overlap import summarize
from ActiveSegLoopLib.evaluation.reporting.stage_tables import StageEvaluation
from ActiveSegLoopLib.evaluation.reporting.table import Column, Table, number, spread, words


def volume_rows(evaluation: StageEvaluation) -> Table:
    """Mean ± SD over the cases of the round that the others are compared with."""
    rows = []
    for id, name in evaluation.names.items():
        found = [s.overlaps[id] for s in evaluation.scored(evaluation.reference)
                 if id in s.overlaps]
        there = [o for o in found if o.truth_voxels or o.predicted_voxels]
        if not there:
            continue
        wrong = [o.false_positive_ml for o in there if not o.truth_voxels]
        row = {"structure": name, "n": len(there)}
        for key, values in {
            "iou": [o.iou for o in there],
            "labeled_ml": [o.truth_ml for o in there],
            "predicted_ml": [o.predicted_ml for o in there],
            "difference_ml": [o.predicted_ml - o.truth_ml for o in there],
        }.items():
            summary = summarize(values)
            row |= {f"{key}_mean": summary.mean, f"{key}_sd": summary.sd}
        row |= {
            "absent_n": sum(not o.truth_voxels for o in found),
            "absent_found_n": len(wrong),
            "absent_ml_mean": summarize(wrong).mean if wrong else math.nan,
        }
        rows.append(row)
    columns = (
        words("structure", "structure"),
        Column("n", lambda row: str(row["n"])),
        spread("iou_mean", "iou_sd", "IoU, %", 2, 100),
        spread("labeled_ml_mean", "labeled_ml_sd", "labeled, ml"),
        spread("predicted_ml_mean", "predicted_ml_sd", "predicted, ml"),
        spread("difference_ml_mean", "difference_ml_sd", "difference, ml"),
        Column("cases without it", lambda row: str(row["absent_n"])),
        Column("found there in", lambda row: str(row["absent_found_n"])),
        number("absent_ml_mean", "false positive there, ml"),
    )
    notes = [
        "Mean ± SD over the cases (n) that have the structure in the labels or the prediction; "
        "difference: predicted minus labeled. Only where annotated.",
    ]
    title = f"Overlap and volume, round {evaluation.reference} ({evaluation.role})"
    return Table(f"volumes_{evaluation.role}", title, rows, columns, notes)
