"""Data sets for other programs: their layout, their values, what wasn't annotated."""

import json

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.reading import read_image, read_labelmap
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import Study
from Testing.jobs.conftest import LIVER, SPLEEN, balls
from Testing.jobs.running import call


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_nnunet_gets_its_raw_layout_with_consecutive_values(study, data, tmp_path, capsys):
    out = tmp_path / "Dataset001_Balls"
    assert call("export", study, "--format", "nnunet", "--out", out) == 0
    captured = capsys.readouterr()
    assert "1 case without labels left out" in captured.err
    assert "2 training cases and 1 test case" in captured.out
    assert files(out) == [
        "dataset.json", "imagesTr/p0_0000.nii.gz", "imagesTr/p1_0000.nii.gz",
        "imagesTs/p5_0000.nii.gz", "labelsTr/p0.nii.gz", "labelsTr/p1.nii.gz", "labelsTs/p5.nii.gz",
    ]
    described = json.loads((out / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, "liver": 1, "spleen": 2}
    assert described["numTraining"] == 2 and described["file_ending"] == ".nii.gz"
    assert list(described["channel_names"]) == ["0"]
    truth, found = read_labelmap(data.label(0)), read_labelmap(out / "labelsTr" / "p0.nii.gz")
    assert np.array_equal(found.array == 1, truth.array == LIVER)
    assert np.array_equal(found.array == 2, truth.array == SPLEEN)
    image = read_image(out / "imagesTr" / "p0_0000.nii.gz")
    assert image.geometry.difference(found.geometry) is None
    assert np.array_equal(image.array, read_image(data.image(0)).array)


def test_what_was_not_annotated_gets_nnunets_ignore_label(study, data, tmp_path):
    assert call("label", study, "p2", data.label(2), "--slices", "axial:8-11") == 0
    assert call("label", study, "p2", data.label(2), "--classes", "liver") == 0
    assert call("export", study, "--format", "nnunet", "--out", tmp_path / "out") == 0
    described = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, "liver": 1, "spleen": 2, "ignore": 3}
    truth = read_labelmap(data.label(2)).array
    expected = np.where(truth == LIVER, 1, 3)  # elsewhere it may be spleen or not
    expected[8:12] = np.select([truth == LIVER, truth == SPLEEN], [1, 2], 0)[8:12]
    found = read_labelmap(tmp_path / "out" / "labelsTr" / "p2.nii.gz").array
    assert np.array_equal(found, expected)
    assert read_labelmap(tmp_path / "out" / "labelsTr" / "p0.nii.gz").array.max() == 2


def test_a_decathlon_data_set_has_only_wholly_labeled_cases(study, data, tmp_path, capsys):
    assert call("label", study, "p2", data.label(2), "--slices", "axial:8-11") == 0
    capsys.readouterr()
    assert call("export", study, "--format", "msd", "--out", tmp_path / "out") == 0
    assert "1 partly labeled case left out, such as p2" in capsys.readouterr().err
    described = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert described["labels"] == {"0": "background", "1": "liver", "2": "spleen"}
    assert described["numTraining"] == 2 and described["numTest"] == 1
    assert described["test"] == ["./imagesTs/p5.nii.gz"]
    for pair in described["training"]:
        label = read_labelmap(tmp_path / "out" / pair["label"])
        image = read_image(tmp_path / "out" / pair["image"])
        assert label.geometry.difference(image.geometry) is None
        assert set(np.unique(label.array)) == {0, 1, 2}
    assert call("init", tmp_path / "again", "--from", tmp_path / "out" / "dataset.json") == 0


def test_a_study_of_partly_labeled_cases_is_no_decathlon_data_set(tmp_path, data, capsys):
    study = tmp_path / "study"
    assert call("init", study, "--labels", f"{LIVER}=liver,{SPLEEN}=spleen") == 0
    assert call("add", study, data.image(0)) == 0
    assert call("label", study, "p0", data.label(0), "--slices", "axial:8-11") == 0
    assert call("export", study, "--format", "msd", "--out", tmp_path / "out") == 1
    assert "use --format nnunet" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]


def test_channels_are_files_for_nnunet_and_a_4d_image_for_the_decathlon(tmp_path):
    import SimpleITK as sitk

    study = tmp_path / "study"
    assert call("init", study, "--labels", f"{LIVER}=liver,{SPLEEN}=spleen") == 0
    (tmp_path / "labels").mkdir()
    image, labels = balls(0)
    write_volume(tmp_path / "q_0000.nii.gz", image)
    coarse = Geometry((10, 12, 12), (3.0, 2.0, 2.0), image.geometry.origin)
    write_volume(tmp_path / "q_0001.nii.gz", Volume(np.full((10, 12, 12), -1000, np.int16), coarse))
    write_volume(tmp_path / "labels" / "q.nii.gz", labels)
    added = call("add", study, tmp_path / "q_0000.nii.gz", tmp_path / "q_0001.nii.gz",
                 "--channels", 2, "--labels", tmp_path / "labels")
    assert added == 0
    for layout in ("nnunet", "msd"):
        assert call("export", study, "--format", layout, "--out", tmp_path / layout) == 0
    kinds = json.loads((tmp_path / "nnunet" / "dataset.json").read_text())["channel_names"]
    assert kinds == {"0": "other", "1": "CT"}, "Air of -1000 HU tells a CT."
    second = read_image(tmp_path / "nnunet" / "imagesTr" / "q_0001.nii.gz")
    assert second.geometry.difference(image.geometry) is None
    both = sitk.ReadImage(str(tmp_path / "msd" / "imagesTr" / "q.nii.gz"))
    assert both.GetSize() == (24, 24, 20, 2)
    assert json.loads((tmp_path / "msd" / "dataset.json").read_text())["tensorImageSize"] == "4D"


def test_cases_that_differ_in_their_channels_are_named(study, tmp_path, capsys):
    with Study.open(study).database.writing() as connection:
        connection.execute(
            "INSERT INTO channels SELECT case_id, 1, relative_path, absolute_path, series, size, "
            "sha256, stamp, voxels FROM channels JOIN cases ON case_id = id WHERE name = 'p1'"
        )
    capsys.readouterr()
    assert call("export", study, "--format", "nnunet", "--out", tmp_path / "out") == 1
    assert "Case 'p0' has 1 channel and case 'p1' 2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("layout", ["nnunet", "msd"])
def test_an_empty_folder_is_filled(study, tmp_path, layout):
    (tmp_path / "out").mkdir()
    assert call("export", study, "--format", layout, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "dataset.json").exists()
