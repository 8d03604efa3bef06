"""What a kill, a moved file or a damaged disk left behind, and putting it right."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ActiveSegLoopLib.errors import ImageError, ModelError, StudyError
from ActiveSegLoopLib.images.reading import read_image, read_labelmap
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.drafts import DRAFTS, NOTES, read_notes
from ActiveSegLoopLib.study.files import (
    STAGING,
    flush,
    is_left,
    make_folder,
    publish,
    remove_if_left,
    sha256_of,
)
from ActiveSegLoopLib.study.model_folder import read_description, verified_weights
from ActiveSegLoopLib.study.predictions import PREDICTIONS, prediction_path, uncertainty_path
from ActiveSegLoopLib.study.repeats import REPEATS, Repeat
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.revisions import ENDING, LABELS
from ActiveSegLoopLib.study.rounds import CACHE, MODELS
from ActiveSegLoopLib.study.study import Study

LEFTOVERS = "leftovers"
# An unfinished file that no lock guards (images.writing makes such) is left when it is this old.
LEFT_SECONDS = 3600.0
_UNFINISHED = re.compile(r"\.[0-9a-f]{32}\.tmp.*")
_REVISION = re.compile(rf"r\d{{4,}}{re.escape(ENDING)}")


@dataclass(frozen=True)
class Problem:
    """Something wrong, in one sentence that says what to do or what was done about it.

    repairable: whether repair puts it right; repaired: whether it did.
    """

    message: str
    repairable: bool = False
    repaired: bool = False


def check(study: Study, repair: bool = False) -> list[Problem]:
    """Everything that is wrong with a study; with repair, as much of it as can be is put right.

    Nothing that a person made is deleted: label files without a row are moved to the folder
    leftovers, from where a revision whose file is missing or damaged is restored when one fits.
    Other processes may work on the study meanwhile.
    """
    return [
        *_database(study),
        *_unfinished_files(study, repair),
        *_stray_labels(study, repair),
        *_drafts(study, repair),
        *_revisions(study, repair),
        *_repeats(study),
        *_rounds(study, repair),
        *_predictions(study, repair),
        *_images(study),
    ]


def _database(study: Study) -> Iterator[Problem]:
    with study.database.reading() as connection:
        findings = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    for finding in findings:
        if finding != "ok":
            yield Problem(
                f"{study.database.path} is damaged ({finding}): restore it from a backup."
            )
    if broken:
        yield Problem(
            f"{study.database.path} is damaged ({len(broken)} rows refer to missing ones): restore "
            "it from a backup."
        )


def _unfinished_files(study: Study, repair: bool) -> Iterator[Problem]:
    """What processes that were killed had begun to write; nobody was told that it was accepted."""
    folders = [study.folder]
    for name in (LABELS, REPEATS, MODELS, PREDICTIONS, DRAFTS, CACHE):
        folders += [study.folder / name, *_entries(study.folder / name)]
    for folder in folders:
        for entry in _entries(folder):
            if entry.name.startswith(STAGING) and entry.is_dir():
                left = is_left(entry)
                removed = left and repair and remove_if_left(entry)
            elif _UNFINISHED.fullmatch(entry.name) and entry.is_file():
                left = _age(entry) > LEFT_SECONDS
                removed = left and repair
                if removed:
                    entry.unlink(missing_ok=True)
            else:
                continue
            if left:
                done = "it was removed" if removed else "repair removes it"
                yield Problem(
                    f"{entry} is an unfinished file of a process that ended: {done}.", True, removed
                )


def _stray_labels(study: Study, repair: bool) -> Iterator[Problem]:
    """Whole label files of processes killed just before their row was committed."""
    # Files get their names inside write transactions: what has no row under the lock is left.
    database = study.database
    with database.writing() if database.is_writable else database.reading() as connection:
        rows = connection.execute(
            "SELECT name, number FROM revisions JOIN cases ON cases.id = case_id"
        )
        known = {(row["name"], row["number"]) for row in rows}
        strays = [
            file
            for home in _entries(study.folder / LABELS)
            for file in _entries(home)
            if _REVISION.fullmatch(file.name)
            and (home.name, int(file.name.removesuffix(ENDING)[1:])) not in known
        ]
        moved = {file: _leftover(study, file) for file in strays} if repair else {}
    for file in strays:
        done = f"it was moved to {moved[file]}" if repair else f"repair moves it to {LEFTOVERS}"
        yield Problem(f"{file} is a label map that was never accepted: {done}.", True, repair)


def _drafts(study: Study, repair: bool) -> Iterator[Problem]:
    """Drafts that can't be offered; a good one is no problem."""
    cases = {case.name for case in study.cases()}
    for file in _entries(study.folder / DRAFTS):
        name = file.name.removesuffix(ENDING).removesuffix(NOTES)
        if not file.is_file() or file.name == name or file.name.startswith("."):
            continue
        what = None
        if name not in cases:
            what = f"{file} is a draft, but the study has no case '{name}'"
        elif file.name.endswith(NOTES):
            if not file.with_name(name + ENDING).is_file():
                what = f"{file} belongs to a draft that is gone"
            else:
                try:
                    read_notes(file)
                except StudyError as error:
                    what = str(error).rstrip(".")
        if what is not None:
            yield Problem(f"{what}: {_set_aside(study, file, repair)}.", True, repair)


