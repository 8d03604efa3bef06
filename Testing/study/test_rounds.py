"""Rounds of training: what they name, how they end, rolling back, and predictions."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.study import Study
from Testing.repository import ROOT

TRAIN = """
import sys
from ActiveSegLoopLib.study import Study
study = Study.open(sys.argv[1])
if sys.argv[2] == "resume":
    round = study.resume_round(study.rounds()[-1])
else:
    labeled = [r for r in map(study.latest, study.cases("pool")) if r is not None]
    round = study.start_round("fast", {}, int(sys.argv[3]), labeled)
print(round.number, flush=True)
if sys.stdin.read(1) == "f":
    study.finish_round(round, {}, {})
"""


def training(study, what="start", seed=0):
    """Another process that has a round in its hands."""
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(study.folder), what, str(seed)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.number = process.stdout.readline().strip()
    return process


@pytest.fixture
def labeled(study, make_image, make_labels):
    """Revisions of two cases of the pool, one for validation and one for the test."""
    revisions = {}
    for name, role in (("a", "pool"), ("b", "pool"), ("v", "validation"), ("t", "test")):
        case = study.add_case([make_image(f"{name}.nrrd")], role=role)
        revisions[name] = study.add_revision(case, make_labels())
    return revisions


def test_a_round_names_everything_it_depends_on(study, labeled, make_labels):
    settings = {"patch": (8, 8, 8), "rate": np.float32(0.5), "spacing": np.array([1.0, 2.0])}
    study.start_round("default", {}, 0, [labeled["b"]])
    newer = study.add_revision(study.case("a"), make_labels(1))
    started = study.start_round("kim2020", settings, 7, [newer, labeled["b"]], [labeled["v"]])
    assert started.number == 2 and started.state == "running"
    assert started.folder == study.folder / "models" / "round-002" and started.folder.is_dir()
    assert (started.preset, started.seed, started.metrics) == ("kim2020", 7, None)
    assert started.settings == {"patch": [8, 8, 8], "rate": 0.5, "spacing": [1.0, 2.0]}
    assert started.revisions == (newer, labeled["b"])
    assert started.validation == (labeled["v"],)
    metrics = {"dice": {"artery": np.float64(0.75), "vein": math.nan}}
    ended = study.finish_round(started, metrics, {"torch": "2.13"})
    again = Study.open(study.folder).rounds()[1]
    assert repr(again) == repr(ended), "NaN isn't equal to itself"
    assert ended.state == "finished" and ended.versions == {"torch": "2.13"}
    assert ended.metrics["dice"]["artery"] == 0.75 and math.isnan(ended.metrics["dice"]["vein"])
    written = json.loads((ended.folder / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert written == {"dice": {"artery": 0.75, "vein": None}}
    assert [path.name for path in ended.folder.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize(
    "training, validation, words",
    [
        ("", "", "nothing to train on"),
        ("t", "", "'t' has the role test"),
        ("v", "", "'v' has the role validation"),
        ("a", "t", "'t' has the role test"),
        ("aa", "", "'a' is given twice"),
        ("a", "vv", "'v' is given twice"),
        ("ab", "b", "'b' can't validate .* group 'b'"),
    ],
)
def test_test_cases_and_patients_are_kept_apart(study, labeled, training, validation, words):
    with pytest.raises(StudyError, match=words):
        study.start_round(
            "fast", {}, 0, [labeled[c] for c in training], [labeled[c] for c in validation]
        )
    assert study.rounds() == [] and not (study.folder / "models").exists()


def test_a_patient_with_two_cases_isnt_both_trained_and_validated_on(
    study, make_image, make_labels
):
    left, right = (
        study.add_revision(
            study.add_case([make_image(f"{side}.nrrd")], group="P1"), make_labels()
        )
        for side in ("left", "right")
    )
    with pytest.raises(StudyError, match="same group 'P1'"):
        study.start_round("fast", {}, 0, [left], [right])
    assert study.start_round("fast", {}, 0, [left, right]).revisions == (left, right)


def test_settings_and_metrics_that_cant_be_stored_are_refused(study, labeled):
    with pytest.raises(StudyError, match="settings can't be stored"):
        study.start_round("fast", {"report": print}, 0, [labeled["a"]])
    started = study.start_round("fast", {}, 0, [labeled["a"]])
    with pytest.raises(StudyError, match="metrics can't be stored"):
        study.finish_round(started, {"dice": {1, 2}}, {})
    assert study.rounds()[0].state == "running"


def test_the_newest_finished_round_is_current_until_one_is_rolled_back_to(study, labeled):
    assert study.current_round() is None
    for _ in range(3):
        study.finish_round(study.start_round("fast", {}, 0, [labeled["a"]]), {}, {})
    assert study.current_round().number == 3
    assert study.roll_back(1).number == 1
    assert Study.open(study.folder).current_round().number == 1
    assert [r.state for r in study.rounds()] == ["finished"] * 3
    failed = study.start_round("fast", {}, 0, [labeled["a"]])
    with pytest.raises(StudyError, match="Round 4 is running: only a finished one"):
        study.roll_back(4)
    study.fail_round(failed, "out of memory")
    with pytest.raises(StudyError, match="no round 9"):
        study.roll_back(9)
    assert study.current_round().number == 1
    study.finish_round(study.start_round("fast", {}, 0, [labeled["a"]]), {}, {})
    assert study.current_round().number == 5


def test_a_round_ends_once(study, labeled):
    first = study.start_round("fast", {}, 0, [labeled["a"]])
    failed = study.fail_round(first, "out of memory")
    assert (failed.state, failed.reason) == ("failed", "out of memory") and failed.ended
    for end in (
        lambda: study.finish_round(first, {}, {}),
        lambda: study.fail_round(first),
        lambda: study.interrupt_round(first),
        lambda: study.resume_round(first),
    ):
        with pytest.raises(StudyError, match="Round 1 is failed"):
            end()
    assert study.current_round() is None and study.unfinished_rounds() == []


def test_a_canceled_round_can_be_resumed_and_finished(study, labeled):
    started = study.start_round("fast", {}, 0, [labeled["a"]])
    study.interrupt_round(started)
    unfinished = study.unfinished_rounds()[0]
    assert (unfinished.number, unfinished.state, unfinished.reason) == (
        1,
        "interrupted",
        "canceled",
    )
    resumed = study.resume_round(unfinished)
    assert resumed.state == "running"
    assert study.finish_round(resumed, {}, {}).state == "finished"
    assert study.unfinished_rounds() == []


def test_a_round_is_unfinished_only_after_its_process_died(study, labeled):
    process = training(study)
    try:
        assert process.number == "1"
        assert study.unfinished_rounds() == []
        for take in (
            lambda: study.resume_round(study.rounds()[0]),
            lambda: study.finish_round(study.rounds()[0], {}, {}),
            lambda: study.fail_round(study.rounds()[0]),
        ):
            with pytest.raises(StudyError, match="Another process is training round 1"):
                take()
    finally:
        process.kill()
        process.communicate()
    assert study.unfinished_rounds()[0].number == 1
    resumed = study.resume_round(study.unfinished_rounds()[0])
    other = training(study, "resume")
    _, said = other.communicate("f")
    assert other.returncode != 0 and "Another process is training round 1" in said
    study.finish_round(resumed, {}, {})
    assert study.current_round().number == 1


def test_two_processes_train_rounds_of_their_own(study, labeled):
    processes = [training(study, seed=seed) for seed in range(2)]
    assert sorted(process.number for process in processes) == ["1", "2"]
    for process in processes:
        process.communicate("f")
        assert process.returncode == 0
    assert [r.state for r in study.rounds()] == ["finished", "finished"]


def test_a_second_training_with_the_same_settings_is_refused_while_the_first_one_lives(
    study, labeled
):
    process = training(study)
    try:
        with pytest.raises(StudyError, match="training round 1 with the same settings: wait"):
            study.start_round("fast", {}, 0, [labeled["a"]])
        with pytest.raises(StudyError, match="training round 1 with the same settings: wait"):
            study.start_round("fast", {"asked": {"device": "auto"}}, 0, [labeled["a"]])
        assert study.start_round("fast", {"patch": 8}, 0, [labeled["a"]]).number == 2
        assert [round.number for round in study.rounds()] == [1, 2]
    finally:
        process.kill()
        process.communicate()
    study.interrupt_round(study.round(2))
    assert study.start_round("fast", {}, 0, [labeled["a"]]).number == 3


def test_every_round_that_nobody_trains_can_be_resumed_the_newest_first(study, labeled):
    study.interrupt_round(study.start_round("fast", {}, 0, [labeled["a"]]))
    study.finish_round(study.start_round("fast", {}, 0, [labeled["a"]]), {}, {})
    process = training(study, seed=1)
    try:
        assert [round.number for round in study.unfinished_rounds()] == [1]
        study.round_store.mark_interrupted(3)
        assert study.round(3).state == "running"
    finally:
        process.kill()
        process.communicate()
    assert [round.number for round in study.unfinished_rounds()] == [3, 1]
    study.round_store.mark_interrupted(3)
    assert study.round(3).state == "interrupted"
    assert study.finish_round(study.resume_round(study.round(1)), {}, {}).number == 1


def test_files_of_a_round_that_the_study_doesnt_know_are_never_mixed_in(study, labeled):
    old = study.folder / "models" / "round-001"
    old.mkdir(parents=True)
    (old / "segment.safetensors").write_text("x")
    assert study.start_round("fast", {}, 0, [labeled["a"]]).number == 2


def test_a_prediction_is_kept_by_round_and_case_and_may_be_made_again(study, labeled, make_labels):
    case = study.case("t")
    round = study.start_round("fast", {}, 0, [labeled["a"]])
    assert study.prediction(round, case) is None
    for seed in (1, 2):
        path = study.save_prediction(round, case, make_labels(seed))
        assert path == study.folder / "predictions" / "round-001" / "t.seg.nrrd"
        assert study.prediction(round, case) == path
        assert np.array_equal(read_labelmap(path).array, make_labels(seed).array)
    with pytest.raises(StudyError, match="the value 3"):
        study.save_prediction(round, case, make_labels(value=3))
    assert np.array_equal(read_labelmap(path).array, make_labels(2).array)
    assert [p.name for p in path.parent.iterdir()] == ["t.seg.nrrd"]


def test_a_correction_names_the_round_it_began_with(study, labeled, make_labels):
    round = study.finish_round(study.start_round("fast", {}, 0, [labeled["a"]]), {}, {})
    revision = study.add_revision(
        study.case("b"), make_labels(3), origin="corrected", model_round=round.number
    )
    assert study.latest(study.case("b")) == revision and revision.model_round == 1
