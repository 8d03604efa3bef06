"""Voxels that are undefined, infinite or too large are refused, whatever format hides them."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images import integrity
from ActiveSegLoopLib.images.itk import to_sitk
from ActiveSegLoopLib.images.reading import read_image, read_labelmap

FORMATS = ["nrrd", "mha", "nii", "nii.gz", "hdr", "img.gz"]


def refusal(path, read=read_image):
    """The one sentence with which a file is refused."""
    with pytest.raises(ImageError) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def write(path, volume, array):
    sitk.WriteImage(to_sitk(volume.with_array(array)), str(path))
    return path


def swapped(path, dtype):
    """Turn a little-endian .nii into the same image in big-endian order."""
    content = path.read_bytes()
    numbers = {
        4: [0, *range(76, 140, 4), *range(256, 328, 4)],
        2: [*range(40, 56, 2), *range(70, 74, 2), *range(252, 256, 2)],
    }
    head = bytearray(content[:352])
    for width, places in numbers.items():
        for place in places:
            head[place : place + width] = head[place : place + width][::-1]
    voxels = np.frombuffer(content[352:], dtype).byteswap().tobytes()
    path.write_bytes(bytes(head) + voxels)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("read", [read_image, read_labelmap])
def test_non_finite_voxels_are_counted(ending, dtype, bad, read, a_volume, tmp_path):
    array = (a_volume.array > 0).astype(dtype)
    array[2, 3, 4] = array[5, 6, 7] = bad
    message = refusal(write(tmp_path / f"holes.{ending}", a_volume, array), read)
    assert "2 voxels that aren't finite" in message and "(2, 3, 4)" in message


@pytest.mark.parametrize("ending", FORMATS)
def test_a_single_one_is_found_in_whatever_place(ending, a_volume, tmp_path):
    for place in ((0, 0, 0), (5, 6, 7)):
        array = a_volume.array.astype(np.float32)
        array[place] = np.nan
        message = refusal(write(tmp_path / f"one.{ending}", a_volume, array))
        assert f"1 voxel that isn't a finite number (NaN or infinite), the first at {place}" in (
            message
        )


def test_infinities_of_both_signs_are_counted(a_volume, tmp_path):
    array = a_volume.array.astype(np.float32)
    array[0, 0, 0], array[0, 0, 1] = np.inf, -np.inf
    message = refusal(write(tmp_path / "both.nrrd", a_volume, array))
    assert "2 voxels that aren't finite" in message


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_nifti_file_of_the_other_byte_order_is_read_and_its_holes_are_found(
    dtype, a_volume, tmp_path
):
    array = a_volume.array.astype(dtype)
    path = write(tmp_path / "big.nii", a_volume, array)
    swapped(path, dtype)
    assert np.array_equal(read_image(path).array, array)
    array[1, 2, 3] = np.inf
    swapped(write(path, a_volume, array), dtype)
    assert "the first at (1, 2, 3)" in refusal(path)


def test_a_hole_between_two_pieces_of_a_packed_file_is_found(a_volume, tmp_path, monkeypatch):
    array = a_volume.array.astype(np.float64)
    array[3, 4, 5] = np.nan
    path = write(tmp_path / "x.nii.gz", a_volume, array)
    for size in (7, 1001):
        monkeypatch.setattr(integrity, "_UNPACKED", size)
        assert "1 voxel that isn't" in refusal(path)
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:1231]) + gzip.compress(content[1231:]))
    assert "the first at (3, 4, 5)" in refusal(path)


def test_what_lies_before_and_behind_the_voxels_is_no_voxel(a_volume, tmp_path):
    array = a_volume.array.astype(np.float32)
    path = write(tmp_path / "x.nii", a_volume, array)
    content = bytearray(path.read_bytes())
    content[108:112] = np.float32(352 + 32).tobytes()  # vox_offset
    nothing = np.full(8, np.nan, "<f4").tobytes()
    path.write_bytes(bytes(content[:348]) + bytes(4) + nothing + bytes(content[352:]) + nothing)
    assert np.array_equal(read_image(path).array, array)


@pytest.mark.parametrize("scaling", [(np.nan, np.nan), (np.inf, 0), (1, np.nan), (1, -np.inf)])
def test_a_scaling_that_is_no_number_counts_as_none(scaling, a_volume, tmp_path):
    for dtype in (np.float32, np.int16):
        path = write(tmp_path / "x.nii", a_volume, a_volume.array.astype(dtype))
        content = bytearray(path.read_bytes())
        content[112:120] = np.array(scaling, "<f4").tobytes()  # scl_slope, scl_inter
        path.write_bytes(content)
        assert np.array_equal(read_image(path).array, a_volume.array)


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz"])
def test_values_beyond_what_a_model_computes_with_are_refused(ending, a_volume, tmp_path):
    array = a_volume.array.astype(np.float64)
    array[0, 0, 0] = -1e300
    path = write(tmp_path / f"huge.{ending}", a_volume, array)
    assert "holds values up to -1e+300, too large to compute with" in refusal(path)
    array[0, 0, 0] = np.finfo(np.float32).max
    assert np.array_equal(read_image(write(path, a_volume, array)).array, array)
