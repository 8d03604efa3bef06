"""Interpolating between labeled slices from the command line."""

import json
import shlex

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import Study
from Testing.jobs.running import call, content

SHAPE = (33, 20, 20)


@pytest.fixture
def columns(tmp_path):
    """A study: a column as thick everywhere, every slice of p0 labeled, every second of p1."""
    geometry = Geometry(SHAPE, (1.0, 1.0, 1.0))
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, 5:15, 5:15] = 1
    write_volume(tmp_path / "column.nii.gz", Volume(labels, geometry))
    sparse = labels * (np.arange(33) % 2 == 0)[:, None, None].astype(np.uint8)
    write_volume(tmp_path / "sparse.nii.gz", Volume(sparse, geometry))
    study = tmp_path / "my study"
    assert call("init", study, "--labels", "1=column") == 0
    for number in (0, 1):
        noise = np.random.default_rng(number).normal(0, 5, SHAPE) + 50 * labels
        image = tmp_path / f"p{number}.nii.gz"
        write_volume(image, Volume(noise.astype(np.float32), geometry))
        assert call("add", study, image) == 0
    assert call("label", study, "p0", tmp_path / "column.nii.gz") == 0
    slices = "axial:" + ",".join(map(str, range(0, 33, 2)))
    assert call("label", study, "p1", tmp_path / "sparse.nii.gz", "--slices", slices) == 0
    return study


def test_the_slices_between_are_filled_in_as_a_proposal_with_its_measured_iou(
    columns, tmp_path, capfd
):
    before = content(columns / "labels")
    capfd.readouterr()
    assert call("fill", columns, "p1", "--out", tmp_path / "out", "--json") == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer["iou"] == 1.0 and answer["plane"] == "axial"
    found = read_labelmap(tmp_path / "out" / "p1.seg.nrrd")
    truth = read_labelmap(tmp_path / "column.nii.gz")
    assert np.array_equal(found.array, truth.array)
    assert content(columns / "labels") == before
    assert Study.open(columns).latest(Study.open(columns).case("p1")).number == 1
    assert call("fill", columns, "p1", "--out", tmp_path / "out") == 1
    assert "p1.seg.nrrd exists already; give --overwrite" in capfd.readouterr().err
    assert call("fill", columns, "p1", "--out", tmp_path / "out", "--overwrite") == 0
    _, command = capfd.readouterr().out.split("IoU of 100%. Look at it, then hand it back: ")
    assert shlex.split(command) == [
        "activesegloop", "label", str(columns), "p1", str(tmp_path / "out" / "p1.seg.nrrd")
    ]


def test_where_it_was_not_measured_to_be_good_it_is_refused(study, tmp_path, capfd):
    capfd.readouterr()
    assert call("fill", study, "p2", "--out", tmp_path / "out") == 1
    assert "Case 'p2' has no labels to interpolate between." in capfd.readouterr().err
    assert call("fill", study, "p0", "--out", tmp_path / "out") == 1
    assert "there is nothing to interpolate" in capfd.readouterr().err
    slices = ("--slices", "axial:2,12")
    label = study / "labels" / "p0" / "r0001.seg.nrrd"
    assert call("label", study, "p2", label, *slices) == 0
    capfd.readouterr()
    assert call("fill", study, "p2", "--out", tmp_path / "out") == 1
    said = capfd.readouterr().err
    assert "up to 15.0 mm apart, but interpolation was measured to be good" in said
    assert not (tmp_path / "out").exists()
