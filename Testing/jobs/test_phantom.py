"""The command that makes phantoms to try the program on."""

import numpy as np

from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.images.segmentation import read_segmentation
from ActiveSegLoopLib.simulation.phantom import KIDNEY_LABELS, make_cohort
from Testing.jobs.running import call, content, events_of


def test_the_files_hold_the_cohort_and_its_true_labels(tmp_path, capfd):
    assert call("phantom", tmp_path / "made", "-n", 1, "--seed", 3, "--events", "json") == 0
    events = events_of(capfd.readouterr().out)
    assert [e["case"] for e in events if e["event"] == "progress"] == ["kidney-001"]
    assert sorted(content(tmp_path / "made")) == [
        "images/kidney-001.nrrd", "labels/kidney-001.seg.nrrd"
    ]
    (expected,) = make_cohort(1, 3)
    image = read_image(tmp_path / "made/images/kidney-001.nrrd")
    labelmap, segments = read_segmentation(tmp_path / "made/labels/kidney-001.seg.nrrd")
    assert np.array_equal(image.array, expected.image.array)
    assert np.array_equal(labelmap.array, expected.labels.array)
    assert image.geometry.difference(expected.image.geometry) is None
    assert [s.id for s in segments] == [label.id for label in KIDNEY_LABELS.labels]


def test_stopping_says_how_many_there_are(tmp_path, capsys):
    (tmp_path / "stop").touch()
    assert call("phantom", tmp_path / "made", "--cancel-file", tmp_path / "stop") == 130
    assert "Stopped with 0 of 3 phantoms made." in capsys.readouterr().err
    assert content(tmp_path / "made") == {}
