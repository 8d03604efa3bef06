"""Segmenting many images: none is overwritten, a bad one doesn't keep the others back."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import Study
from Testing.jobs.conftest import LIVER, SPLEEN, balls
from Testing.jobs.running import call, content
from Testing.locked import without_permission
from Testing.study.dicom_samples import ONE, TWO, write_series


@pytest.fixture
def model(trained):
    """The folder of a model."""
    return trained / "models" / "round-001"


CPU = ("--device", "cpu")


def test_a_bad_image_is_reported_and_the_others_are_segmented(model, data, tmp_path, capsys):
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(data.image(3).read_bytes()[:2000])
    out = tmp_path / "out"
    assert call("segment", model, data.image(3), bad, data.image(4), "--out", out, *CPU) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and str(bad) in captured.err
    assert "Segmented 2 images" in captured.out
    assert sorted(path.name for path in out.iterdir()) == ["p3.seg.nrrd", "p4.seg.nrrd"]


def test_existing_segmentations_are_skipped_or_replaced_on_demand(model, data, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "p3.seg.nrrd").write_text("corrected by hand")
    both = ("segment", model, data.image(3), data.image(4), "--out", out, *CPU)
    assert call(*both) == 1
    assert content(out) == {"p3.seg.nrrd": b"corrected by hand"}
    assert call(*both, "--skip-existing") == 0
    assert sorted(content(out)) == ["p3.seg.nrrd", "p4.seg.nrrd"]
    assert (out / "p3.seg.nrrd").read_text() == "corrected by hand"
    assert call(*both, "--overwrite") == 0
    assert read_labelmap(out / "p3.seg.nrrd").array.shape == (20, 24, 24)


def test_nifti_holds_the_same_values(model, data, tmp_path):
    for extra in ((), ("--nifti",)):
        assert call("segment", model, data.image(3), "--out", tmp_path, *CPU, *extra) == 0
    nrrd, nifti = read_labelmap(tmp_path / "p3.seg.nrrd"), read_labelmap(tmp_path / "p3.nii.gz")
    assert np.array_equal(nrrd.array, nifti.array)
    assert nrrd.geometry.difference(nifti.geometry) is None


def test_cases_of_the_study_need_no_folder_by_name_or_by_image(trained, data, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(trained, study)
    assert call("segment", study, "p0", data.image(2), *CPU) == 0
    opened = Study.open(study)
    kept = [opened.prediction(opened.current_round(), case) for case in opened.cases()]
    assert [path is not None for path in kept] == [True, False, True]


def test_a_study_that_can_not_be_written_to_does_not_cost_the_segmentation(
    trained, tmp_path, capsys
):
    study = shutil.copytree(trained, tmp_path / "study", ignore=lambda *_: {"predictions"})
    (study / "predictions").touch()
    out = tmp_path / "out"
    assert call("segment", study, "p0", "--out", out, "--uncertainty", *CPU) == 0
    assert sorted(content(out)) == ["p0.seg.nrrd", "p0.uncertainty.nii.gz"]
    captured = capsys.readouterr()
    assert "Segmented 1 image" in captured.out and captured.err.count("\n") == 1
    assert f"p0: The study doesn't keep what {out} now holds: " in captured.err
    assert call("segment", study, "p0", *CPU) == 1
    assert "predictions isn't a folder: give --out" in capsys.readouterr().err


@pytest.fixture
def of_two_series(trained, tmp_path):
    """A trained study and a folder of two DICOM series, its cases dicom and dicom-2."""
    study, folder = tmp_path / "study", tmp_path / "images" / "dicom"
    shutil.copytree(trained, study)
    for seed, (series, prefix) in enumerate(((ONE, "a"), (TWO, "b")), start=1):
        write_series(folder, series, seed, prefix, slices=20)
        assert call("add", study, folder, "--series", series) == 0
    return study, folder


def predicted(study):
    """The cases of which the study keeps a segmentation."""
    opened = Study.open(study)
    found = opened.current_round(), opened.cases()
    return [case.name for case in found[1] if opened.prediction(found[0], case) is not None]


@pytest.mark.parametrize(("series", "name"), [(ONE, "dicom"), (TWO, "dicom-2")])
@pytest.mark.parametrize("above", [False, True])
def test_of_a_folder_of_several_series_the_one_that_is_named_is_segmented(
    of_two_series, tmp_path, series, name, above
):
    study, folder = of_two_series
    given, out = folder.parent if above else folder, tmp_path / "out"
    assert call("segment", study, given, "--series", series, "--out", out, *CPU) == 0
    assert sorted(content(out)) == [f"{name}.seg.nrrd"] and predicted(study) == [name]
    assert call("segment", study, name, "--series", series, *CPU) == 0


def test_an_open_choice_of_the_series_or_one_that_is_not_there_is_refused(
    of_two_series, data, tmp_path, monkeypatch, capsys
):
    study, folder = of_two_series
    monkeypatch.chdir(tmp_path)
    for arguments, said in (
        ((folder,), "holds 2 DICOM series, choose one"),
        ((folder, "--series", "1.2.3"), "holds no DICOM series 1.2.3, only: "),
        (("dicom-2", "--series", ONE), f"'dicom-2' isn't the DICOM series {ONE}"),
        ((data.image(0), "--series", ONE), "p0.nii.gz isn't a folder"),
    ):
        for out in ((), ("--out", tmp_path / "out")):
            assert call("segment", study, *arguments, *out, *CPU) == 1
            error = capsys.readouterr().err
            assert said in error and error.count("\n") == 1
    assert predicted(study) == [] and content(tmp_path / "out") == {}


def test_several_channels_are_segmented_together(tmp_path, capsys):
    study, images = tmp_path / "study", tmp_path / "images"
    images.mkdir()
    image, labels = balls(0)
    for name in ("q", "r"):
        for channel in range(2):
            noisy = image.with_array(image.array + 3 * channel + ord(name))
            write_volume(images / f"{name}_{channel:04d}.nii.gz", noisy)
    write_volume(tmp_path / "q.nii.gz", labels)
    q = [images / f"q_{channel:04d}.nii.gz" for channel in range(2)]
    assert call("init", study, "--labels", f"{LIVER}=liver,{SPLEEN}=spleen") == 0
    assert call("add", study, *q, "--channels", 2, "--labels", tmp_path) == 0
    assert call("train", study, "--preset", "fast", *CPU, "--iterations", 1) == 0
    capsys.readouterr()
    assert call("segment", study, images / "r_0000.nii.gz", "--out", tmp_path / "out", *CPU) == 1
    assert "needs 0000, 0001" in capsys.readouterr().err
    assert call("segment", study, images, "--out", tmp_path / "out", *CPU) == 0
    assert sorted(content(tmp_path / "out")) == ["q.seg.nrrd", "r.seg.nrrd"]
    assert (study / "predictions" / "round-001" / "q.seg.nrrd").exists()
    assert call("segment", study, tmp_path / "q.nii.gz", "--out", tmp_path / "o", *CPU) == 1
    said = capsys.readouterr().err
    assert "the 2 images of a case are called NAME_0000 to NAME_0001" in said
    assert "--channels" not in said
    elsewhere = replace(image.geometry, origin=(5000.0, 0.0, 0.0))
    for channel, geometry in enumerate((image.geometry, elsewhere)):
        write_volume(images / f"s_{channel:04d}.nii.gz", Volume(image.array, geometry))
    some = [images / f"s_{channel:04d}.nii.gz" for channel in range(2)]
    assert call("segment", study, *some, "--out", tmp_path / "o", *CPU) == 1
    assert "s_0001.nii.gz shows another place than" in capsys.readouterr().err


def test_a_moved_image_is_not_silently_replaced_by_another(trained, data, tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    study = tmp_path / "study"
    shutil.copytree(trained, study)
    moved = images / "q.nii.gz"
    shutil.copy(data.image(4), moved)
    assert call("add", study, moved) == 0
    write_volume(moved, read_labelmap(data.label(4)))
    assert call("segment", study, "q", *CPU) == 1
    assert "changed" in capsys.readouterr().err


def test_a_round_that_is_not_there_and_a_round_of_a_model_folder_are_refused(
    trained, model, data, tmp_path, capsys
):
    image, out = data.image(2), tmp_path / "out"
    assert call("segment", trained, image, "--round", 7, "--out", out) == 1
    assert "7" in capsys.readouterr().err
    assert call("segment", model, image, "--round", 1, "--out", out) == 1
    assert "name the study instead" in capsys.readouterr().err
    assert not out.exists()


def test_the_model_of_a_round_that_is_named_segments(trained, data, tmp_path):
    out = tmp_path / "out"
    assert call("segment", trained, data.image(2), "--round", 1, "--out", out) == 0
    assert len(content(out)) == 1


def test_an_image_that_may_not_be_read_is_named(trained, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "a.nii").touch()
    without_permission(folder, monkeypatch)
    assert call("segment", trained, folder / "a.nii", "--out", tmp_path / "out", *CPU) == 1
    assert f"{folder / 'a.nii'} can't be read for lack of permission" in capsys.readouterr().err
