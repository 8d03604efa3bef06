"""A study's report in a folder: report.html, report.json, and the tables and pictures as files."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ActiveSegLoopLib.errors import EvaluationError
from ActiveSegLoopLib.evaluation.reporting.figures import Picture, draw
from ActiveSegLoopLib.evaluation.reporting.measuring import (
    DEFAULTS,
    Measured,
    ReportSettings,
    measure,
)
from ActiveSegLoopLib.evaluation.reporting.page import make_page
from ActiveSegLoopLib.evaluation.reporting.sentences import essence, methods, missing
from ActiveSegLoopLib.evaluation.reporting.table import plain
from ActiveSegLoopLib.images.writing import replacing
from ActiveSegLoopLib.study.study import Study

PAGE, DATA, TABLES, PICTURES = "report.html", "report.json", "tables", "pictures"
FORMAT = "activesegloop report 1"


@dataclass(frozen=True)
class Report:
    """A written report: its files, the sentences to read first, and those on what is missing."""

    folder: Path
    page: Path
    essence: tuple[str, ...]
    missing: tuple[str, ...]


def write_report(
    study: Study,
    out: str | os.PathLike,
    settings: ReportSettings = DEFAULTS,
    study_path: str | None = None,
    report: Callable[..., None] = lambda kind, **data: None,
    go_on: Callable[[], None] = lambda: None,
) -> Report:
    """Measure a study and write its report into a new or empty folder, or over a former report.

    study_path: how commands that the report names call the study (default: its folder). go_on is
    called now and then and raises to stop; the folder is then as it was. Raises EvaluationError
    for a folder with anything else in it. The study isn't changed.
    """
    out = Path(out)
    _require_free(out)
    study_path = str(study.folder) if study_path is None else study_path
    measured = measure(study, settings, report, go_on)
    with tempfile.TemporaryDirectory() as temporary:
        pictures = draw(measured, Path(temporary), report, go_on)
        created = datetime.now().astimezone().isoformat(" ", "minutes")
        page = make_page(measured, pictures, study_path, created)
        data = json.dumps(
            _content(measured, pictures, study_path, created), indent=1, ensure_ascii=False,
            allow_nan=False,
        )
        out.mkdir(parents=True, exist_ok=True)
        for name in (TABLES, PICTURES):
            if (out / name).is_dir():
                shutil.rmtree(out / name)
            (out / name).mkdir()
        for table in measured.tables.values():
            if table.rows:
                _write(out / TABLES / f"{table.name}.csv", table.csv())
        for picture in pictures:
            if picture.path is not None:
                shutil.copyfile(picture.path, out / PICTURES / picture.path.name)
        _write(out / DATA, data + "\n")
        _write(out / PAGE, page)
    return Report(
        out, out / PAGE, tuple(essence(measured)), tuple(missing(measured, study_path))
    )


def _require_free(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise EvaluationError(f"{out} is a file: choose a folder for the report.")
    if not out.is_dir() or not any(out.iterdir()):
        return
    try:
        former = json.loads((out / DATA).read_text(encoding="utf-8")).get("format") == FORMAT
    except (OSError, ValueError, AttributeError):
        former = False
    if not former:
        raise EvaluationError(
            f"{out} isn't empty and holds no report: choose a new folder for the report."
        )


def _content(
    measured: Measured, pictures: list[Picture], study_path: str, created: str
) -> dict[str, Any]:
    """Everything that the page says, for programs."""
    study = measured.study
    return plain({
        "format": FORMAT,
        "created": created,
        "study": study.folder.name,
        "labels": study.schema.to_dict(),
        "settings": asdict(measured.settings),
        "versions": measured.versions,
        "essence": essence(measured),
        "missing": missing(measured, study_path),
        "methods": methods(measured),
        "evaluations": [
            {"role": e.role, "rounds": [r.number for r in e.rounds], "reference": e.reference,
             "cases": e.cases}
            for e in measured.evaluations
        ],
        "tables": {name: list(table.rows) for name, table in measured.tables.items()},
        "pictures": [
            {"section": p.section, "title": p.title, "caption": p.caption,
             "file": None if p.path is None else f"{PICTURES}/{p.path.name}",
             "problem": p.problem or None}
            for p in pictures
        ],
        "rounds": [
            {"round": r.number, "settings": r.settings, "versions": r.versions,
             "metrics": r.metrics}
            for r in study.rounds()
        ],
    })


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
