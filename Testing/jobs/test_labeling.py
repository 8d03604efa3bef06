"""Adding images and labels: found, recognized, never twice."""

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.segmentation import Segment, write_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import Study
from Testing.jobs.conftest import LIVER, SHAPE, SPLEEN, balls
from Testing.jobs.running import call, content


def test_adding_again_adds_only_what_is_new(study, data, capsys):
    before = content(study / "labels")
    assert call("add", study, data.image(0), data.image(1), "--labels", data.labels) == 0
    said = capsys.readouterr().out
    assert said == "Added 0 pool cases, 0 with labels; 2 were in the study already.\n"
    assert content(study / "labels") == before
    assert call("add", study, data.images, "--labels", data.labels) == 0
    assert "Added 2 pool cases, 3 with labels; 4 were" in capsys.readouterr().out, (
        "p3 and p4 are new, p2 is labeled now, p5 keeps its role"
    )
    assert Study.open(study).case("p5").role == "test"


def test_an_image_that_was_moved_is_found_again(study, data, tmp_path, capsys):
    image = tmp_path / "own.nii.gz"
    write_volume(image, balls(20)[0])
    assert call("add", study, image) == 0
    place = tmp_path / "elsewhere" / "renamed.nii.gz"
    place.parent.mkdir()
    image.rename(place)
    assert call("relocate", study, "own", data.image(1)) == 1
    assert "isn't the image of case 'own'" in capsys.readouterr().err
    assert call("relocate", study, "own", place) == 0
    assert f"'own' is read from {place} now" in capsys.readouterr().out
    opened = Study.open(study)
    assert opened.volumes(opened.case("own"))[0].geometry.shape == SHAPE


def test_a_bad_image_does_not_keep_the_good_ones_out(study, data, tmp_path, capsys):
    (tmp_path / "broken.nii.gz").write_bytes(data.image(3).read_bytes()[:2000])
    assert call("add", study, data.image(3), tmp_path / "broken.nii.gz", data.image(4)) == 1
    captured = capsys.readouterr()
    assert "Added 2 pool cases" in captured.out and captured.err.count("\n") == 1
    names = [case.name for case in Study.open(study).cases()]
    assert {"p3", "p4"} <= set(names) and "broken" not in names


def test_the_patient_in_the_name_keeps_images_in_one_role(study, tmp_path, capsys):
    for number, name in enumerate(["anna_left", "anna_right", "bert_left"]):
        write_volume(tmp_path / f"{name}.nii.gz", balls(10 + number)[0])
    regex = ("--group-regex", "^[a-z]+")
    assert call("add", study, tmp_path / "anna_left.nii.gz", "--role", "test", *regex) == 0
    assert call("add", study, tmp_path / "anna_right.nii.gz", *regex) == 1
    assert "one role" in capsys.readouterr().err
    assert call("add", study, tmp_path / "bert_left.nii.gz", *regex) == 0
    groups = {case.name: case.group for case in Study.open(study).cases()}
    assert groups["anna_left"] == "anna" and groups["bert_left"] == "bert"


def test_channels_make_one_case(tmp_path):
    study = tmp_path / "study"
    assert call("init", study, "--labels", f"{LIVER}=liver,{SPLEEN}=spleen") == 0
    for number in range(2):
        for channel in range(2):
            image, _ = balls(20 + 2 * number + channel)
            write_volume(tmp_path / f"q{number}_{channel:04d}.nii.gz", image)
    assert call("add", study, tmp_path, "--channels", 2) == 0
    opened = Study.open(study)
    assert [p.name for p in opened.case("q1").channels] == ["q1_0000.nii.gz", "q1_0001.nii.gz"]
    assert len(opened.volumes(opened.case("q0"))) == 2


def test_a_dicom_folder_is_one_image(study, shared_data):
    assert call("add", study, shared_data / "dicom" / "ct_head") == 0
    assert Study.open(study).case("ct_head").geometry.shape[0] == 93


@pytest.mark.parametrize(
    "spleen, liver",
    [
        pytest.param(("spleen", "Milz"), ("liver", "Leber"), id="by id"),
        pytest.param(("Segment_1", "Spleen"), ("Segment_2", "Liver"), id="by name"),
    ],
)
def test_segments_are_recognized_by_id_or_name_whatever_their_values(
    study, tmp_path, spleen, liver
):
    _, truth = balls(2)
    swapped = truth.with_array(np.select([truth.array == LIVER, truth.array == SPLEEN], [2, 1], 0))
    segments = [
        Segment(spleen[0], 1, spleen[1], (1, 0, 0)), Segment(liver[0], 2, liver[1], (0, 1, 0)),
    ]
    write_segmentation(tmp_path / "drawn.seg.nrrd", swapped, segments)
    assert call("label", study, "p2", tmp_path / "drawn.seg.nrrd") == 0
    opened = Study.open(study)
    stored = opened.labelmap(opened.latest(opened.case("p2")))
    assert np.array_equal(stored.array, truth.array)


