"""Second labelings: stored beside the labels, compared where both say something."""

import numpy as np
import pytest

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.study import Annotation, Study
from ActiveSegLoopLib.study.checking import check
from ActiveSegLoopLib.study.database import Database
from ActiveSegLoopLib.study.migrations import MIGRATIONS


def test_a_repeat_replaces_nothing_and_is_found_again(study, case, make_labels):
    first = study.add_revision(case, make_labels(0), Annotation({"axial": (1, 2, 4)}))
    again = make_labels(1)
    repeat = study.add_repeat(
        case, again, Annotation({"axial": (2, 3)}, ("vein",)), "second reader", {"vein": 42}
    )
    assert (repeat.case, repeat.revision, repeat.number) == (case.name, first.number, 1)
    assert (repeat.annotator, repeat.seconds) == ("second reader", {"vein": 42.0})
    assert study.latest(case) == first and study.revisions(case) == [first]
    assert study.timing() == {"artery": [], "vein": []}, "measuring isn't labeling"
    assert Study.open(study.folder).repeats() == [repeat]
    one, other, known = study.repeated(repeat)
    assert np.array_equal(one.array, make_labels(0).array)
    assert np.array_equal(other.array, again.array)
    assert not known.label(0).any(), "only the vein was labeled again"
    assert known.label(1)[2].all() and not np.delete(known.label(1), 2, axis=0).any()


def test_a_repeat_belongs_to_the_revision_that_it_repeats(study, case, make_labels):
    study.add_revision(case, make_labels(0))
    one = study.add_repeat(case, make_labels(1))
    two = study.add_repeat(case, make_labels(2))
    study.add_revision(case, make_labels(3))
    three = study.add_repeat(case, make_labels(4))
    assert [(r.revision, r.number) for r in (one, two, three)] == [(1, 1), (1, 2), (2, 1)]
    assert np.array_equal(study.repeated(one)[0].array, make_labels(0).array)
    assert np.array_equal(study.repeated(three)[0].array, make_labels(3).array)
    assert study.repeated(three)[2].all().all()


def test_a_volume_annotated_in_many_ways_is_compared_where_both_were(study, case, make_labels):
    for classes, slices in ((("artery",), (0, 1)), (("vein",), (1, 2)), (None, (3,))):
        study.add_revision(case, make_labels(), Annotation({"axial": slices}, classes))
    repeat = study.add_repeat(case, make_labels(1), Annotation(None, ("artery",)))
    _, _, known = study.repeated(repeat)
    assert known.label(0).any(axis=(1, 2)).tolist() == [True, True, False, True, False, False]
    assert not known.label(1).any()


@pytest.mark.parametrize(
    "annotation, words",
    [
        (Annotation({"axial": (3,)}), "Nothing of this was labeled before in case 'scan'"),
        (Annotation({"axial": (1,)}, ("vein",)), "Nothing of this was labeled before"),
        (Annotation({"axial": (6,)}), "no axial slice 6"),
    ],
)
def test_what_was_not_labeled_before_cannot_be_repeated(
    study, case, make_labels, annotation, words
):
    with pytest.raises(StudyError, match="isn't labeled yet"):
        study.add_repeat(case, make_labels())
    study.add_revision(case, make_labels(), Annotation({"axial": (1,)}, ("artery",)))
    with pytest.raises(StudyError, match=words):
        study.add_repeat(case, make_labels(), annotation)
    assert study.repeats() == [] and not (study.folder / "repeats" / case.name).exists()


def test_a_damaged_repeat_is_found(study, case, make_labels):
    study.add_revision(case, make_labels())
    repeat = study.add_repeat(case, make_labels(1))
    (study.folder / "models").mkdir()
    assert check(study) == []
    repeat.path.write_bytes(b"something else")
    with pytest.raises(StudyError, match="has changed"):
        study.repeated(repeat)
    assert "a second labeling of case 'scan', has changed" in check(study)[0].message
    repeat.path.unlink()
    assert "is missing" in check(study)[0].message


def test_a_study_of_the_first_version_learns_of_repeats(study, case, make_labels, tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    assert Database(folder, MIGRATIONS[:1]).create(lambda connection: connection.execute(
        "INSERT INTO study (id, sides_matter, created) VALUES (1, 1, 'x')"
    ))
    assert Study.open(folder).repeats() == []
