"""Images and labels find each other by their names."""

import re

import pytest

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.jobs.case_files import CaseFiles, LabelFolder, find_cases, group_of


@pytest.fixture
def touch(tmp_path):
    """Makes empty files in the temporary folder and returns their paths."""

    def make(*names):
        paths = [tmp_path / name for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return paths

    return make


def named(cases):
    return {case.name: [path.name for path in case.images] for case in cases}


def test_each_image_is_a_case_called_like_it(touch):
    paths = touch("a.nii.gz", "b.nrrd", "c.1.mha")
    assert list(named(find_cases(paths))) == ["a", "b", "c.1"]


def test_a_folder_stands_for_the_volumes_in_it_and_one_without_any_is_an_image(tmp_path, touch):
    touch("ct/b.nii.gz", "ct/a.nrrd", "ct/a.seg.nrrd", "ct/.hidden.nii", "ct/notes.txt")
    touch("patient7/IM0001", "patient7/IM0002")
    cases = find_cases([tmp_path / "ct", tmp_path / "patient7"])
    assert named(cases) == {"a": ["a.nrrd"], "b": ["b.nii.gz"], "patient7": ["patient7"]}


def test_an_image_named_twice_counts_once(tmp_path, touch):
    (path,) = touch("ct/a.nii")
    assert len(find_cases([path, tmp_path / "ct"])) == 1


def test_channels_make_a_case_in_the_order_of_their_numbers(touch):
    paths = touch("p_1_0001.nii.gz", "p_1_0000.nii.gz", "p_2_0000.nii.gz", "p_2_0001.nii.gz")
    assert named(find_cases(paths, 2)) == {
        "p_1": ["p_1_0000.nii.gz", "p_1_0001.nii.gz"],
        "p_2": ["p_2_0000.nii.gz", "p_2_0001.nii.gz"],
    }


@pytest.mark.parametrize(
    "names, channels, said",
    [
        (["a.nii", "sub/a.nrrd"], None, "would both be the case 'a'"),
        (["a_0000.nii"], 2, "needs 0000, 0001"),
        (["a_0000.nii", "a_0002.nii"], 2, "has the channels 0000, 0002"),
        (["a.nii"], 2, "isn't named as one of several channels"),
    ],
)
def test_what_makes_no_clear_cases_is_refused(touch, names, channels, said):
    with pytest.raises(ActiveSegLoopError, match=said):
        find_cases(touch(*names), channels)


def test_an_image_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ActiveSegLoopError, match="nowhere.nii doesn't exist"):
        find_cases([tmp_path / "nowhere.nii"])


def test_labels_are_found_by_name_whatever_their_format(tmp_path, touch):
    touch("a.seg.nrrd", "b.nii.gz", "c.mha")
    labels = LabelFolder(tmp_path)
    assert labels.of("a").name == "a.seg.nrrd"
    assert labels.of("b").name == "b.nii.gz"
    assert labels.of("d") is None


def test_two_label_files_of_one_case_are_refused(tmp_path, touch):
    touch("a.seg.nrrd", "a.nii.gz")
    with pytest.raises(ActiveSegLoopError, match="two label files"):
        LabelFolder(tmp_path).of("a")


def test_the_patient_is_found_in_the_name(touch):
    case = CaseFiles("x", tuple(touch("patient12_left.nii.gz")))
    assert group_of(case, None) is None
    assert group_of(case, re.compile(r"patient(\d+)")) == "12"
    assert group_of(case, re.compile(r"patient\d+")) == "patient12"
    with pytest.raises(ActiveSegLoopError, match="finds nothing in the name patient12_left"):
        group_of(case, re.compile(r"case\d+"))
