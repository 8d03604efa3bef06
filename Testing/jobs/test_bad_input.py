"""Whatever is wrong with the input: one clear line, exit status 1, and nothing has changed."""

import gzip
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.model.model_files import load_model, save_model
from ActiveSegLoopLib.study import Study
from Testing.jobs.running import call, content


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """Files that can't be used."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.nii.gz").write_bytes(gzip.compress(b"no image at all"))
    (folder / "empty.nii.gz").touch()
    (folder / "notes.json").write_text("{}")
    small = Volume(np.zeros((4, 4, 4), np.uint8), Geometry((4,) * 3, (1,) * 3))
    write_volume(folder / "grid.nii.gz", small)
    (folder / "void").mkdir()
    return folder


def refused(folder, capfd, said, *arguments):
    """The command fails with one line that says `said`, and the folder is as before."""
    before = content(folder)
    capfd.readouterr()
    assert call(*arguments) == 1
    out, error = capfd.readouterr()
    assert out == ""
    assert error.startswith("activesegloop: ") and error.count("\n") == 1, error
    assert said in error
    assert "Error" not in error, "That is a fault of the program and not of the input."
    assert content(folder) == before


@pytest.mark.parametrize("labels", ["artery", "0=artery", "1=artery,1=vein", "1=a,2=a", "300=a"])
def test_labels_that_make_no_schema_are_refused(tmp_path, capfd, labels):
    refused(tmp_path, capfd, "", "init", tmp_path / "study", "--labels", labels)


def test_a_data_set_description_without_labels_is_refused(tmp_path, capfd, bad):
    refused(tmp_path, capfd, "notes.json", "init", tmp_path / "s", "--from", bad / "notes.json")
    refused(tmp_path, capfd, "none.json", "init", tmp_path / "s", "--from", bad / "none.json")


def test_a_study_is_not_made_twice(study, capfd):
    refused(study, capfd, str(study), "init", study, "--labels", "1=other")


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "STUDY", "IMAGE"],
        ["label", "STUDY", "p0", "LABEL"],
        ["train", "STUDY", "--device", "cpu"],
        ["segment", "STUDY", "IMAGE", "--out", "OUT"],
        ["export", "STUDY", "--format", "msd", "--out", "OUT"],
        ["check", "STUDY"],
        ["relocate", "STUDY", "p0", "IMAGE"],
        ["status", "STUDY"],
        ["serve", "STUDY"],
    ],
)
def test_a_folder_that_is_no_study_is_refused(tmp_path, data, capfd, arguments):
    places = {
        "STUDY": tmp_path / "nowhere", "IMAGE": data.image(0), "LABEL": data.label(0),
        "OUT": tmp_path / "out",
    }
    refused(tmp_path, capfd, "nowhere", *[places.get(word, word) for word in arguments])


@pytest.mark.parametrize("name", ["text.nii.gz", "empty.nii.gz", "missing.nii.gz", "void"])
def test_an_image_that_can_not_be_read_is_not_added(study, bad, capfd, name):
    refused(study, capfd, name, "add", study, bad / name)


def test_labels_that_do_not_fit_keep_the_image_out(study, data, bad, tmp_path, capfd):
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "p3.nii.gz").write_bytes((bad / "grid.nii.gz").read_bytes())
    refused(study, capfd, "p3.nii.gz doesn't lie on the grid",
            "add", study, data.image(3), "--labels", labels)
    refused(study, capfd, "none", "add", study, data.image(3), "--labels", tmp_path / "none")


def test_names_and_groups_that_lead_nowhere_are_refused(study, data, capfd):
    refused(study, capfd, "finds nothing in the name p3.nii.gz",
            "add", study, data.image(3), "--group-regex", "patient")
    refused(study, capfd, "isn't named as one of several channels",
            "add", study, data.image(3), "--channels", 2)


def test_a_label_file_that_can_not_be_used_is_refused(study, data, bad, tmp_path, capfd):
    good = data.label(2)
    refused(study, capfd, "no case 'p9'", "label", study, "p9", good)
    refused(study, capfd, "missing.nii.gz", "label", study, "p2", bad / "missing.nii.gz")
    refused(study, capfd, "grid", "label", study, "p2", bad / "grid.nii.gz")
    refused(study, capfd, "isn't a label map", "label", study, "p2", data.image(2))
    refused(study, capfd, "no axial slice 99", "label", study, "p2", good, "--slices", "axial:99")
    refused(study, capfd, "no label 'bone'", "label", study, "p2", good, "--classes", "bone")
    refused(study, capfd, "no label 'bone'", "label", study, "p2", good, "--seconds", "bone=3")
    other = tmp_path / "other.nii.gz"
    grid = Geometry((20, 24, 24), (1.5, 1, 1))
    write_volume(other, Volume(np.full((20, 24, 24), 4, np.uint8), grid))
    refused(study, capfd, "value 4", "label", study, "p2", other)


def test_a_training_that_can_not_begin_is_refused(study, tmp_path, data, capfd):
    train = ["train", study, "--device", "cpu"]
    refused(study, capfd, "no preset 'fastest'", *train, "--preset", "fastest")
    refused(study, capfd, "no device 'quantum'", *train[:2], "--device", "quantum")
    empty = tmp_path / "empty"
    assert call("init", empty, "--labels", "3=liver,7=spleen") == 0
    refused(empty, capfd, "labeled yet", "train", empty, "--device", "cpu")
    assert call("add", empty, data.image(0)) == 0
    refused(empty, capfd, "labeled yet", "train", empty, "--device", "cpu")


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_a_model_is_told_from_a_study(tmp_path, data, capfd, there):
    folder = tmp_path / "round-007"
    if there:
        folder.mkdir()
    for command in (["segment", folder, data.image(0), "--out", tmp_path / "o"], ["serve", folder]):
        refused(tmp_path, capfd, f"{folder} is neither a study nor a model folder", *command)


def test_a_segmentation_that_can_not_begin_is_refused(trained, study, data, bad, tmp_path, capfd):
    out = tmp_path / "out"
    cpu = ["--device", "cpu"]
    refused(study, capfd, "no model yet", "segment", study, data.image(0), "--out", out, *cpu)
    refused(trained, capfd, "p9 doesn't exist", "segment", trained, "p9", "--out", out, *cpu)
    refused(trained, capfd, "give --out", "segment", trained, data.image(3), *cpu)
    for name in ("text.nii.gz", "void"):
        refused(trained, capfd, name, "segment", trained, bad / name, "--out", out, *cpu)
    (out / "p3.seg.nrrd").write_text("something else")
    refused(out, capfd, "p3.seg.nrrd exists already",
            "segment", trained, data.image(3), "--out", out, *cpu)


def test_a_file_where_the_segmentations_should_go_is_refused(trained, data, tmp_path, capfd):
    file = tmp_path / "out.seg.nrrd"
    file.write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    places = {file: file, file / "deeper" / "out": file, tmp_path / "link": tmp_path / "link"}
    for out, named in places.items():
        refused(tmp_path, capfd, f"{named} isn't a folder: choose another place",
                "segment", trained, data.image(3), "--out", out, "--device", "cpu")


def test_a_model_that_was_tampered_with_is_refused(trained, data, tmp_path, capfd):
    model = tmp_path / "model"
    model.mkdir()
    for name in ("segment.safetensors", "model.json"):
        (model / name).write_bytes((trained / "models" / "round-001" / name).read_bytes())
    weights = bytearray((model / "segment.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "segment.safetensors").write_bytes(weights)
    refused(tmp_path, capfd, "changed", "segment", model, data.image(0), "--out", tmp_path / "out",
            "--device", "cpu")


@pytest.mark.parametrize("command", [
    ("segment", "p0"), ("serve",), ("propose", "--strategy", "entropy"),
    ("train", "--preset", "fast", "--iterations", 3),
])
def test_a_model_of_another_training_in_the_rounds_folder_is_refused(
    trained, tmp_path, capfd, command
):
    study = shutil.copytree(trained, tmp_path / "study")
    folder = study / "models" / "round-001"
    model = load_model(folder)
    save_model(folder, replace(model, plan=replace(model.plan, margin_mm=1.0)))
    name, *options = command
    assert call(name, study, *options, "--device", "cpu") == 1
    said = f"activesegloop: The model in {folder} isn't the one that its round trained: "
    assert capfd.readouterr().err.splitlines()[-1].startswith(said)


def test_a_round_of_an_older_version_which_does_not_know_its_model_segments(trained, tmp_path):
    study = Study.open(shutil.copytree(trained, tmp_path / "study"))
    metrics = {k: v for k, v in study.round(1).metrics.items() if k != "model_sha256"}
    with study.database.writing() as connection:
        connection.execute("UPDATE rounds SET metrics = ?", (json.dumps(metrics),))
    assert study.round(1).model_sha256 is None
    assert call("segment", study.folder, "p0", "--device", "cpu") == 0


def test_an_export_that_can_not_be_made_is_refused(study, data, tmp_path, capfd):
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").touch()
    for name in ("nnunet", "msd"):
        refused(tmp_path, capfd, "empty folder", "export", study, "--format", name, "--out", full)
    unlabeled = tmp_path / "unlabeled"
    assert call("init", unlabeled, "--labels", "3=liver,7=spleen") == 0
    refused(tmp_path, capfd, "none is labeled yet",
            "export", unlabeled, "--format", "msd", "--out", tmp_path / "out")
