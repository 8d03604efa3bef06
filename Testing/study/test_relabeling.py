"""Other labels for a study, as long as nothing depends on those it has."""

import numpy as np
import pytest

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study.drafts import remove_draft, save_draft
from ActiveSegLoopLib.study.relabeling import is_unlabeled, replace_labels
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Study

GRID = Geometry((3, 4, 5), (2.0, 1.0, 1.0))


@pytest.fixture
def study(tmp_path):
    """A study of one case in which nothing is labeled."""
    made = Study.create(tmp_path / "study", LabelSchema.parse("1=artery,2=vein"))
    path = tmp_path / "p1.nrrd"
    write_volume(path, Volume(np.arange(60, dtype=np.int16).reshape(GRID.shape), GRID))
    made.add_case([path])
    return made


def test_labels_are_removed_added_and_reordered_before_anything_is_labeled(study):
    replace_labels(study, LabelSchema.parse("1=ureter,2=vein,7=artery"))
    assert study.schema.names == {1: "ureter", 2: "vein", 7: "artery"}
    replace_labels(study, LabelSchema(tuple(reversed(study.schema.labels))))
    assert study.schema.ids == ("artery", "vein", "ureter")


def test_once_something_is_labeled_nothing_changes_and_one_sentence_says_why(study):
    study.add_revision(study.case("p1"), Volume(np.ones(GRID.shape, np.uint8), GRID))
    assert not is_unlabeled(study)
    with pytest.raises(StudyError, match="labeled in this study already"):
        replace_labels(study, LabelSchema.parse("1=ureter"))
    assert study.schema.ids == ("artery", "vein")


def test_a_draft_counts_as_labeled_until_it_is_removed(study):
    save_draft(study, study.case("p1"), Volume(np.ones(GRID.shape, np.uint8), GRID))
    assert not is_unlabeled(study)
    remove_draft(study, study.case("p1"))
    assert is_unlabeled(study)
