"""What check finds, and what repair puts right."""

import os
import sqlite3
import time

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study.checking import check
from ActiveSegLoopLib.study.files import STAGING, staging
from ActiveSegLoopLib.study.locks import ProcessLock
from ActiveSegLoopLib.study.model_folder import read_description
from Testing.study.samples import GRID, write_model


def messages(problems):
    return [problem.message for problem in problems]


def assert_repair_heals(study, words):
    """One problem with these words, which repair heals, and which is told as healed."""
    for _ in range(2):
        (found,) = check(study)
        assert words in found.message and found.repairable and not found.repaired
    (healed,) = check(study, repair=True)
    assert words in healed.message and healed.repaired
    assert check(study) == []


@pytest.fixture
def revision(study, case, make_labels):
    """The only revision of the only case."""
    return study.add_revision(case, make_labels(1))


def trained(study, revision):
    """A finished round with a model."""
    round = study.start_round("fast", {}, 0, [revision])
    write_model(round.folder)
    return study.finish_round(round, {}, {})


def test_a_sound_study_has_no_problems(study, case, revision):
    trained(study, revision)
    study.start_round("fast", {}, 0, [revision])
    before = study.database.path.read_bytes()
    assert check(study) == [] == check(study, repair=True)
    assert study.database.path.read_bytes() == before


@pytest.mark.parametrize(
    "place", ["", "labels/scan", "models/round-001", "predictions/round-001", "cache"]
)
def test_unfinished_files_of_dead_processes_are_removed(study, revision, place):
    left = study.folder / place / f"{STAGING}0123"
    left.mkdir(parents=True)
    (left / "labels.seg.nrrd").write_text("half")
    (left / ".lock").write_text("")
    assert_repair_heals(study, f"{left} is an unfinished file of a process that ended")
    assert not left.exists()


def test_files_that_a_living_process_writes_are_left_alone(study, revision):
    with staging(revision.path.parent) as folder:
        young = revision.path.with_name(f".{'0' * 32}.tmp.seg.nrrd")
        young.write_text("half")
        assert check(study, repair=True) == []
        assert folder.is_dir() and young.exists()
    old = time.time() - 2 * 3600
    os.utime(young, (old, old))
    assert_repair_heals(study, f"{young} is an unfinished file")
    assert not young.exists()


def test_a_label_file_without_a_row_is_moved_aside_and_kept(study, case, revision, make_labels):
    stray = revision.path.with_name("r0002.seg.nrrd")
    stray.write_bytes(revision.path.read_bytes())
    accepted = study.add_revision(case, make_labels(2))
    assert accepted.number == 3 and accepted.parent == 1, "a stray file is never overwritten"
    assert_repair_heals(study, f"{stray} is a label map that was never accepted")
    kept = study.folder / "leftovers" / "scan-r0002.seg.nrrd"
    assert kept.read_bytes() == revision.path.read_bytes()
    stray.write_bytes(b"another")
    assert check(study, repair=True)[0].repaired
    assert sorted(p.name for p in kept.parent.iterdir()) == [
        "scan-r0002-2.seg.nrrd",
        "scan-r0002.seg.nrrd",
    ]


def test_a_revision_that_is_missing_or_damaged_is_reported_and_restored_from_a_copy(
    study, case, revision, make_labels
):
    good = revision.path.read_bytes()
    revision.path.write_bytes(b"damaged")
    for repair in (False, True):
        (problem,) = check(study, repair)
        assert "revision 1 of case 'scan', has changed: restore it" in problem.message
        assert not problem.repaired and not problem.repairable
    revision.path.rename(revision.path.with_name("r0007.seg.nrrd"))
    found = messages(check(study))
    assert any("is missing: restore it from a backup" in message for message in found)
    check(study, repair=True)
    (study.folder / "leftovers" / "found-in-the-backup.seg.nrrd").write_bytes(good)
    assert_repair_heals(study, "revision 1 of case 'scan', is missing")
    assert np.array_equal(study.labelmap(revision).array, make_labels(1).array)


