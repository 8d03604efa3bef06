"""Images that were moved or changed, DICOM folders, and what the study never stores."""

import os
import shutil
import time

import numpy as np
import pytest

import ActiveSegLoopLib.study.channels as channels_module
from ActiveSegLoopLib.errors import ImageError, StudyError
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import Study
from ActiveSegLoopLib.study.checking import check
from ActiveSegLoopLib.study.database import Database
from ActiveSegLoopLib.study.fingerprint import fingerprint
from Testing.study.dicom_samples import ONE, THREE, TWO, write_series

SECRETS = ("Doe^Jane", "Doe", "PID-4711", "19611231")


def age(path):
    """Make a file look as if it had been written a minute ago."""
    then = time.time() - 60
    os.utime(path, (then, then))


@pytest.fixture
def hashed(monkeypatch):
    """The paths whose content was read for a fingerprint."""
    paths, function = [], channels_module.fingerprint
    monkeypatch.setattr(
        channels_module, "fingerprint", lambda p, *files: paths.append(p) or function(p, *files)
    )
    return paths


def test_an_image_that_was_changed_is_refused_and_never_silently_used(study, case):
    path = case.channels[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(StudyError, match=f"{path} isn't the image any more .* case 'scan'"):
            study.volumes(case)


def test_a_change_that_keeps_size_is_noticed_after_the_image_was_known(study, make_image, hashed):
    path = make_image("a.nrrd")
    age(path)
    case = study.add_case([path])
    study.volumes(case)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(StudyError, match="content has changed"):
        study.volumes(case)


def test_an_image_is_hashed_once_and_again_only_when_its_file_was_touched(
    study, make_image, hashed
):
    path = make_image()
    age(path)
    case = study.add_case([path])
    assert len(hashed) == 1
    Study.open(study.folder).volumes(case)
    assert len(hashed) == 1
    os.utime(path, (time.time() - 30,) * 2)
    study.volumes(case)
    study.volumes(case)
    assert len(hashed) == 2


def test_an_image_that_is_gone_is_reported_with_what_to_do(study, case):
    case.channels[0].unlink()
    with pytest.raises(StudyError, match="isn't at .*scan.nii.gz any more: put it back, or .*relo"):
        study.volumes(case)


def test_a_moved_image_is_relocated_when_it_is_the_same(study, case, make_image):
    voxels = study.volumes(case)[0].array
    old = case.channels[0]
    new = old.parent / "elsewhere" / "other.nii.gz"
    new.parent.mkdir()
    old.rename(new)
    other = make_image("wrong.nii.gz")
    with pytest.raises(StudyError, match="wrong.nii.gz isn't the image of case 'scan'"):
        study.relocate(case, [other])
    with pytest.raises(StudyError, match="has 1 images, but 2 places"):
        study.relocate(case, [new, other])
    with pytest.raises(StudyError, match="absent.nii can't be read"):
        study.relocate(case, [old.with_name("absent.nii")])
    moved = study.relocate(case, [new])
    assert moved.channels == (new,) and moved.name == case.name
    assert np.array_equal(study.volumes(case)[0].array, voxels)


def test_a_study_that_moves_with_its_images_or_without_them_finds_them(
    tmp_path, study, case, make_labels
):
    revision = study.add_revision(case, make_labels())
    together = tmp_path / "together"
    together.mkdir()
    shutil.copytree(study.folder, together / "study")
    shutil.copytree(case.channels[0].parent, together / "images")
    copy = Study.open(together / "study")
    assert copy.cases()[0].channels == (together / "images" / "scan.nii.gz",)
    assert copy.volumes(copy.cases()[0])

    alone = tmp_path / "far" / "away"
    alone.parent.mkdir()
    shutil.move(study.folder, alone)
    moved = Study.open(alone)
    assert moved.cases()[0].channels == case.channels
    assert moved.volumes(moved.cases()[0])
    assert np.array_equal(moved.labelmap(moved.latest(case)).array, make_labels().array)
    assert moved.latest(case).sha256 == revision.sha256


def test_a_study_reached_through_a_link_finds_its_images(tmp_path, study, case):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    link = tmp_path / "deep" / "er" / "link"
    link.symlink_to(study.folder)
    assert Study.open(link).cases()[0].channels == case.channels


def test_an_archived_study_that_cant_be_written_can_be_read(study, case, monkeypatch):
    def refuse(self):
        raise StudyError("written")

    monkeypatch.setattr(Database, "is_writable", False)
    monkeypatch.setattr(Database, "writing", refuse)
    age(case.channels[0])
    assert study.volumes(case)
    assert check(study) == []


def test_a_dicom_folder_is_a_case_and_a_slice_more_or_less_is_a_change(study, tmp_path):
    folder = tmp_path / "dicom"
    array = write_series(folder / "ser", ONE, 1)
    case = study.add_case([folder])
    assert np.array_equal(study.volumes(case)[0].array, array)
    assert case.channels == (folder / "ser",), "the folder that holds the files"
    (folder / "ser" / ".DS_Store").write_text("x")
    study.volumes(case)
    (folder / "ser" / "slice4.dcm").rename(folder / "slice4.dcm")
    with pytest.raises(StudyError, match="content has changed"):
        study.volumes(case)


def test_one_of_several_dicom_series_is_chosen_and_remembered(study, tmp_path):
    folder = tmp_path / "dicom"
    first = write_series(folder, ONE, 1, "a")
    second = write_series(folder, TWO, 2, "b")
    with pytest.raises(ImageError, match=TWO):
        study.add_case([folder])
    with pytest.raises(ImageError):
        study.add_case([folder], series=["1.2.3"])
    one = study.add_case([folder], series=[ONE])
    assert np.array_equal(study.volumes(one)[0].array, first)
    with pytest.raises(StudyError, match="is in the study already, as case 'dicom'"):
        study.add_case([folder], series=[ONE], role="test")
    two = study.add_case([folder], series=[TWO])
    folder.rename(tmp_path / "moved")
    study.relocate(two, [tmp_path / "moved"])
    assert np.array_equal(study.volumes(two)[0].array, second)


def test_a_dicom_series_saved_as_one_file_is_the_same_image(study, tmp_path):
    write_series(tmp_path / "dicom", ONE, 1, "a")
    case = study.add_case([tmp_path / "dicom"])
    write_volume(tmp_path / "copy.nii.gz", study.volumes(case)[0])
    with pytest.raises(StudyError, match="the same voxels as the image of case 'dicom'"):
        study.add_case([tmp_path / "copy.nii.gz"], role="test")


def test_several_dicom_series_of_a_folder_are_the_channels_of_a_case(study, tmp_path):
    folder = tmp_path / "dicom"
    arrays = [write_series(folder, uid, seed, uid) for seed, uid in enumerate((ONE, TWO, THREE))]
    both = study.add_case([folder, folder], series=[THREE, TWO])
    assert [np.array_equal(v.array, a) for v, a in zip(study.volumes(both), arrays[::-1])] == [
        True,
        True,
    ]
    with pytest.raises(StudyError, match="is in the study already, as case 'dicom'"):
        study.add_case([folder, folder], series=[ONE, TWO])
    folder.rename(tmp_path / "moved")
    study.relocate(both, [tmp_path / "moved"] * 2)
    assert np.array_equal(study.volumes(both)[0].array, arrays[2])


def test_what_else_lies_in_a_dicom_folder_is_no_part_of_the_image(study, tmp_path):
    folder = tmp_path / "dicom"
    array = write_series(folder, ONE, 1)
    case = study.add_case([folder])
    (folder / "note.txt").write_text("seen by the radiologist")
    assert np.array_equal(study.volumes(case)[0].array, array)
    assert check(study) == []
    write_series(folder, TWO, 2, "other")
    assert np.array_equal(study.volumes(case)[0].array, array)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    with pytest.raises(StudyError, match="is in the study already, as case 'dicom'"):
        study.add_case([copy], role="test", series=[ONE])
    assert study.relocate(case, [copy]).channels == (copy,)


def test_a_study_that_took_the_fingerprint_of_the_whole_folder_goes_on_working(study, tmp_path):
    folder = tmp_path / "dicom"
    array = write_series(folder, ONE, 1, "a")
    write_series(folder, TWO, 2, "b")
    case = study.add_case([folder], series=[ONE])
    whole = fingerprint(folder)
    with study.database.writing() as connection:
        connection.execute("UPDATE channels SET size = ?, sha256 = ?", (whole.size, whole.sha256))
    assert np.array_equal(study.volumes(case)[0].array, array)
    with pytest.raises(StudyError, match="is in the study already, as case 'dicom'"):
        study.add_case([folder], series=[ONE], role="test")
    shutil.copytree(folder, tmp_path / "copy")
    case = study.relocate(case, [tmp_path / "copy"])
    assert np.array_equal(study.volumes(case)[0].array, array)
    (tmp_path / "copy" / "a0.dcm").write_bytes((folder / "a1.dcm").read_bytes())
    with pytest.raises(StudyError, match="content has changed"):
        study.volumes(case)


def test_a_series_of_a_file_is_refused(study, make_image):
    with pytest.raises(ImageError, match="scan.nii.gz isn't a folder: a series can only be chosen"):
        study.add_case([make_image()], series=[ONE])
    assert study.cases() == []


def test_a_series_spread_over_folders_is_refused(study, tmp_path):
    write_series(tmp_path / "dicom", ONE, 1)
    (tmp_path / "dicom" / "more").mkdir()
    (tmp_path / "dicom" / "slice4.dcm").rename(tmp_path / "dicom" / "more" / "slice4.dcm")
    with pytest.raises(ImageError, match="spread over several folders"):
        study.add_case([tmp_path / "dicom"])


def test_nothing_of_the_patient_enters_the_study(study, tmp_path, make_labels):
    folder = tmp_path / "dicom"
    write_series(folder, ONE, 1)
    assert any(b"Doe^Jane" in file.read_bytes() for file in folder.iterdir())
    case = study.add_case([folder])
    study.add_revision(case, make_labels(grid=case.geometry))
    contents = b"".join(file.read_bytes() for file in study.folder.rglob("*") if file.is_file())
    for secret in (*SECRETS, ONE):
        assert secret.encode() not in contents


def test_real_dicom_is_read_as_it_was_added(study, shared_data):
    case = study.add_case([shared_data / "dicom" / "ct_head"])
    assert case.geometry.shape == (93, 64, 64)
    assert study.volumes(case)[0].array.std() > 0