def test_a_segmentation_that_slicer_cropped_returns_to_its_place(study, tmp_path, capsys):
    _, truth = balls(2)
    low, high = (3, 5, 1), (19, 20, 23)
    part = truth.array[tuple(map(slice, low, high))]
    origin = truth.geometry.index_to_world(np.array([low]))[0]
    cropped = Volume(part, Geometry(part.shape, truth.geometry.spacing, tuple(origin)))
    segments = Study.open(study).schema.segments()
    write_segmentation(tmp_path / "part.seg.nrrd", cropped, segments)
    assert call("label", study, "p2", tmp_path / "part.seg.nrrd") == 0
    opened = Study.open(study)
    stored = opened.labelmap(opened.latest(opened.case("p2")))
    assert np.array_equal(stored.array, truth.array)
    moved = Volume(part, Geometry(part.shape, truth.geometry.spacing, tuple(origin - 39)))
    write_segmentation(tmp_path / "moved.seg.nrrd", moved, segments)
    assert call("label", study, "p2", tmp_path / "moved.seg.nrrd") == 1
    assert "labeled voxels lie outside the image" in capsys.readouterr().err


def test_a_segment_that_the_study_does_not_know_is_refused_if_it_is_drawn(study, tmp_path, capsys):
    _, truth = balls(2)
    segments = [
        Segment("liver", LIVER, "liver", (1, 0, 0)),
        Segment("spleen", SPLEEN, "spleen", (0, 1, 0)),
        Segment("Segment_3", 9, "bone", (0, 0, 1)),
    ]
    write_segmentation(tmp_path / "empty.seg.nrrd", truth, segments)
    assert call("label", study, "p2", tmp_path / "empty.seg.nrrd") == 0
    truth.array[0, 0, 0] = 9
    write_segmentation(tmp_path / "drawn.seg.nrrd", truth, segments)
    assert call("label", study, "p2", tmp_path / "drawn.seg.nrrd") == 1
    assert "segment 'bone', which the study doesn't know" in capsys.readouterr().err


def test_slices_and_classes_say_what_was_labeled(study, data):
    assert call(
        "label", study, "p2", data.label(2), "--slices", "axial:8-11", "--slices", "sagittal:5",
        "--classes", "Liver",
    ) == 0
    opened = Study.open(study)
    annotated = opened.annotated(opened.latest(opened.case("p2")))
    expected = np.zeros(SHAPE, bool)
    expected[8:12] = True
    expected[:, :, 5] = True
    assert np.array_equal(annotated.label(0), expected)
    assert not annotated.label(1).any()


def test_seconds_may_be_given_for_one_structure_after_the_other(study, data):
    times = ("--seconds", "liver=60", "--seconds", "spleen=40,liver=70")
    assert call("label", study, "p2", data.label(2), *times) == 0
    opened = Study.open(study)
    assert sorted(opened.latest(opened.case("p2")).seconds.values()) == [40.0, 70.0]


def test_a_correction_names_the_round_in_use_or_the_one_that_is_given(study, data, capsys):
    opened = Study.open(study)
    case, labels = opened.case("p2"), read_labelmap(data.label(2))
    for number in (1, 2, 3):
        started = opened.start_round("fast", {}, 0, [opened.latest(opened.case("p0"))])
        opened.finish_round(started, {}, {})
        if number < 3:
            opened.save_prediction(started, case, labels)
    label = ("label", study, "p2", data.label(2), "--origin", "corrected")

    assert call(*label) == 1
    assert "Round 3 hasn't segmented case 'p2': name the round" in capsys.readouterr().err
    assert call(*label, "--round", 3) == 1
    assert "(1, 2) with --round" in capsys.readouterr().err
    assert call(*label, "--round", 7) == 1
    assert "no round 7" in capsys.readouterr().err
    assert call("label", study, "p0", data.label(0), "--origin", "corrected") == 1
    assert "No round has segmented case 'p0'" in capsys.readouterr().err
    assert call("label", study, "p2", data.label(2), "--round", 1) == 1
    assert "give --origin corrected" in capsys.readouterr().err
    assert opened.latest(case) is None

    assert call(*label, "--round", 2) == 0
    assert opened.latest(case).model_round == 2
    opened.roll_back(1)
    assert call(*label) == 0
    assert opened.latest(case).model_round == 1, "It isn't the newest round that is used."


def test_the_labels_of_a_decathlon_data_set_make_a_study(tmp_path, capsys):
    path = tmp_path / "dataset.json"
    path.write_text('{"labels": {"0": "background", "1": "anterior", "2": "posterior"}}')
    assert call("init", tmp_path / "study", "--from", path, "--sides-alike") == 0
    schema = Study.open(tmp_path / "study").schema
    assert schema.names == {1: "anterior", 2: "posterior"} and not schema.sides_matter