def test_a_damaged_revision_is_kept_when_a_good_copy_replaces_it(study, revision):
    good = revision.path.read_bytes()
    revision.path.write_bytes(b"damaged")
    (study.folder / "leftovers").mkdir()
    (study.folder / "leftovers" / "copy").write_bytes(good)
    assert_repair_heals(study, "has changed")
    assert revision.path.read_bytes() == good
    assert b"damaged" in [p.read_bytes() for p in (study.folder / "leftovers").iterdir()]


def test_a_revision_renamed_by_mistake_comes_back(study, revision, make_labels):
    revision.path.rename(revision.path.with_name("r0042.seg.nrrd"))
    problems = check(study, repair=True)
    assert len(problems) == 2 and all(problem.repaired for problem in problems)
    assert check(study) == []
    assert np.array_equal(study.labelmap(revision).array, make_labels(1).array)


def test_a_round_without_its_files_is_reported(study, revision):
    round = study.finish_round(study.start_round("fast", {}, 0, [revision]), {}, {})
    (round.folder / "metrics.json").unlink()
    round.folder.rmdir()
    (problem,) = check(study, repair=True)
    assert "the model of round 1 is missing" in problem.message
    assert not problem.repairable and not problem.repaired


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("segment.safetensors", None, "segment.safetensors is missing"),
        ("segment.safetensors", b"weights and junk", "segment.safetensors was changed"),
        ("model.json", None, "(no model.json)"),
        ("model.json", b"{}", "model.json was changed"),
        ("model.json", b"half", "model.json can't be read"),
    ],
)
def test_a_model_that_isnt_what_its_training_wrote_is_reported(
    study, revision, name, content, words
):
    file = trained(study, revision).folder / name
    file.unlink() if content is None else file.write_bytes(content)
    (problem,) = check(study, repair=True)
    assert words in problem.message and "from a backup" in problem.message
    assert str(file.parent) in problem.message and not problem.repaired and not problem.repairable


def test_a_sound_model_of_another_training_is_reported(study, revision):
    round = study.start_round("fast", {}, 0, [revision])
    write_model(round.folder)
    known = read_description(round.folder)["sha256"]
    study.finish_round(round, {"model_sha256": known}, {})
    assert check(study) == []
    write_model(round.folder, weights=b"of another training")
    (problem,) = check(study, repair=True)
    assert "round-001 isn't the one that its round trained" in problem.message
    assert not problem.repaired


def test_predictions_that_cant_be_opened_or_lie_elsewhere_are_moved_aside(
    study, case, revision, make_labels
):
    round = trained(study, revision)
    kept = study.save_prediction(round, case, make_labels(1))
    doubt = study.save_uncertainty(round, case, make_labels(1))
    assert check(study) == []
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-20])
    assert_repair_heals(study, f"{kept} is truncated or damaged")
    assert study.prediction(round, case) is None
    (aside,) = (study.folder / "leftovers").iterdir()
    assert aside.read_bytes() == whole[:-20]
    write_volume(doubt, Volume(make_labels(1).array, Geometry(GRID.shape, GRID.spacing)))
    assert_repair_heals(study, f"{doubt} doesn't lie on the grid of case 'scan'")


def test_a_round_whose_process_died_is_marked_also_below_a_finished_one(study, revision):
    dead = study.start_round("fast", {}, 0, [revision])
    trained(study, revision)
    ProcessLock.release_ours(dead.folder / ".lock")
    assert_repair_heals(study, "train with its settings to go on")
    assert [round.number for round in study.unfinished_rounds()] == [dead.number]


def test_images_that_are_gone_or_changed_are_reported(study, case, revision):
    path = case.channels[0]
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    assert "content has changed" in messages(check(study, repair=True))[0]
    path.unlink()
    (problem,) = check(study, repair=True)
    assert "isn't at" in problem.message and not problem.repaired and not problem.repairable


def test_rows_that_refer_to_nothing_are_reported(study, revision):
    connection = sqlite3.connect(study.database.path)
    connection.execute("UPDATE study SET current_round = 7")
    connection.commit()
    connection.close()
    (problem,) = check(study, repair=True)
    assert "1 rows refer to missing ones" in problem.message
