"""Maps and the scores of slices as files beside a segmentation."""

import csv
import json

import numpy as np
import pytest

from ActiveSegLoopLib.images.reading import read_image, read_labelmap
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.selection.maps import uncertainty_maps
from ActiveSegLoopLib.study import Study
from Testing.jobs.conftest import LIVER, SPLEEN
from Testing.jobs.running import call, content, run

CPU = ("--device", "cpu")


@pytest.fixture(scope="module")
def written(trained, data, tmp_path_factory):
    """The folder of everything that can be written of p3 by a model without attention."""
    out = tmp_path_factory.mktemp("maps") / "out"
    status = call(
        "segment", trained, data.image(3), "--out", out, "--passes", 4, "--scores", "coronal",
        "--maps", "entropy,variance,mutual-information,attention", *CPU,
    )
    assert status == 0
    return out


def test_each_map_is_a_compressed_volume_on_the_images_grid_in_its_own_unit(written, trained, data):
    names = ["entropy", "mutual_information", "variance"]
    assert sorted(content(written)) == sorted(
        ["p3.seg.nrrd", "p3.scores.csv", *(f"p3.{name}.nii.gz" for name in names)]
    )
    image = read_image(data.image(3))
    predictor = Predictor.load(trained / "models" / "round-001", "cpu")
    maps = uncertainty_maps(predictor, [image], passes=4)
    for name in names:
        found = read_image(written / f"p3.{name}.nii.gz")
        assert found.geometry.difference(image.geometry) is None
        assert np.array_equal(found.array, getattr(maps, name)) and found.array.max() > 0


def test_what_the_model_does_not_give_is_a_warning_and_no_file(trained, data, tmp_path, capsys):
    ask = ("--maps", "attention,variance", "--passes", 1)
    out = tmp_path / "out"
    assert call("segment", trained, data.image(3), "--out", out, *ask, *CPU) == 0
    said = capsys.readouterr().err
    assert "no map of the attention: this model has no attention maps" in said
    assert "no map of the variance: the variance needs a model with dropout" in said
    assert list(content(out)) == ["p3.seg.nrrd"]


def test_the_segmentation_is_the_same_as_without_maps(written, trained, data, tmp_path):
    assert call("segment", trained, data.image(3), "--out", tmp_path, *CPU) == 0
    both = [read_labelmap(folder / "p3.seg.nrrd").array for folder in (written, tmp_path)]
    assert np.array_equal(*both)


def test_the_table_scores_every_slice_and_the_volume_for_all_and_each_label(written, data):
    with open(written / "p3.scores.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    geometry = read_image(data.image(3)).geometry
    count = geometry.shape[geometry.axis_of("coronal")]
    slices = [row for row in rows if row["plane"] == "coronal"]
    volume = [row for row in rows if row["plane"] == "volume"]
    assert len(slices) == 3 * count and len(volume) == 3
    assert [row["label"] for row in volume] == ["all", "liver", "spleen"]
    assert [int(row["slice"]) for row in slices[::3]] == list(range(count))
    labels = read_labelmap(written / "p3.seg.nrrd").array
    in_all = sum(int(row["voxels"]) for row in slices if row["label"] == "all")
    # By the mean of the passes, nearly what was found without dropout.
    assert in_all == int(volume[0]["voxels"]) == pytest.approx(np.sum(labels > 0), rel=0.2)
    assert in_all == sum(int(row["voxels"]) for row in slices if row["label"] != "all")
    assert {LIVER, SPLEEN} == set(np.unique(labels)) - {0}
    for name in ("error", "entropy", "variance", "mutual_information"):
        values = [float(row[name]) for row in slices if row["label"] == "all"]
        assert min(values) >= 0 and max(values) > min(values)
    assert {row["p_dsc"] + row["p_accuracy"] for row in rows} == {""}, "There is no attention."


def test_maps_and_scores_without_a_folder_are_refused(trained, capsys):
    before = content(trained)
    assert call("segment", trained, "p2", "--maps", "entropy", *CPU) == 1
    assert "give --out" in capsys.readouterr().err
    assert call("segment", trained, "p2", "--scores", "axial", *CPU) == 1
    assert "give --out" in capsys.readouterr().err
    assert content(trained) == before


def test_a_map_that_there_is_not_is_refused_with_those_that_there_are(trained, tmp_path, capsys):
    assert call("segment", trained, "p2", "--out", tmp_path, "--maps", "entropie", *CPU) == 2
    said = capsys.readouterr().err
    assert "there is no map 'entropie'" in said and "mutual_information" in said


def test_what_is_missing_is_added_to_a_segmentation_that_stays_as_it_is(
    trained, data, tmp_path, capfd
):
    ask = ("segment", trained, data.image(3), data.image(4), "--out", tmp_path, *CPU)
    assert call(*ask) == 0
    (tmp_path / "p3.seg.nrrd").write_bytes(b"corrected by hand")
    more = (*ask, "--skip-existing", "--maps", "variance,attention", "--scores", "axial")
    assert call(*more) == 0
    assert (tmp_path / "p3.seg.nrrd").read_bytes() == b"corrected by hand"
    names = {f"p{n}{end}" for n in (3, 4) for end in (".seg.nrrd", ".variance.nii.gz",
                                                      ".scores.csv")}
    before = content(tmp_path)
    assert set(before) == names
    (tmp_path / "p4.variance.nii.gz").unlink()
    capfd.readouterr()
    assert call(*more, "--json") == 0
    assert [done["name"] for done in json.loads(capfd.readouterr().out)["segmented"]] == ["p4"]
    assert content(tmp_path) == before


def test_a_map_that_exists_is_not_overwritten_unasked(trained, data, tmp_path, capsys):
    (tmp_path / "p3.entropy.nii.gz").write_text("of someone")
    ask = ("segment", trained, data.image(3), "--out", tmp_path, "--maps", "entropy", *CPU)
    assert call(*ask) == 1
    assert "p3.entropy.nii.gz exists already" in capsys.readouterr().err
    assert content(tmp_path) == {"p3.entropy.nii.gz": b"of someone"}


def test_the_attention_is_a_label_map_and_the_table_has_both_p_scores(
    study, tmp_path
):
    train = ("train", study, "--preset", "zhang2020", "--iterations", 12, "--seed", 0)
    assert call(*train, *CPU) == 0
    out = tmp_path / "out"
    ask = ("--maps", "attention", "--scores", "axial", "--json")
    done = run("segment", study, "p2", "--out", out, *ask, *CPU)
    answer = json.loads(done.stdout)["segmented"][0]
    assert answer["attention"] == str(out / "p2.attention.seg.nrrd")
    found = read_labelmap(out / "p2.attention.seg.nrrd")
    case = Study.open(study).case("p2")
    assert found.geometry.difference(case.geometry) is None
    assert set(np.unique(found.array)) <= {0, LIVER, SPLEEN}
    with open(out / "p2.scores.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["plane"] == "axial"]
    for name in ("p_dsc", "p_accuracy"):
        values = [float(row[name]) for row in rows if row["label"] == "all"]
        assert len(values) == case.geometry.shape[0] and 0 <= min(values) <= max(values) <= 1
    assert all(row["variance"] == "" for row in rows), "This recipe has no dropout."
