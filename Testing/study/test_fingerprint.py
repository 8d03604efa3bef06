"""Whether an image is still the same one."""

import os
import time

import numpy as np
import pytest
import SimpleITK as sitk

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.study.fingerprint import files_of, fingerprint, stamp, voxel_digest


def names(path):
    return [part.name for part in files_of(path)]


@pytest.fixture
def image():
    return sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))


def age(path, seconds=60):
    """Make a file look as if it had been written earlier."""
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.mark.parametrize("header, data", [("a.mhd", "a.raw"), ("a.mhd", "a.zraw"),
                                          ("a.nhdr", "a.raw"), ("a.nhdr", "a.raw.gz"),
                                          ("a.hdr", "a.img")])
def test_a_header_counts_with_its_voxels_in_another_file(tmp_path, image, header, data):
    sitk.WriteImage(image, str(tmp_path / header), useCompression="z" in data)
    assert sorted(names(tmp_path / header)) == sorted([header, data])
    before = fingerprint(tmp_path / header)
    assert before.size == sum(f.stat().st_size for f in tmp_path.iterdir())
    content = bytearray((tmp_path / data).read_bytes())
    content[-1] ^= 1
    (tmp_path / data).write_bytes(content)
    after = fingerprint(tmp_path / header)
    assert after.size == before.size and after.sha256 != before.sha256


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.nii", "a.nii.gz"])
def test_a_file_that_holds_everything_counts_alone(tmp_path, image, name):
    sitk.WriteImage(image, str(tmp_path / name))
    assert names(tmp_path / name) == [name]


def test_lists_and_patterns_of_data_files_are_followed(tmp_path):
    head = "NRRD0004\ntype: short\ndimension: 3\nsizes: 5 4 3\nencoding: raw\nendian: little\n"
    for i in range(1, 4):
        (tmp_path / f"s{i:02d}.raw").write_bytes(bytes(40))
    (tmp_path / "list.nhdr").write_text(head + "data file: LIST 2\ns01.raw\ns02.raw\ns03.raw\n")
    (tmp_path / "pattern.nhdr").write_text(head + "data file: s%02d.raw 1 3 1 2\n")
    (tmp_path / "short.nhdr").write_text(head + "data file: s%02d.raw 1 3 2 2\n")
    (tmp_path / "list.mhd").write_text("NDims = 3\nElementDataFile = LIST\ns01.raw\ns02.raw\n")
    (tmp_path / "wrong.nhdr").write_text(head + "data file: s%02d.raw one 3 1\n")
    assert names(tmp_path / "list.nhdr") == ["list.nhdr", "s01.raw", "s02.raw", "s03.raw"]
    assert names(tmp_path / "pattern.nhdr") == ["pattern.nhdr", "s01.raw", "s02.raw", "s03.raw"]
    assert names(tmp_path / "short.nhdr") == ["short.nhdr", "s01.raw", "s03.raw"]
    assert names(tmp_path / "list.mhd") == ["list.mhd", "s01.raw", "s02.raw"]
    with pytest.raises(StudyError, match="wrong.nhdr names its data files"):
        fingerprint(tmp_path / "wrong.nhdr")


def test_a_folder_counts_by_its_files_contents(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.dcm").write_bytes(bytes([i]) * 9)
    before = fingerprint(tmp_path)
    (tmp_path / ".DS_Store").write_text("x")
    (tmp_path / "Thumbs.db").write_text("x")
    (tmp_path / "study").mkdir()
    (tmp_path / "0.dcm").rename(tmp_path / "z.dcm")
    assert fingerprint(tmp_path) == before
    (tmp_path / "3.dcm").write_bytes(b"")
    assert fingerprint(tmp_path) != before


def test_a_stamp_changes_with_a_files_time_size_and_name(tmp_path):
    path = tmp_path / "a.nii"
    path.write_bytes(b"123")
    age(path)
    first = stamp(path)
    assert first is not None and first == stamp(path)
    age(path, 61)
    assert stamp(path) != first
    path.write_bytes(b"1234")
    age(path)
    assert stamp(path) != first


def test_a_file_written_just_now_has_no_stamp_yet(tmp_path):
    path = tmp_path / "a.nii"
    path.write_bytes(b"123")
    assert stamp(path) is None


def test_a_file_that_cant_be_read_is_named(tmp_path):
    for function in (fingerprint, stamp):
        with pytest.raises(StudyError, match="absent.nii can't be read"):
            function(tmp_path / "absent.nii")


def test_of_a_header_whose_voxels_are_gone_the_missing_file_is_named(tmp_path, image):
    sitk.WriteImage(image, str(tmp_path / "gone.nhdr"))
    (tmp_path / "gone.raw").unlink()
    for function in (fingerprint, stamp):
        with pytest.raises(StudyError, match=r"gone.raw, which belongs to .*gone.nhdr, can't be"):
            function(tmp_path / "gone.nhdr")


def test_the_48_orientations_of_one_real_image_have_one_voxel_digest(shared_data):
    folder = shared_data / "odd_files" / "nifti_space_48_orientations"
    digests = [voxel_digest(read_image(path)) for path in sorted(folder.glob("*.nii.gz"))]
    assert len(digests) == 48 and len(set(digests)) == 1


def test_a_real_image_in_two_formats_has_one_voxel_digest(shared_data):
    nifti, nrrd = (read_image(shared_data / "odd_files" / f"FLAIR.{e}") for e in ("nii.gz", "nrrd"))
    assert voxel_digest(nifti) == voxel_digest(nrrd)
