"""Segmenting with a map of how unsure the model is, in the study and outside."""

import json
import shutil

import numpy as np
import pytest

from ActiveSegLoopLib.images.reading import read_image, read_labelmap
from ActiveSegLoopLib.study import Study
from Testing.jobs.running import call, content, start

CPU = ("--device", "cpu")


@pytest.fixture
def study(trained, tmp_path):
    """A trained study of the test's own."""
    return shutil.copytree(trained, tmp_path / "study")


def test_the_map_lies_on_the_images_grid_beside_the_same_segmentation(trained, data, tmp_path):
    model = trained / "models" / "round-001"
    plain, both = tmp_path / "plain", tmp_path / "both"
    assert call("segment", model, data.image(3), "--out", plain, *CPU) == 0
    assert call("segment", model, data.image(3), "--out", both, "--uncertainty", *CPU) == 0
    assert sorted(content(both)) == ["p3.seg.nrrd", "p3.uncertainty.nii.gz"]
    found = read_image(both / "p3.uncertainty.nii.gz")
    assert found.geometry.difference(read_image(data.image(3)).geometry) is None
    assert 0 < found.array.max() <= 100 and len(np.unique(found.array)) > 10
    with_map, without = (read_labelmap(folder / "p3.seg.nrrd") for folder in (both, plain))
    assert np.array_equal(with_map.array, without.array)


def test_a_cases_map_is_kept_in_the_study(study):
    assert call("segment", study, "p2", "--uncertainty", *CPU) == 0
    opened = Study.open(study)
    current, case = opened.current_round(), opened.case("p2")
    path = opened.uncertainty(current, case)
    assert path == opened.prediction(current, case).with_name("p2.uncertainty.nii.gz")
    assert read_image(path).array.shape == case.geometry.shape
    assert opened.uncertainty(current, opened.case("p0")) is None


def test_a_map_that_exists_is_not_overwritten_unasked(trained, data, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "p3.uncertainty.nii.gz").write_text("of someone")
    ask = ("segment", trained, data.image(3), "--out", out, "--nifti", "--uncertainty", *CPU)
    assert call(*ask) == 1
    assert "p3.uncertainty.nii.gz exists already" in capsys.readouterr().err
    assert content(out) == {"p3.uncertainty.nii.gz": b"of someone"}
    assert call(*ask, "--overwrite") == 0
    assert read_image(out / "p3.uncertainty.nii.gz").array.max() > 0


def test_the_warm_worker_makes_maps_on_request(study, data, tmp_path):
    worker = start("serve", study, *CPU)
    assert json.loads(worker.stdout.readline())["event"] == "ready"

    def ask(**request):
        worker.stdin.write(json.dumps({"command": "segment", **request}) + "\n")
        worker.stdin.flush()
        return json.loads(worker.stdout.readline())

    out = tmp_path / "p3.seg.nrrd"
    outside = {"images": [str(data.image(3))], "out": str(out)}
    assert "uncertainty" not in ask(**outside)
    answer = ask(**outside, uncertainty=True, overwrite=True)
    assert answer["uncertainty"] == str(tmp_path / "p3.uncertainty.nii.gz")
    out.unlink()
    assert "p3.uncertainty.nii.gz exists" in ask(**outside, uncertainty=True)["error"]
    opened = Study.open(study)
    kept = ask(case="p2", uncertainty=True)["uncertainty"]
    assert kept == str(opened.uncertainty(opened.current_round(), opened.case("p2")))
    assert "must be a bool" in ask(case="p2", uncertainty="yes")["error"]
    worker.stdin.close()
    assert worker.wait(20) == 0
