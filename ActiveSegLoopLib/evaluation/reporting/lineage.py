"""What was trained on what: rounds, the revisions they used, the cases, and with which versions."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ActiveSegLoopLib import __version__
from ActiveSegLoopLib.evaluation.reporting.table import Column, Table, number, percent, words
from ActiveSegLoopLib.study.annotation import Annotation
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.study import Study

_PACKAGES = ("numpy", "scipy", "SimpleITK", "vtk", "matplotlib")


def round_rows(study: Study) -> Table:
    """One row for each round, whatever became of it."""
    current = study.current_round()
    rows = [
        {
            "round": r.number,
            "state": r.state,
            "in_use": current is not None and current.number == r.number,
            "preset": r.preset,
            "seed": r.seed,
            "training_cases": len(r.revisions),
            "manual": sum(x.origin == "manual" for x in r.revisions),
            "corrected": sum(x.origin == "corrected" for x in r.revisions),
            "model": sum(x.origin == "model" for x in r.revisions),
            "validation_cases": len(r.validation),
            "validation_mean_dice": (r.metrics or {}).get("mean_dice"),
            "started": r.created,
            "ended": r.ended,
            "reason": r.reason,
        }
        for r in study.rounds()
    ]
    columns = (
        Column("round", lambda row: f"{row['round']}{' (in use)' * row['in_use']}", False),
        words("state", "state"),
        words("preset", "preset"),
        Column("seed", lambda row: str(row["seed"])),
        Column(
            "training cases (manual, corrected, model)",
            lambda row: f"{row['training_cases']} "
            f"({row['manual']}, {row['corrected']}, {row['model']})",
        ),
        Column("held-out cases", lambda row: str(row["validation_cases"])),
        percent("validation_mean_dice", "mean Dice on these, %"),
        Column("started", lambda row: row["started"][:16].replace("T", " "), False),
    )
    notes = [
        "The held-out cases chose the weights to keep, so that their Dice is no independent "
        "measure.",
    ]
    return Table("rounds", "Rounds of training", rows, columns, notes)


def training_rows(study: Study) -> Table:
    """One row for each label revision that a round was given."""
    groups = {case.name: case.group for case in study.cases()}
    rows = [
        {
            "round": r.number, "use": use, "case": x.case, "patient": groups[x.case],
            "revision": x.number, "labels": x.origin, "model_round": x.model_round,
            "annotator": x.annotator, "annotated": annotated_words(x, study),
            "voxels": sum(x.voxels.values()), "accepted": x.created, "sha256": x.sha256,
        }
        for r in study.rounds()
        for use, revisions in (("training", r.revisions), ("held out", r.validation))
        for x in revisions
    ]
    columns = (
        Column("round", lambda row: str(row["round"])),
        words("use", "use"),
        words("case", "case"),
        Column("labels", _labels, False),
        words("annotated", "annotated"),
        words("annotator", "annotator"),
        Column("SHA-256", lambda row: row["sha256"][:12], False),
    )
    return Table("training", "What each round was trained on", rows, columns)


def _labels(row: dict[str, Any]) -> str:
    began = f", began with round {row['model_round']}" if row["model_round"] is not None else ""
    return f"revision {row['revision']}, {row['labels']}{began}"


def case_table(study: Study) -> Table:
    """One row for each case."""
    rows = []
    for case in study.cases():
        newest = study.latest(case)
        z, y, x = case.geometry.spacing
        rows.append({
            "case": case.name, "role": case.role, "patient": case.group,
            "excluded": case.excluded, "images": len(case.channels),
            "voxels_z": case.geometry.shape[0], "voxels_y": case.geometry.shape[1],
            "voxels_x": case.geometry.shape[2],
            "spacing_z": z, "spacing_y": y, "spacing_x": x,
            "revisions": 0 if newest is None else newest.number,
            "annotated": None if newest is None else annotated_words(newest, study),
            "labeling_seconds": sum(r.total_seconds for r in study.revisions(case)),
            "fingerprint": case.fingerprint,
        })
    columns = (
        words("case", "case"),
        words("role", "role"),
        words("patient", "patient"),
        Column("voxels (z, y, x)", lambda row: " × ".join(str(row[f"voxels_{a}"]) for a in "zyx")),
        Column(
            "spacing (z, y, x), mm",
            lambda row: " × ".join(f"{row[f'spacing_{a}']:.2f}" for a in "zyx"),
        ),
        Column("revisions", lambda row: str(row["revisions"])),
        words("annotated", "annotated"),
        number("labeling_seconds", "labeling, s", 0),
    )
    return Table("cases", "Cases", rows, columns)


def annotated_words(revision: Revision, study: Study) -> str:
    """What is annotated in a revision or those before it, in words."""
    return "; ".join(_entry_words(entry, study) for entry in revision.annotations) or "nothing"


def _entry_words(entry: Annotation, study: Study) -> str:
    schema = study.schema
    if entry.slices is None:
        where = "whole volume"
    else:
        where = ", ".join(
            f"{len(indices)} {plane} slice{'' if len(indices) == 1 else 's'}"
            for plane, indices in entry.slices.items()
        )
    if entry.classes is None or set(entry.classes) >= set(schema.ids):
        return where
    return f"{where} ({', '.join(schema.label(id).name for id in entry.classes)})"


def versions() -> dict[str, str]:
    """What made the report."""
    found = {"activesegloop": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # Slicer's own Python has VTK without a package's metadata.
            found[name] = "unknown"
    return found
