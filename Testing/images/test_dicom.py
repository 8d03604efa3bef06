"""DICOM folders: which series, and whether its slices lie on a regular grid."""

import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.dicom import list_series
from ActiveSegLoopLib.images.reading import read_image

AXIAL = (1, 0, 0, 0, 1, 0)


def write_series(
    folder, uid, positions, description="", orientation=AXIAL, size=(4, 5), slope=None
):
    """Write one slice a position; slice k holds the values 100 k, 100 k + 1, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k, position in enumerate(positions):
        array = (100 * k + np.arange(size[0] * size[1])).reshape(1, *size).astype(np.int16)
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((0.5, 0.75, 1))
        # ITK writes position and orientation from the image itself.
        row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
        image.SetDirection(np.column_stack([row, column, np.cross(row, column)]).ravel())
        image.SetOrigin([float(v) for v in position])
        tags = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"{uid}.{k + 1}",
            "0008|0060": "CT",
            "0008|103e": description,
            "0020|000d": "1.2.3",
            "0020|000e": uid,
            "0020|0013": str(k),
        }
        if slope:
            tags |= {"0028|1053": str(slope[0]), "0028|1052": str(slope[1])}
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{uid}_{len(positions) - k:03d}.dcm"))
        writer.Execute(image)
    return folder


def stack(steps):
    return [(-10, 20, z) for z in steps]


def refusal(folder, series=None):
    with pytest.raises(ImageError) as caught:
        read_image(folder, series)
    message = str(caught.value)
    assert str(folder) in message and "\n" not in message
    return message


def test_a_real_ct_series_loads(shared_data):
    volume = read_image(shared_data / "dicom" / "ct_head")
    assert volume.geometry.shape == (93, 64, 64)
    assert np.allclose(volume.geometry.spacing, (1.5, 3.2, 3.2))
    single = sitk.ReadImage(str(shared_data / "dicom" / "ct_head" / "CTHead34.dcm"))
    place = np.rint(volume.geometry.world_to_index(single.GetOrigin())).astype(int)
    assert np.array_equal(volume.array[place[0]], sitk.GetArrayFromImage(single)[0])


def test_a_tilted_gantry_is_refused_with_its_angle(shared_data, capfd):
    message = refusal(shared_data / "dicom" / "ge_cthead_gantrytilt")
    assert "gantry tilted by 18.5 degrees" in message
    printed = capfd.readouterr()
    assert printed.err == "" and printed.out == ""


def test_several_series_are_listed_until_one_is_chosen(shared_data):
    folder = shared_data / "dicom"
    found = list_series(folder)
    assert [(series.count, series.shape) for series in found] == [
        (93, (93, 64, 64)),
        (28, (28, 512, 512)),
    ]
    message = refusal(folder)
    assert "holds 2 DICOM series" in message
    for series in found:
        assert f"{series.uid} (" in message and f"{series.count} slices)" in message
    assert read_image(folder, found[0].uid).geometry.shape == (93, 64, 64)
    assert "no DICOM series 9.9.9, only:" in refusal(folder, "9.9.9")


def test_the_description_is_part_of_the_list(tmp_path):
    write_series(tmp_path, "1.2.3.1", stack(range(3)), "arterial phase")
    write_series(tmp_path, "1.2.3.2", stack(range(4)), "venous phase")
    message = refusal(tmp_path)
    assert "1.2.3.1 (arterial phase, 3 slices)" in message
    assert "1.2.3.2 (venous phase, 4 slices)" in message


def test_slices_are_sorted_by_position_whatever_their_names(tmp_path):
    volume = read_image(write_series(tmp_path, "1.2.3.4", stack([7.5, 2.5, 5.0, 0.0])))
    assert volume.geometry.spacing == (2.5, 0.75, 0.5)
    assert volume.geometry.origin == (-10, 20, 0)
    assert volume.array[:, 0, 0].tolist() == [300, 100, 200, 0]
    assert volume.array[0, 1, 2] == 300 + 4 * 0 + 5 + 2


def test_an_oblique_series_keeps_its_axes(tmp_path):
    c, s = np.cos(0.3), np.sin(0.3)
    normal = np.cross((c, s, 0), (0, 0, -1))
    positions = [np.array((5, 6, 7)) + 3 * k * normal for k in range(5)]
    volume = read_image(
        write_series(tmp_path, "1.2.3.4", positions, orientation=(c, s, 0, 0, 0, -1))
    )
    assert np.allclose(volume.geometry.index_to_world((4, 0, 0)), positions[4], atol=1e-3)
    assert np.allclose(
        volume.geometry.index_to_world((0, 2, 0)),
        positions[0] + 2 * 0.75 * np.array((0, 0, -1)),
        atol=1e-3,
    )
    assert volume.array[:, 0, 0].tolist() == [0, 100, 200, 300, 400]


def stored_values(path):
    """What stands at the end of a file that write_series wrote."""
    return np.frombuffer(path.read_bytes()[-40:], "<i2").reshape(4, 5)


def test_slope_and_intercept_are_applied(tmp_path):
    folder = write_series(tmp_path, "1.2.3.4", stack(range(3)), slope=(2, -1024))
    volume = read_image(folder)
    for path, slice_ in zip(sorted(folder.iterdir(), reverse=True), volume.array):
        assert np.array_equal(slice_, stored_values(path) * 2 - 1024)


def test_slices_may_have_slopes_of_their_own(tmp_path):
    folder = write_series(tmp_path, "1.2.3.4", stack(range(3)), slope=(2, -1024))
    first, second, third = sorted(folder.iterdir(), reverse=True)
    slope = b"\x28\x00\x53\x10\x02\x00\x00\x00"  # tag and length in implicit little endian
    assert slope + b"2 " in second.read_bytes()
    second.write_bytes(second.read_bytes().replace(slope + b"2 ", slope + b".3"))
    volume = read_image(folder)
    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array[0], stored_values(first) * 2 - 1024)
    assert np.allclose(volume.array[1], stored_values(second) * 0.3 - 1024)
    assert np.array_equal(volume.array[2], stored_values(third) * 2 - 1024)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([0, 1, 2, 4, 5, 6], "lacks 1 slice (2 mm after slice 3 instead of 1 mm)"),
        ([0, 1, 2, 6, 7, 8], "lacks 3 slices"),
        ([0, 1, 2, 3.3, 4.3, 5.3], "unevenly spaced slices (1.3 mm after slice 3 instead of 1 mm)"),
        ([0, 1, 1, 2, 2, 3], "2 images at a place where another one lies"),
    ],
)
def test_slices_off_a_regular_grid_are_refused(steps, words, tmp_path, capfd):
    assert words in refusal(write_series(tmp_path, "1.2.3.4", stack(steps)))
    printed = capfd.readouterr()
    assert printed.err == "" and printed.out == ""


def test_positions_rounded_to_a_tenth_are_regular_enough(tmp_path):
    steps = np.round(np.arange(40) * 1.25, 1)
    volume = read_image(write_series(tmp_path, "1.2.3.4", stack(steps)))
    assert abs(volume.geometry.spacing[0] - 1.25) < 0.003


def test_slices_that_slide_sideways_are_a_tilt(tmp_path):
    positions = [(-10, 20 + 0.5 * z, z) for z in range(8)]
    assert "tilted by 26.6 degrees" in refusal(write_series(tmp_path, "1.2.3.4", positions))


def test_a_localizer_in_the_series_is_refused(tmp_path):
    write_series(tmp_path, "1.2.3.4", stack(range(3)))
    extra = write_series(tmp_path / "x", "1.2.3.4", [(0, 0, 50)], orientation=(1, 0, 0, 0, 0, -1))
    shutil.move(next(extra.iterdir()), tmp_path / "localizer.dcm")
    assert "different orientations" in refusal(tmp_path)


def test_slices_of_two_sizes_are_refused(tmp_path):
    write_series(tmp_path, "1.2.3.4", stack(range(3)))
    extra = write_series(tmp_path / "x", "1.2.3.4", stack([3]), size=(6, 7))
    shutil.move(next(extra.iterdir()), tmp_path / "other.dcm")
    assert "mixes images that don't stack" in refusal(tmp_path)


def test_one_slice_of_a_series_is_not_taken_for_the_image(shared_data):
    path = shared_data / "dicom" / "ct_head" / "CTHead1.dcm"
    with pytest.raises(ImageError, match="CTHead1.dcm is one of the 93 slices"):
        read_image(path)


def test_a_lone_slice_is_an_image_of_one_slice(tmp_path):
    folder = write_series(tmp_path, "1.2.3.4", stack([5]))
    assert read_image(folder).geometry.shape == (1, 4, 5)
    assert read_image(next(folder.iterdir())).geometry.shape == (1, 4, 5)


def test_other_files_in_the_folder_do_not_disturb(shared_data, tmp_path):
    folder = write_series(tmp_path, "1.2.3.4", stack(range(3)))
    (folder / "readme.txt").write_text("exported for the study")
    (folder / "DICOMDIR").write_bytes(bytes(200))
    assert read_image(folder).geometry.shape == (3, 4, 5)


@pytest.mark.parametrize("name", ["CTHead1.dcm", "CTHead50.dcm", "CTHead93.dcm"])
@pytest.mark.parametrize("left", [0, 100, 1396, 5000, 9599])
def test_a_truncated_slice_is_named_and_never_left_out(shared_data, tmp_path, name, left):
    folder = shutil.copytree(shared_data / "dicom" / "ct_head", tmp_path / "ct")
    with open(folder / name, "r+b") as file:
        file.truncate(left)
    assert f"{folder / name} can't be read" in refusal(folder)
    (folder / name).rename(tmp_path / name)
    assert len(list_series(folder)) == 1, "it may be moved away"


def test_a_truncated_slice_without_an_ending_is_named_also_where_it_is_the_only_one(tmp_path):
    folder = write_series(tmp_path, "1.2.3.4", stack([5]))
    (file,) = folder.iterdir()
    file = file.rename(folder / "IM0001")
    assert read_image(folder).geometry.shape == (1, 4, 5)
    file.write_bytes(file.read_bytes()[:-1])
    assert f"{file} can't be read" in refusal(folder)


PLAN, REPORT = "1.2.840.10008.5.1.4.1.1.481.5", "1.2.840.10008.5.1.4.1.1.88.11"
STATE, SPECTRUM = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.4.2"


@pytest.mark.parametrize("kind", [PLAN, REPORT, STATE, SPECTRUM, "1.2.840.10008.1.3.10"])
@pytest.mark.parametrize("preface", [True, False])
def test_dicom_files_without_an_image_do_not_disturb(tmp_path, kind, preface):
    folder = write_series(tmp_path, "1.2.3.4", stack(range(3)))
    uid = kind.encode() + b"\0" * (len(kind) % 2)
    if preface:
        size = len(uid).to_bytes(2, "little")
        content = bytes(128) + b"DICM" + b"\x02\0\x02\0UI" + size + uid
    else:
        content = b"\x08\0\x16\0" + len(uid).to_bytes(4, "little") + uid
    (folder / "other.dcm").write_bytes(content)
    (folder / "._slice.dcm").write_bytes(b"what macOS leaves beside a file")
    assert read_image(folder).geometry.shape == (3, 4, 5)
