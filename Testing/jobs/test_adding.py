"""Adding images again, under names that are taken, from folders of several series."""

import re

import numpy as np
import pytest

from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.jobs.case_files import CaseFiles, group_of
from ActiveSegLoopLib.study import Study
from Testing.jobs.conftest import balls
from Testing.jobs.running import call, content
from Testing.study.dicom_samples import ONE, TWO, write_series


def names(study):
    return [case.name for case in Study.open(study).cases()]


def refused(study, capsys, said, *arguments):
    """The command fails with one line that says `said`, and the study's cases are as before."""
    before = Study.open(study).cases(), content(study / "labels")
    capsys.readouterr()
    assert call("add", study, *arguments) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1, error
    assert (Study.open(study).cases(), content(study / "labels")) == before


def test_another_series_of_a_folder_is_another_case(study, tmp_path, capsys):
    folder = tmp_path / "dicom"
    arrays = [write_series(folder, ONE, 1, "a"), write_series(folder, TWO, 2, "b")]
    assert call("add", study, folder, "--series", ONE) == 0
    assert call("add", study, folder, "--series", TWO) == 0
    assert "1 case got another name" in capsys.readouterr().err
    opened = Study.open(study)
    for name, array in zip(("dicom", "dicom-2"), arrays):
        assert np.array_equal(opened.volumes(opened.case(name))[0].array, array)
    for series in (ONE, TWO):
        assert call("add", study, folder, "--series", series) == 0
        assert "1 were in the study already" in capsys.readouterr().out
    refused(study, capsys, "no DICOM series 1.2.3", folder, "--series", "1.2.3")


def test_a_folder_with_a_series_that_is_no_case_yet_is_not_said_to_be_in_the_study(
    study, tmp_path, capsys
):
    folder = tmp_path / "dicom"
    write_series(folder, ONE, 1, "a")
    assert call("add", study, folder) == call("add", study, folder) == 0
    assert "1 were in the study already" in capsys.readouterr().out
    write_series(folder, TWO, 2, "b")
    refused(study, capsys, "holds 2 DICOM series, choose one", folder)


def test_a_folder_above_a_dicom_series_is_that_series_only_when_it_holds_no_other(
    study, tmp_path, capsys
):
    write_series(tmp_path / "patient" / "a", ONE, 1)
    assert call("add", study, tmp_path / "patient" / "a") == 0
    assert call("add", study, tmp_path / "patient") == 0
    assert "1 were in the study already" in capsys.readouterr().out
    write_series(tmp_path / "patient" / "b", TWO, 2)
    refused(study, capsys, "holds 2 DICOM series, choose one", tmp_path / "patient")


def test_a_series_can_only_be_chosen_in_a_folder(study, data, capsys):
    for number in (0, 3):
        refused(study, capsys, f"p{number}.nii.gz isn't a folder", data.image(number),
                "--series", ONE)


def test_a_role_or_group_that_differs_from_the_cases_is_refused(study, data, capsys):
    refused(study, capsys, "'p0' is a pool case, and a role never changes",
            data.image(0), "--role", "test")
    refused(study, capsys, "'p5' is a test case", data.image(5), "--role", "pool")
    refused(study, capsys, "'p0' belongs to the group 'p0', not '0'",
            data.image(0), "--group-regex", r"p(\d)")
    same = ("--role", "test", "--group-regex", r"p\d")
    assert call("add", study, data.image(5), *same) == 0


def test_a_pattern_with_a_slash_finds_the_patient_in_the_folders(study, tmp_path, capsys):
    for number, scan in enumerate(("P07/first", "P07/second", "P08/first")):
        (tmp_path / "pa" / scan).mkdir(parents=True)
        write_volume(tmp_path / "pa" / scan / "ct.nii.gz", balls(40 + number)[0])
    images = sorted((tmp_path / "pa").rglob("*.nii.gz"))
    assert call("add", study, *images, "--group-regex", r"/(P\d+)/") == 0
    added = [case for case in Study.open(study).cases() if case.channels[0] in images]
    assert sorted(case.group for case in added) == ["P07", "P07", "P08"]
    refused(study, capsys, "finds nothing in the name /", images[0], "--group-regex", "/Q/")
    case = CaseFiles("ct", (tmp_path / "my_study" / "p1_ct.nii.gz",))
    assert group_of(case, re.compile("([^/_]+)_")) == "p1", "the name comes first"


def test_labels_of_a_labeled_case_are_said_to_be_left_aside(study, data, capsys):
    assert call("add", study, data.image(0), data.image(2), "--labels", data.labels) == 0
    error = capsys.readouterr().err
    assert "1 of the cases have labels already, such as p0" in error and "label gives" in error
    assert call("add", study, data.image(0)) == 0
    assert "labels already" not in capsys.readouterr().err


def test_images_called_alike_are_added_at_once_or_one_by_one(study, tmp_path, capsys):
    for number in (1, 2, 3):
        (tmp_path / "pa" / str(number)).mkdir(parents=True)
        write_volume(tmp_path / "pa" / str(number) / "ct.nii.gz", balls(30 + number)[0])
    one, two, three = sorted((tmp_path / "pa").glob("*/ct.nii.gz"))
    before = names(study)
    assert call("add", study, one) == 0
    assert call("add", study, one, two) == 0
    assert f"such as '2-ct' for {two}" in capsys.readouterr().err
    assert call("add", study, three) == 0
    assert names(study) == [*before, "ct", "2-ct", "3-ct"]
    assert call("add", study, one, two, three) == 0
    assert "3 were in the study already" in capsys.readouterr().out
    other = tmp_path / "copy" / "p0.nii.gz"
    other.parent.mkdir()
    other.write_bytes(one.read_bytes())
    refused(study, capsys, "p0.nii.gz is in the study already, as case 'ct'", other)


@pytest.mark.parametrize("bad", ["none.nii.gz", "p3.nrrd"])
def test_what_makes_no_case_does_not_keep_the_others_out(study, data, tmp_path, bad, capsys):
    images = [tmp_path / "p3.nii.gz", tmp_path / bad, data.image(4)]
    write_volume(images[0], balls(3)[0])
    write_volume(tmp_path / "p3.nrrd", balls(33)[0])
    assert call("add", study, *images) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert "p4" in names(study) and ("p3" in names(study)) == (bad == "none.nii.gz")
