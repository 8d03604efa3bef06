"""Files that can't be used: one clear sentence that names them, and nothing else is printed."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.itk import to_sitk
from ActiveSegLoopLib.images.reading import read_image, read_labelmap
from ActiveSegLoopLib.images.segmentation import read_segmentation
from Testing.locked import without_permission


def refusal(path, read=read_image):
    """The sentence with which a file is refused."""
    with pytest.raises(ImageError) as caught:
        read(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


@pytest.fixture
def nothing_printed(capfd):
    yield
    printed = capfd.readouterr()
    assert printed.err == "" and printed.out == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sct_dmri_4d.nii.gz", "has 4 dimensions (40 x 42 x 5 x 7 voxels)"),
        ("complex.nii.gz", "complex numbers"),
        ("shear.nii.gz", "is sheared: its axes are 18.5 degrees off"),
        ("norm.mgz", "damaged or in a format that SimpleITK doesn't know"),
        ("niivue_LICENSE", "damaged or in a format that SimpleITK doesn't know"),
    ],
)
def test_real_odd_files_are_refused(name, words, shared_data, nothing_printed):
    assert words in refusal(shared_data / "odd_files" / name)


@pytest.mark.parametrize("read", [read_image, read_labelmap, read_segmentation])
def test_a_missing_file_is_named(read, tmp_path, nothing_printed):
    assert "doesn't exist" in refusal(tmp_path / "no.seg.nrrd", read)


@pytest.mark.parametrize("name", ["x.nii.gz", "x.nrrd", "x.seg.nrrd", "x.dcm", "x.mha"])
def test_an_empty_file_is_said_to_be_empty(name, tmp_path, nothing_printed):
    (tmp_path / name).touch()
    assert "is empty (0 bytes)" in refusal(tmp_path / name, read_labelmap)


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz", "x.nrrd", "x.mha", "x.dcm", "x.h5", "x.txt"])
@pytest.mark.parametrize("content", [b"hello " * 200, bytes(range(256)) * 8])
def test_what_is_no_image_is_refused(name, content, tmp_path, nothing_printed):
    (tmp_path / name).write_bytes(content)
    assert "can't be read" in refusal(tmp_path / name)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
@pytest.mark.parametrize(
    "ending",
    ["nii", "nii.gz", "nrrd", "mha", "img.gz", "gipl", "gipl.gz", "mrc", "vtk", "tif", "h5", "mnc"],
)
def test_a_truncated_file_is_never_read_as_if_it_were_whole(
    ending, share, tmp_path, nothing_printed
):
    rng = np.random.default_rng(1)
    image = sitk.GetImageFromArray(rng.integers(0, 1000, (20, 30, 40)).astype(np.int16))
    path = tmp_path / f"cut.{ending}"
    sitk.WriteImage(image, str(path), useCompression=ending == "nrrd")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    message = refusal(path)
    assert "truncated or damaged" in message or "it is damaged" in message


@pytest.mark.parametrize("ending", ["png", "jpg", "dcm"])
def test_a_truncated_slice_is_refused(ending, tmp_path, nothing_printed):
    rng = np.random.default_rng(1)
    path = tmp_path / f"cut.{ending}"
    sitk.WriteImage(
        sitk.GetImageFromArray(rng.integers(0, 255, (64, 64)).astype(np.uint8)), str(path)
    )
    path.write_bytes(path.read_bytes()[:-300])
    assert "damaged" in refusal(path)


def test_a_damaged_byte_in_a_packed_file_is_noticed(tmp_path, nothing_printed):
    rng = np.random.default_rng(1)
    path = tmp_path / "big.nii.gz"
    array = rng.integers(0, 1000, (100, 100, 100)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)
    assert "truncated or damaged" in refusal(path)


def test_a_file_packed_in_pieces_is_whole(a_volume, tmp_path):
    path = tmp_path / "x.nii.gz"
    sitk.WriteImage(to_sitk(a_volume), str(path))
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:300]) + gzip.compress(content[300:]) + bytes(100))
    assert np.array_equal(read_image(path).array, a_volume.array)


@pytest.mark.parametrize("header", ["mhd", "nhdr", "hdr"])
def test_a_header_without_its_voxels_is_refused(header, a_volume, tmp_path, nothing_printed):
    path = tmp_path / f"lone.{header}"
    sitk.WriteImage(to_sitk(a_volume), str(path))
    for other in tmp_path.iterdir():
        if other != path:
            other.unlink()
    assert "missing" in refusal(path)


def test_an_image_without_voxels_is_refused(tmp_path, nothing_printed):
    path = tmp_path / "none.nrrd"
    path.write_text(
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 0 10 10\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nkinds: domain domain domain\nencoding: raw\n"
        "endian: little\nspace origin: (0,0,0)\n\n"
    )
    assert "without voxels" in refusal(path)


def test_color_and_vector_images_are_refused(tmp_path, nothing_printed):
    color = sitk.GetImageFromArray(np.zeros((10, 10, 3), np.uint8), isVector=True)
    sitk.WriteImage(color, str(tmp_path / "color.png"))
    assert "color or vector image (3 values a voxel)" in refusal(tmp_path / "color.png")
    field = sitk.GetImageFromArray(np.zeros((5, 6, 7, 3), np.float32), isVector=True)
    sitk.WriteImage(field, str(tmp_path / "field.nrrd"))
    assert "color or vector image (3 values a voxel)" in refusal(tmp_path / "field.nrrd")


def test_a_sheared_nrrd_is_refused(tmp_path, nothing_printed):
    path = tmp_path / "shear.nrrd"
    path.write_bytes(
        b"NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n"
        b"space directions: (1,0,0) (0.3,1,0) (0,0,1)\nkinds: domain domain domain\n"
        b"encoding: raw\nspace origin: (0,0,0)\n\n" + bytes(8)
    )
    assert "right angles" in refusal(path)


def test_a_folder_without_images_is_refused(tmp_path, nothing_printed):
    assert "holds no DICOM images" in refusal(tmp_path)


def test_a_series_cannot_be_chosen_in_a_file(a_volume, tmp_path):
    sitk.WriteImage(to_sitk(a_volume), str(tmp_path / "x.nrrd"))
    with pytest.raises(ImageError, match="x.nrrd isn't a folder"):
        read_image(tmp_path / "x.nrrd", series="1.2.3")


@pytest.mark.parametrize("place", ["locked.nrrd", "locked.seg.nrrd", "locked/x.nrrd"])
def test_a_file_without_permission_is_refused_for_this_reason(
    place, a_volume, tmp_path, monkeypatch, nothing_printed
):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    sitk.WriteImage(to_sitk(a_volume), str(path))
    without_permission(tmp_path / place.split("/")[0], monkeypatch)
    assert "can't be read for lack of permission" in refusal(path, read_labelmap)
