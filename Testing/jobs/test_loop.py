"""The loop in real processes: init, add, label, train, segment, correct, export, check."""

import json

import numpy as np
import pytest

from ActiveSegLoopLib.evaluation.overlap import dice
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.segmentation import read_segmentation
from ActiveSegLoopLib.study import Study
from Testing.jobs.conftest import LIVER, SPLEEN
from Testing.jobs.running import call, events_of, run


@pytest.fixture(scope="module")
def looped(tmp_path_factory, data):
    """A folder in which one turn of the loop was made, and what each command said."""
    folder = tmp_path_factory.mktemp("loop")
    study, out = folder / "study", folder / "out"
    cpu = ("--device", "cpu")
    steps = {
        "init": ("init", study, "--labels", f"{LIVER}=liver,{SPLEEN}=spleen", "--json"),
        "add": ("add", study, *map(data.image, range(4)), "--group-regex", r"p\d", "--json"),
        "train": ("train", study, *cpu, "--preset", "fast", "--iterations", 60, "--events", "json"),
        "segment": ("segment", study, data.image(5), "p3", "--out", out, *cpu),
    }
    said = {}
    for name, arguments in steps.items():
        if name == "train":
            for number in range(3):
                assert call("label", study, f"p{number}", data.label(number)) == 0
        said[name] = run(*arguments)
        assert said[name].returncode == 0, said[name].stderr
    return folder, said


def test_the_results_are_json_where_a_machine_reads(looped):
    folder, said = looped
    made = json.loads(said["init"].stdout)
    assert made["study"] == str((folder / "study").resolve())
    assert [label["name"] for label in made["labels"]] == ["liver", "spleen"]
    assert json.loads(said["add"].stdout) == {"added": ["p0", "p1", "p2", "p3"], "labeled": []}


def test_the_events_of_a_training_tell_all_a_program_wants_to_show(looped):
    _, said = looped
    assert said["train"].stderr == ""
    events = events_of(said["train"].stdout)
    steps = [e for e in events if e["event"] == "progress" and e["stage"] == "segmenter"]
    assert [e["step"] for e in steps] == list(range(1, 61))
    assert all(e["total"] == 60 and e["loss"] > 0 for e in steps)
    assert np.mean([e["loss"] for e in steps[-5:]]) < np.mean([e["loss"] for e in steps[:5]])
    kinds = {e["event"] for e in events}
    assert {"plan", "warning", "result"} <= kinds, "No case was held out: that is a warning."
    assert [e["round"] for e in events if e["event"] == "result"] == [1]
    assert events[-1]["event"] == "end" and events[-1]["status"] == 0
    times = [e["time"] for e in events]
    assert times == sorted(times)


def test_what_was_learned_is_segmented_with_names_and_values_of_the_study(looped, data):
    folder, _ = looped
    found, segments = read_segmentation(folder / "out" / "p5.seg.nrrd")
    truth = read_labelmap(data.label(5))
    assert found.geometry.difference(truth.geometry) is None
    assert [(s.value, s.name) for s in segments] == [(LIVER, "liver"), (SPLEEN, "spleen")]
    assert dice(truth.array, found.array, LIVER) > 0.5


def test_a_case_is_kept_in_the_study_too_and_an_image_from_elsewhere_is_not(looped):
    folder, _ = looped
    study = Study.open(folder / "study")
    assert (folder / "out" / "p3.seg.nrrd").exists()
    assert study.prediction(study.current_round(), study.case("p3")) is not None
    kept = sorted(path.name for path in (folder / "study" / "predictions" / "round-001").iterdir())
    assert kept == ["p3.seg.nrrd"]


def test_the_segmentation_is_corrected_and_handed_back_with_its_history(looped, capsys):
    folder, _ = looped
    assert call(
        "label", folder / "study", "p3", folder / "out" / "p3.seg.nrrd", "--origin", "corrected",
        "--annotator", "reader 1", "--seconds", "liver=12.5,spleen=7",
    ) == 0
    study = Study.open(folder / "study")
    revision = study.latest(study.case("p3"))
    assert (revision.origin, revision.model_round) == ("corrected", 1)
    assert (revision.annotator, revision.seconds) == ("reader 1", {"liver": 12.5, "spleen": 7.0})
    assert call("check", folder / "study") == 0
    assert capsys.readouterr().out.endswith("No problems found.\n")


def test_each_job_left_a_log_without_fault(looped):
    folder, _ = looped
    logs = list((folder / "study" / "logs").iterdir())
    assert sorted(path.name.split("-")[2] for path in logs) == ["add", "segment", "train"]
    for path in logs:
        assert path.read_text().endswith("exit status 0\n") and "Traceback" not in path.read_text()
