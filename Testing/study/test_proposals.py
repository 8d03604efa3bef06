"""Proposals in the study: the newest batch, what became of each, and studies from before."""

import math
import sqlite3

import numpy as np
import pytest

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.study import Annotation, Label, LabelSchema, Study
from ActiveSegLoopLib.study.coverage import annotated_slices, annotated_volume
from ActiveSegLoopLib.study.database import APPLICATION_ID, Database
from ActiveSegLoopLib.study.migrations import MIGRATIONS
from Testing.study.samples import GRID


def slice_of(case, index=2, plane="axial", **more):
    return {
        "case": case.name, "unit": "slice", "plane": plane, "index": index, "score": 0.5,
        "reason": "most uncertain on 'vein'", "strategy": "entropy", "round": None, **more,
    }


def volume_of(case, **more):
    return slice_of(case, unit="volume", plane=None, index=None, **more)


def test_a_batch_is_kept_in_its_order_and_the_newest_counts(study, case):
    first = study.save_proposals([slice_of(case, 4), slice_of(case, 0, score=np.float32(0.25))])
    assert [(p.id, p.batch, p.position, p.index, p.score) for p in first] == [
        (1, 1, 0, 4, 0.5), (2, 1, 1, 0, 0.25),
    ]
    assert first[0].reason == "most uncertain on 'vein'" and first[0].state == "open"
    second = study.save_proposals([volume_of(case)])
    assert study.proposals() == second and Study.open(study.folder).proposals() == second
    assert study.proposals(every_batch=True) == first + second
    assert second[0].to_dict()["plane"] is None


def test_what_was_annotated_meanwhile_is_done(study, case, make_labels):
    study.save_proposals([
        slice_of(case, 1), slice_of(case, 2), slice_of(case, 5, "coronal"), volume_of(case),
        slice_of(case, 1, label="vein"),
    ])
    states = lambda: [p.state for p in study.proposals()]  # noqa: E731
    study.add_revision(case, make_labels(), Annotation({"axial": (1,)}, ("artery",)))
    assert states() == ["done", "open", "open", "open", "open"]
    study.add_revision(case, make_labels(), Annotation({"axial": (1,)}, ("vein",)))
    assert states() == ["done", "open", "open", "open", "done"]
    study.add_revision(case, make_labels(), Annotation({"coronal": (5,)}))
    assert states() == ["done", "open", "done", "open", "done"]
    study.add_revision(case, make_labels())
    assert states() == ["done"] * 5
    assert study.proposals("open") == [] and len(study.proposals("done")) == 5


def test_a_person_skips_flags_and_takes_back(study, case):
    one, two = study.save_proposals([slice_of(case, 1), slice_of(case, 2)])
    assert study.set_proposal_state(one.id, "skipped", "too noisy").note == "too noisy"
    study.set_proposal_state(two.id, "flagged")
    assert [p.state for p in study.proposals()] == ["skipped", "flagged"]
    study.set_proposal_state(two.id, "open")
    assert study.proposals("open") == [two]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"case": "nobody"}, "no case 'nobody'"),
        ({"index": 6}, "Case 'scan' has no axial slice 6"),
        ({"index": -1}, "no axial slice -1"),
        ({"plane": "oblique"}, "plane 'oblique' can't be proposed"),
        ({"unit": "patch"}, "'patch' in the plane"),
        ({"unit": "volume"}, "no plane and no slice number"),
        ({"score": math.nan}, "must be a number, not nan"),
        ({"label": "nerve"}, "no label 'nerve'"),
        ({"round": 3}, "no round 3"),
    ],
)
def test_what_cant_be_a_proposal_is_refused_and_nothing_of_its_batch_is_kept(
    study, case, change, words
):
    with pytest.raises(StudyError, match=words):
        study.save_proposals([slice_of(case), slice_of(case) | change])
    assert study.proposals(every_batch=True) == []


def test_other_mistakes_are_named(study, case):
    with pytest.raises(StudyError, match="no proposal to save"):
        study.save_proposals([])
    with pytest.raises(StudyError, match="needs its reason"):
        study.save_proposals([{k: v for k, v in slice_of(case).items() if k != "reason"}])
    with pytest.raises(StudyError, match="no proposal 7"):
        study.set_proposal_state(7, "done")
    with pytest.raises(StudyError, match="'lost' isn't a proposal's state: use one of open, done"):
        study.set_proposal_state(1, "lost")
    with pytest.raises(StudyError, match="'lost' isn't"):
        study.proposals("lost")


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_study_of_an_earlier_version_is_upgraded_with_all_that_is_in_it(
    tmp_path, study, case, make_labels, version
):
    revision = study.add_revision(case, make_labels(), Annotation({"axial": (1,)}))
    # The same content in a database of the earlier version.
    old = tmp_path / "old"
    old.mkdir()
    assert Database(old, MIGRATIONS[:version]).create(lambda connection: None)
    source = sqlite3.connect(study.database.path)
    target = sqlite3.connect(old / "study.sqlite")
    tables = [r[0] for r in target.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert ("proposals" in tables) == (version > 2)
    for table in tables:
        # Only what that version had.
        names = [r[1] for r in target.execute(f"PRAGMA table_info({table})")]
        rows = source.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()
        marks = ", ".join("?" * len(names))
        target.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    target.commit()
    source.close()
    target.close()
    (study.folder / "study.sqlite").unlink()
    (old / "study.sqlite").rename(study.folder / "study.sqlite")
    upgraded = Study.open(study.folder)
    assert upgraded.latest(upgraded.case("scan")) == revision
    assert upgraded.proposals() == []
    assert len(upgraded.save_proposals([slice_of(case)])) == 1
    connection = sqlite3.connect(study.database.path)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    connection.close()


def test_slices_are_covered_by_themselves_the_whole_or_all_slices_of_another_plane():
    schema = LabelSchema.parse("1=artery,2=vein")
    counts = {p: GRID.shape[GRID.axis_of(p)] for p in ("axial", "coronal", "sagittal")}
    entries = [
        Annotation({"axial": (1, 4)}, ("vein",)),
        Annotation({"sagittal": (0,)}),
        Annotation({"coronal": range(counts["coronal"])}, ("artery",)),
    ]
    covered = annotated_slices(entries, GRID, "axial", schema)
    assert covered[:, 0].all() and np.flatnonzero(covered[:, 1]).tolist() == [1, 4]
    assert annotated_slices(entries, GRID, "sagittal", schema)[0].all()
    assert annotated_volume(entries, GRID, schema).tolist() == [True, False]
    whole = [Annotation(None, ("vein",))]
    assert annotated_volume(whole, GRID, schema).tolist() == [False, True]
    assert not annotated_slices([], GRID, "axial", schema).any()


def test_a_label_that_joins_later_is_not_annotated(study, case, make_labels):
    study.add_revision(case, make_labels())
    schema = study.add_label(Label("nerve", 9, "nerve"))
    annotations = study.latest(case).annotations
    assert annotated_volume(annotations, GRID, schema).tolist() == [True, True, False]
