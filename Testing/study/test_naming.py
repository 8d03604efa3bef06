"""Names of cases."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.study.naming import case_name, check_case_name, no_case, unique_name


@pytest.mark.parametrize(
    "file, name",
    [
        ("hippocampus_001.nii.gz", "hippocampus_001"),
        ("hippocampus_001_0000.nii.gz", "hippocampus_001"),
        ("kidney.v2.NRRD", "kidney.v2"),
        ("seg.seg.nrrd", "seg"),
        ("a.mha", "a"),
        ("brain.img.gz", "brain"),
        ("brain.tiff", "brain"),
        ("brain.nii.nii.gz", "brain.nii"),
        ("two_d.png", "two_d"),
        ("dicom folder (2)", "dicom-folder-2"),
        ("Müller Ä.nii", "Muller-A"),
        ("動脈.nii", "case"),
        (".nii", "nii"),
        ("..", "case"),
        ("con.nii", "case-con"),
        ("nul.1.nii.gz", "case-nul.1"),
        ("a" * 300 + ".nii", "a" * 100),
        ("scan.2024.01", "scan.2024.01"),
    ],
)
def test_a_case_is_named_after_its_image(file, name):
    assert case_name(Path(file)) == name


@given(st.text(min_size=1, max_size=150).filter(lambda s: "/" not in s and "\0" not in s))
def test_whatever_the_image_is_called_the_name_is_good(text):
    check_case_name(case_name(Path(text)))


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "..", ".a", "a.", "COM1", "ä", "a\n", "a" * 101]
)
def test_names_that_some_file_system_refuses_are_refused_with_one_that_would_do(name):
    with pytest.raises(StudyError, match="for example '([^']+)'") as caught:
        check_case_name(name)
    check_case_name(str(caught.value).split("for example '")[1].split("'")[0])


def test_names_stay_unique_where_letters_case_doesnt_count():
    assert unique_name("ct", {"mr"}) == "ct"
    assert unique_name("ct", {"CT", "ct-2"}) == "ct-3"
    assert unique_name("a" * 100, {"a" * 100}) == "a" * 98 + "-2"


@pytest.mark.parametrize(
    "name, names, said",
    [
        ("CT of P1.nii.gz", ["P1", "CT-of-P1"], "'CT of P1.nii.gz'; did you mean 'CT-of-P1'?"),
        ("p1", ["P1", "P10"], "'p1'; did you mean 'P1'?"),
        ("pat_1", ["pat-1", "pat-12", "ct"], "did you mean 'pat-1' or 'pat-12'?"),
        ("x", ["a"], "'x', but 'a'."),
        ("x", list("abcdefg"), "'x', but 'a', 'b', 'c', 'd', 'e' and 2 more."),
        ("x", [], "'x': no image was added yet."),
    ],
)
def test_who_names_a_case_that_is_not_there_hears_which_may_be_meant(name, names, said):
    assert said in no_case(name, names)
