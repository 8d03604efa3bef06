"""Images and labels find each other by their names."""

import re

import pytest

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.jobs.case_files import (
    CaseFiles,
    LabelFolder,
    find_cases,
    group_of,
    left_out,
)
from Testing.locked import without_permission


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


@pytest.mark.parametrize("ending", ["mnc", "mrc", "vtk", "h5", "hdf5"])
def test_a_folder_of_volumes_in_a_rare_format_stands_for_them(tmp_path, touch, ending):
    touch(f"a.{ending}", f"b.{ending}", "notes.txt")
    assert named(find_cases([tmp_path])) == {"a": [f"a.{ending}"], "b": [f"b.{ending}"]}
    labels = LabelFolder(tmp_path)
    assert labels.names == ["a", "b"] and labels.of("b").name == f"b.{ending}"


def test_surfaces_and_transforms_beside_images_and_labels_are_not_taken_for_volumes(
    tmp_path, touch
):
    touch("ct/a.nii", "ct/a.vtk", "ct/registration.h5", "dicom/skin.vtk", "dicom/1/IM1")
    (tmp_path / "dicom" / "1" / "IM1").write_bytes(bytes(128) + b"DICM")
    cases = find_cases([tmp_path / "ct", tmp_path / "dicom"])
    assert named(cases) == {"a": ["a.nii"], "dicom": ["dicom"]}
    assert LabelFolder(tmp_path / "ct").of("a").name == "a.nii"


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
        (["a.nii", "a.nrrd"], None, "would both be the case 'a'"),
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


@pytest.mark.parametrize("locked", ["w", "w/in.nii"])
def test_what_may_not_be_read_is_said_and_does_not_keep_the_others_out(
    tmp_path, touch, monkeypatch, locked
):
    touch("w/in.nii", "a.nii", "b.nii")
    without_permission(tmp_path / "w", monkeypatch)
    paths = [tmp_path / name for name in ("a.nii", locked, "b.nii")]
    said = []
    assert list(named(find_cases(paths, problem=said.append))) == ["a", "b"]
    assert said == [
        f"{paths[1]} can't be read for lack of permission: get the right to read it."
    ]
    assert list(left_out(paths)) == []
    with pytest.raises(ActiveSegLoopError, match="w can't be read for lack of permission"):
        LabelFolder(tmp_path / "w")


def test_what_makes_no_case_does_not_keep_the_others_out(tmp_path, touch):
    paths = touch("a.nii", "a.nrrd", "b.nii", "c.nii")
    said = []
    cases = find_cases([*paths[:3], tmp_path / "none.nii", paths[3]], problem=said.append)
    assert list(named(cases)) == ["b", "c"]
    assert "none.nii doesn't exist" in said[0] and "a.nii and " in said[1] and len(said) == 2


@pytest.mark.parametrize(
    "files, names",
    [
        (["pa/1/ct.nii", "pa/2/ct.nii", "pa/1/mr.nii"], ["1-ct", "2-ct", "mr"]),
        (["a/1/ct.nii", "b/1/ct.nrrd", "b/2/ct.nii"], ["a-1-ct", "b-1-ct", "b-2-ct"]),
        (["1/ct.nii", "2/ct.nii", "1-ct.nii"], ["1-ct", "2-ct", "1-ct-2"]),
        (["動脈.nii", "静脈.nii", "静脈 7.nii"], ["case", "case-2", "7"]),
        (["a b.nii", "a-b.nii"], ["a-b", "a-b-2"]),
    ],
)
def test_images_called_alike_get_names_of_their_own(touch, files, names):
    cases = find_cases(touch(*files))
    assert [case.name for case in cases] == names


def test_channels_called_alike_in_several_folders_make_a_case_each(touch):
    paths = touch(*(f"{folder}/q_{c:04d}.nii" for folder in ("x", "y") for c in (1, 0)))
    cases = find_cases(paths, 2)
    assert named(cases) == {
        f"{folder}-q": ["q_0000.nii", "q_0001.nii"] for folder in ("x", "y")
    }
    assert all(path.parent.name == case.name[0] for case in cases for path in case.images)


def test_a_label_file_is_never_given_to_another_image_of_the_same_name(tmp_path, touch):
    touch("labels/動脈.nii", "labels/ct.nii", "labels/2-ct.nii", "labels/a-b.nii")
    labels = LabelFolder(tmp_path / "labels")
    files = touch("静脈.nii", "動脈.nii", "1/ct.nii", "2/ct.nii", "a b.nii")
    assert {case.name: labels.of_case(case) for case in find_cases(files)} == {
        "case": None, "case-2": tmp_path / "labels/動脈.nii", "1-ct": None,
        "2-ct": tmp_path / "labels/2-ct.nii", "a-b": tmp_path / "labels/a-b.nii",
    }


def test_dicom_files_beside_volumes_are_said_to_be_left_out(tmp_path, touch):
    touch("mixed/a.nii", "mixed/notes.txt", "dicom/IM1", "plain/b.nii")
    for folder in ("mixed", "dicom"):
        (tmp_path / folder / "IM1").write_bytes(bytes(128) + b"DICM")
    folders = [tmp_path / name for name in ("mixed", "dicom", "plain")]
    (said,) = left_out([*folders, tmp_path / "none"])
    assert "mixed stands for the volumes in it, such as a.nii" in said and "IM1" in said


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
