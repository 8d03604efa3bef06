"""The Decathlon's hippocampus archive is unpacked and shown with its labels."""

import io
import tarfile

import numpy as np
import pytest

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.scene.decathlon import LABELS, unpack
from ActiveSegLoopLib.scene.ownership import is_ours

GRID = Geometry((6, 7, 8), (1.0, 1.0, 1.0))


NAMES = ("hippocampus_003", "hippocampus_001", "hippocampus_004")


def an_archive(folder, names=NAMES, labels=True):
    """An archive as the Decathlon's, with the files that macOS adds."""
    path = folder / "Task04_Hippocampus.tar"
    with tarfile.open(path, "w") as tar:
        for number, name in enumerate(names):
            image = np.full(GRID.shape, number, np.float32)
            drawn = np.zeros(GRID.shape, np.uint8)
            drawn[2, 2, 2:6] = (1, 1, 2, 2)
            for kind, array in (("imagesTr", image), ("labelsTr", drawn)):
                if kind == "labelsTr" and not labels:
                    continue
                file = folder / f"{name}.nii.gz"
                write_volume(file, Volume(array, GRID))
                tar.add(file, f"Task04_Hippocampus/{kind}/{name}.nii.gz")
                junk = tarfile.TarInfo(f"Task04_Hippocampus/{kind}/._{name}.nii.gz")
                junk.size = 4
                tar.addfile(junk, io.BytesIO(b"junk"))
    return path


def test_the_first_labeled_images_are_unpacked(tmp_path):
    assert unpack(an_archive(tmp_path), tmp_path / "out", 2) == [
        "hippocampus_001", "hippocampus_003"
    ]
    unpacked = sorted(p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.glob("out/*/*"))
    assert unpacked == [
        "images/hippocampus_001.nii.gz", "images/hippocampus_003.nii.gz",
        "labels/hippocampus_001.nii.gz", "labels/hippocampus_003.nii.gz",
    ]


def test_an_image_comes_with_its_true_labels_hidden_and_belongs_to_the_user(scene, tmp_path):
    from ActiveSegLoopLib.scene.decathlon import show_hippocampus
    from ActiveSegLoopLib.scene.labelmaps import labelmap_of
    from ActiveSegLoopLib.scene.volumes import geometry_of, volume_of

    unpack(an_archive(tmp_path), tmp_path, 1)
    volume, truth = show_hippocampus(tmp_path, "hippocampus_001")
    assert (volume_of(volume).array == 1).all()
    drawn = labelmap_of(truth, LABELS.segments(), geometry_of(volume)).array
    assert (drawn[2, 2, 2:6] == (1, 1, 2, 2)).all() and np.count_nonzero(drawn) == 4
    names = [truth.GetSegmentation().GetNthSegment(i).GetName() for i in range(2)]
    assert names == ["anterior", "posterior"]
    assert not truth.GetDisplayNode().GetVisibility()
    assert volume.GetStorageNode() is None, "Its files are gone: a study writes its own."
    assert not is_ours(volume) and not is_ours(truth)


def test_a_file_that_is_no_archive_is_named(tmp_path):
    path = tmp_path / "Task04_Hippocampus.tar"
    path.write_bytes(b"<html>not found</html>" * 100)
    with pytest.raises(ImageError, match="Task04_Hippocampus.tar can't be unpacked .*again"):
        unpack(path, tmp_path, 3)


def test_a_truncated_archive_is_named(tmp_path):
    path = an_archive(tmp_path)
    path.write_bytes(path.read_bytes()[:1200])
    with pytest.raises(ImageError, match="can't be unpacked"):
        unpack(path, tmp_path / "out", 3)


@pytest.mark.parametrize(("names", "labels"), [((), True), (("hippocampus_001",), False)])
def test_an_archive_without_images_or_labels_is_refused(tmp_path, names, labels):
    with pytest.raises(ImageError, match="delete it and download it again"):
        unpack(an_archive(tmp_path, names, labels), tmp_path / "out", 3)