def _revisions(study: Study, repair: bool) -> Iterator[Problem]:
    spare: dict[str, Path] | None = None
    for case in study.cases():
        for revision in study.revisions(case):
            damage = _damage(revision)
            if damage is None:
                continue
            if spare is None:
                spare = {sha256_of(file): file for file in _entries(study.folder / LEFTOVERS)
                         if file.is_file()}
            source = spare.get(revision.sha256)
            what = f"{revision.path}, revision {revision.number} of case '{case.name}', {damage}"
            if source is None:
                yield Problem(f"{what}: restore it from a backup of the study.")
            elif repair:
                _restore(study, source, revision)
                yield Problem(f"{what}: it was restored from {source}.", True, True)
            else:
                yield Problem(f"{what}: repair restores it from {source}.", True)


def _repeats(study: Study) -> Iterator[Problem]:
    for repeat in study.repeats():
        damage = _damage(repeat)
        if damage is not None:
            yield Problem(
                f"{repeat.path}, a second labeling of case '{repeat.case}', {damage}: restore it "
                "from a backup of the study."
            )


def _damage(revision: Revision | Repeat) -> str | None:
    if not revision.path.is_file():
        return "is missing"
    return None if sha256_of(revision.path) == revision.sha256 else "has changed"


def _restore(study: Study, source: Path, revision: Revision) -> None:
    make_folder(revision.path.parent)
    if revision.path.exists():
        _leftover(study, revision.path)
    copy = revision.path.with_name(f".{revision.sha256[:32]}.tmp{ENDING}")
    shutil.copyfile(source, copy)
    flush(copy)
    publish(copy, revision.path)


def _rounds(study: Study, repair: bool) -> Iterator[Problem]:
    rounds = study.round_store
    for round in study.rounds():
        if round.state == "finished" and not any(_entries(round.folder)):
            yield Problem(
                f"{round.folder} with the model of round {round.number} is missing: restore it "
                "from a backup, or roll back to another round."
            )
        elif round.state == "finished":
            try:
                description = read_description(round.folder, round.model_sha256)
                verified_weights(round.folder, description)
            except ModelError as error:
                yield Problem(str(error))
        elif round.state == "running" and not rounds.is_trained(round.number):
            what = f"Round {round.number} wasn't finished, its process has ended"
            if repair:
                rounds.mark_interrupted(round.number)
                yield Problem(
                    f"{what}: it is marked as interrupted; train with its settings to go on.",
                    True, True,
                )
            else:
                yield Problem(
                    f"{what}: train with its settings to go on, or repair to mark it as "
                    "interrupted.", True,
                )


def _predictions(study: Study, repair: bool) -> Iterator[Problem]:
    """What can't be opened or lies elsewhere; the model can make each again."""
    cases = study.cases()
    for round in study.rounds():
        for case in cases:
            for path in (
                prediction_path(study.folder, round.number, case),
                uncertainty_path(study.folder, round.number, case),
            ):
                damage = _damage_of_prediction(path, case)
                if damage is not None:
                    done = _set_aside(study, path, repair)
                    yield Problem(
                        f"{damage.rstrip('.')}: {done}; segment the case again.", True, repair
                    )


def _set_aside(study: Study, file: Path, repair: bool) -> str:
    """Move a file to the leftovers where that is asked for; words for what was or would be done."""
    if repair:
        return f"it was moved to {_leftover(study, file)}"
    return f"repair moves it to {LEFTOVERS}"


def _damage_of_prediction(path: Path, case: Case) -> str | None:
    if not path.is_file():
        return None
    try:
        found = (read_labelmap if path.name.endswith(ENDING) else read_image)(path)
    except ImageError as error:
        # Not what its sentence advises: there is nothing to export it from.
        return str(error).rsplit(": ", 1)[0]
    difference = case.geometry.difference(found.geometry)
    return difference and f"{path} doesn't lie on the grid of case '{case.name}' ({difference})"


def _images(study: Study) -> Iterator[Problem]:
    for case in study.cases():
        if case.excluded:
            continue
        try:
            study.check_images(case)
        except StudyError as error:
            yield Problem(str(error))


def _leftover(study: Study, file: Path) -> Path:
    """Move a file out of the way, to a name that nothing has yet."""
    folder = study.folder / LEFTOVERS
    make_folder(folder)
    ending = ENDING if file.name.endswith(ENDING) else file.suffix
    stem = f"{file.parent.name}-{file.name.removesuffix(ending)}"
    target, number = folder / f"{stem}{ending}", 1
    while target.exists():
        number += 1
        target = folder / f"{stem}-{number}{ending}"
    publish(file, target)
    return target


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _age(file: Path) -> float:
    """Seconds since a file was last written; 0 when it is gone."""
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
