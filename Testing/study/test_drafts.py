"""Unaccepted work survives a crash, is offered again and is gone once accepted."""

import json
import subprocess
import sys

import numpy as np
import pytest

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.study.checking import check
from ActiveSegLoopLib.study.drafts import draft_of, drafts, read_draft, remove_draft, save_draft
from Testing.repository import ROOT


def test_a_draft_comes_back_with_everything_that_an_acceptance_needs(study, case, make_labels):
    labels = make_labels()
    assert draft_of(study, case) is None and drafts(study) == []
    saved = save_draft(
        study, case, labels, {"axial": [3, 1]}, {"vein": 12.5}, 2, "corrected", 1
    )
    found = draft_of(study, case)
    assert found == saved == drafts(study)[0]
    assert (found.slices, found.seconds) == ({"axial": (1, 3)}, {"vein": 12.5})
    assert (found.parent, found.origin, found.model_round) == (2, "corrected", 1)
    assert np.array_equal(read_draft(study, found).array, labels.array)
    assert check(study) == []


def test_a_later_draft_replaces_the_former_and_an_accepted_one_is_removed(
    study, case, make_labels
):
    save_draft(study, case, make_labels(0), None)
    save_draft(study, case, make_labels(1), {})
    found = draft_of(study, case)
    assert found.slices == {}
    assert np.array_equal(read_draft(study, found).array, make_labels(1).array)
    remove_draft(study, case)
    remove_draft(study, case)
    assert draft_of(study, case) is None
    assert list((study.folder / "drafts").iterdir()) == []


def test_a_draft_that_cant_be_accepted_is_refused_and_the_former_kept(study, case, make_labels):
    save_draft(study, case, make_labels(0))
    with pytest.raises(StudyError, match="holds the value 3"):
        save_draft(study, case, make_labels(value=3))
    with pytest.raises(StudyError, match="no label 'ureter'"):
        save_draft(study, case, make_labels(1), seconds={"ureter": 1})
    found = draft_of(study, case)
    assert np.array_equal(read_draft(study, found).array, make_labels(0).array)


def test_labels_whose_notes_were_never_written_are_offered(study, case, make_labels):
    path = save_draft(study, case, make_labels(), None, {"vein": 3}).path
    path.with_name(f"{case.name}.json").unlink()
    found = draft_of(study, case)
    assert (found.slices, found.seconds, found.parent) == ({}, {}, None)
    assert read_draft(study, found).array.any()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"case": "x", "slices": {"up": [1]}}'])
def test_damaged_notes_are_told_and_a_repair_moves_them_away(study, case, make_labels, text):
    path = save_draft(study, case, make_labels()).path
    notes = path.with_name(f"{case.name}.json")
    notes.write_text(text)
    with pytest.raises(StudyError, match="damaged"):
        draft_of(study, case)
    assert "damaged" in check(study)[0].message
    assert check(study, repair=True)[0].repaired
    assert draft_of(study, case).slices == {}
    assert (study.folder / "leftovers" / f"drafts-{case.name}.json").read_text() == text
    assert check(study) == []


def test_a_draft_of_no_case_is_moved_away_by_a_repair(study, case, make_labels):
    path = save_draft(study, case, make_labels()).path
    for file in list(path.parent.iterdir()):
        file.rename(file.with_name(file.name.replace(case.name, "other")))
    assert len(check(study)) == 2
    assert all("no case 'other'" in problem.message for problem in check(study, repair=True))
    assert sorted(f.name for f in (study.folder / "leftovers").iterdir()) == [
        "drafts-other.json", "drafts-other.seg.nrrd",
    ]
    assert check(study) == []


def test_a_kill_at_any_moment_leaves_a_whole_draft(study, case, make_labels):
    save_draft(study, case, make_labels(0), {"axial": [0]})
    code = f"""
import os, sys
import numpy as np
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study import Study, files
from ActiveSegLoopLib.study.drafts import save_draft
moments, at = [0], int(sys.argv[1])
def deadly(function):
    def call(*arguments):
        if moments[0] == at:
            os._exit(9)
        moments[0] += 1
        return function(*arguments)
    return call
os.replace, os.fsync = deadly(os.replace), deadly(lambda descriptor: None)
study = Study.open({str(study.folder)!r})
case = study.cases()[0]
values = np.full(case.geometry.shape, 2, np.uint8)
save_draft(study, case, Volume(values, case.geometry), {{"axial": [0, 1]}})
"""
    seen = set()
    for moment in range(20):
        ran = subprocess.run([sys.executable, "-c", code, str(moment)], cwd=ROOT)
        found = draft_of(study, case)
        array = read_draft(study, found).array
        new = bool((array == 2).all())
        assert new or np.array_equal(array, make_labels(0).array)
        seen.add((new, len(found.slices["axial"])))
        check(study, repair=True)
        assert not [f for f in found.path.parent.iterdir() if f.name.startswith(".")]
        if ran.returncode == 0:
            break
        assert ran.returncode == 9
    # Old labels with old notes, new ones with the notes of a moment before, and all of it new.
    assert seen == {(False, 1), (True, 1), (True, 2)}
    assert json.loads(found.path.with_name(f"{case.name}.json").read_text())["slices"] == {
        "axial": [0, 1]
    }
