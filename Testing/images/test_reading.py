"""What can be read, and the right values."""

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.itk import to_sitk
from ActiveSegLoopLib.images.reading import read_geometry, read_image, read_labelmap
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume

# Those that keep a 3D grid; the others below keep the voxels only.
WHOLE = [
    "nii", "nii.gz", "nrrd", "nhdr", "mha", "mhd", "hdr", "img.gz", "gipl", "gipl.gz", "mnc", "h5",
]  # fmt: skip
VOXELS_ONLY = ["vtk", "tif", "mrc"]


@pytest.mark.parametrize("ending", WHOLE + VOXELS_ONLY)
def test_every_format_of_simpleitk_gives_the_same_voxels(ending, a_volume, tmp_path):
    path = tmp_path / f"image.{ending}"
    sitk.WriteImage(to_sitk(a_volume), str(path))
    volume = read_image(path)
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, a_volume.array)
    if ending in WHOLE:
        assert volume.geometry.difference(a_volume.geometry) is None


@pytest.mark.parametrize(
    "dtype",
    [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64,
     np.float32, np.float64],
)  # fmt: skip
def test_voxels_keep_their_type_and_value(dtype, a_volume, tmp_path):
    limits = np.finfo(np.float32) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    array = np.zeros(a_volume.array.shape, dtype)
    array[0, 0, :2] = limits.max, limits.min
    array[1] = 7
    write_volume(tmp_path / "x.nrrd", a_volume.with_array(array))
    volume = read_image(tmp_path / "x.nrrd")
    assert volume.array.dtype == dtype
    assert np.array_equal(volume.array, array)


def test_a_scaled_nifti_file_gives_scaled_values(shared_data, a_volume, tmp_path):
    path = tmp_path / "scaled.nii"
    write_volume(path, a_volume)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([0.5, -1024], "<f4").tobytes()  # scl_slope, scl_inter
    path.write_bytes(content)
    assert np.allclose(read_image(path).array, a_volume.array * 0.5 - 1024)


def test_float_images_of_the_hippocampus_keep_their_range(shared_data):
    highest = [
        read_image(path).array.max()
        for path in sorted((shared_data / "hippocampus" / "images").glob("*.nii.gz"))[::10]
    ]
    assert min(highest) < 300 and max(highest) > 1000


def test_oblique_nifti_and_nrrd_of_one_image_agree(shared_data):
    nifti = read_image(shared_data / "odd_files" / "FLAIR.nii.gz")
    nrrd = read_image(shared_data / "odd_files" / "FLAIR.nrrd")
    assert np.array_equal(nifti.array, nrrd.array)
    assert nifti.geometry.difference(nrrd.geometry) is None


@pytest.mark.parametrize("ending", ["png", "tif", "nrrd", "nii.gz", "mha"])
def test_a_2d_image_becomes_one_slice(ending, tmp_path):
    array = np.arange(60, dtype=np.uint8).reshape(6, 10)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"flat.{ending}"))
    volume = read_image(tmp_path / f"flat.{ending}")
    assert volume.geometry.shape == (1, 6, 10)
    assert np.array_equal(volume.array[0], array)


def test_an_image_of_one_slice_is_read_as_it_is(a_volume, tmp_path):
    sitk.WriteImage(to_sitk(a_volume)[:, :, 2:3], str(tmp_path / "one.nii.gz"))
    volume = read_image(tmp_path / "one.nii.gz")
    assert volume.geometry.shape == (1, 7, 8)
    assert volume.geometry.spacing == (3.0, 2.0, 1.5)
    assert np.array_equal(volume.array[0], a_volume.array[2])


def test_a_fourth_dimension_of_one_is_no_obstacle(a_volume, tmp_path):
    sitk.WriteImage(sitk.JoinSeries(to_sitk(a_volume)), str(tmp_path / "one.nrrd"))
    volume = read_image(tmp_path / "one.nrrd")
    assert np.array_equal(volume.array, a_volume.array)
    assert volume.geometry.difference(a_volume.geometry) is None


def test_a_label_map_of_whole_floats_is_read_as_integers(shared_data):
    path = shared_data / "spinalcord_mri" / "labels" / "mt1_greymatter.nii.gz"
    assert read_image(path).array.dtype == np.float32
    labels = read_labelmap(path).array
    assert labels.dtype == np.uint8
    assert np.array_equal(np.unique(labels), [0, 1])


def test_labels_of_a_scaled_file_are_rounded_to_what_is_meant(a_volume, tmp_path):
    path = tmp_path / "scaled.nii"
    write_volume(path, a_volume.with_array(((a_volume.array > 0) * 255).astype(np.int16)))
    content = bytearray(path.read_bytes())
    content[112:116] = np.array([1 / 255], "<f4").tobytes()  # scl_slope
    path.write_bytes(content)
    assert np.array_equal(read_labelmap(path).array, a_volume.array > 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int64, np.uint16])
def test_labels_over_255_come_as_uint16(dtype, a_volume, tmp_path):
    array = np.zeros(a_volume.array.shape, dtype)
    array[0, 0, 0] = 300
    write_volume(tmp_path / "x.nrrd", a_volume.with_array(array))
    labels = read_labelmap(tmp_path / "x.nrrd").array
    assert labels.dtype == np.uint16
    assert np.array_equal(labels, array)


@pytest.mark.parametrize(
    ("value", "words"), [(0.5, "fractions such as 0.5"), (-1, "negative"), (70000, "up to 70000")]
)
def test_what_cannot_be_a_label_is_refused_by_name(value, words, a_volume, tmp_path):
    array = np.zeros(a_volume.array.shape, np.float64)
    array[3, 2, 1] = value
    write_volume(tmp_path / "odd.nrrd", a_volume.with_array(array))
    with pytest.raises(ImageError, match=f"odd.nrrd isn't a label map: .*{words}"):
        read_labelmap(tmp_path / "odd.nrrd")


def test_reading_images_needs_no_torch_and_no_slicer():
    code = (
        "import sys, ActiveSegLoopLib.images.reading, ActiveSegLoopLib.images.resampling, "
        "ActiveSegLoopLib.images.segmentation, ActiveSegLoopLib.images.normalization\n"
        "bad = {'torch', 'monai', 'slicer', 'qt', 'ctk', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_mask_is_stored_as_zeros_and_ones(a_volume, tmp_path):
    mask = a_volume.array > 0
    write_volume(tmp_path / "mask.nii.gz", Volume(mask, a_volume.geometry))
    assert np.array_equal(read_labelmap(tmp_path / "mask.nii.gz").array, mask)


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_a_header_tells_the_grid_without_the_voxels(ending, a_volume, tmp_path):
    path = tmp_path / f"image.{ending}"
    sitk.WriteImage(to_sitk(a_volume), str(path))
    assert read_geometry(path).difference(read_image(path).geometry) is None
    sitk.WriteImage(to_sitk(a_volume)[:, :, 0], str(tmp_path / "flat.nii.gz"))
    (tmp_path / "text.nii.gz").write_text("no image")
    for name in ("flat.nii.gz", "text.nii.gz", "missing.nii.gz", ""):
        assert read_geometry(tmp_path / name) is None, name
