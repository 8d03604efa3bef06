"""Runs of an experiment: what they label, what they train and test on, and how they go on."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from ActiveSegLoopLib.errors import ActiveSegLoopError, SelectionError
from ActiveSegLoopLib.evaluation.overlap import dice_per_label
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.simulation.doing import do_run
from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.labeling import labeled_slices
from ActiveSegLoopLib.simulation.records import finished_rounds, is_finished
from ActiveSegLoopLib.simulation.run_key import FULL, START, RunKey
from ActiveSegLoopLib.simulation.runs import Place
from ActiveSegLoopLib.study.locks import ProcessLock
from ActiveSegLoopLib.study.study import Study
from Testing.model.samples import GRID, SCHEMA, two_balls
from Testing.simulation.experiments import (
    POOL,
    begin,
    make_cases,
    quick,
    settings,
    without_times,
)

SLICES = GRID.shape[0]  # along the axial plane


@pytest.fixture(autouse=True)
def recipe(monkeypatch):
    monkeypatch.setitem(PRESETS, "quick", quick)


def place(should_stop=lambda: False, report=lambda kind, **data: None) -> Place:
    return Place("cpu", report, should_stop)


def do_all(experiment, **options) -> dict[str, list[dict]]:
    """Do every run; their lines by name."""
    for key in experiment.runs():
        assert do_run(experiment, key, place(**options))
    return {key.name: finished_rounds(experiment, key) for key in experiment.runs()}


def study_of(experiment, name) -> Study:
    return Study.open(experiment.run_folder(RunKey.parse(name)) / "study")


class StopsAfter:
    """A wish to stop after so many questions."""

    def __init__(self, questions: float) -> None:
        self.questions = questions

    def __call__(self) -> bool:
        self.questions -= 1
        return self.questions < 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An experiment with both strategies, two seeds and the reference, and its lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "quick", quick)
        experiment = begin(tmp_path_factory.mktemp("finished"), seeds=2, full=True)
        return experiment, do_all(experiment)


def test_each_round_adds_as_many_slices_as_were_asked_for(finished):
    experiment, lines = finished
    for seed in range(2):
        for strategy in ("random", "equal_interval"):
            run = lines[f"{strategy}-seed-{seed}"]
            assert [line["units"] for line in run] == [4, 8]
            assert run[1]["share"] == pytest.approx(8 / (POOL * SLICES))
            assert len(run[1]["batch"]) == 4
            study = study_of(experiment, f"{strategy}-seed-{seed}")
            labeled = {c.name: labeled_slices(study, c, "axial") for c in study.cases("pool")}
            proposed = {(p["case"], p["index"]) for line in run for p in line["batch"]}
            assert proposed == {(name, i) for name, found in labeled.items() for i in found}


def test_what_is_labeled_is_the_truth_on_those_slices_and_nothing_elsewhere(finished):
    experiment, _ = finished
    study = study_of(experiment, "random-seed-0")
    foreground = 0
    for case in study.cases("pool"):
        slices = labeled_slices(study, case, "axial")
        if slices:
            truth = two_balls(int(case.name[1:]))[1].array
            labels = study.labelmap(study.latest(case)).array
            assert (labels[slices] == truth[slices]).all()
            assert not labels.sum() - labels[slices].sum()
            foreground += int((truth[slices] > 0).sum())
    total = sum(int((two_balls(n)[1].array > 0).sum()) for n in range(POOL))
    line = finished_rounds(experiment, RunKey("random", 0))[-1]
    assert line["foreground_share"] == pytest.approx(foreground / total, abs=1e-6)


def test_test_cases_are_never_labeled_and_always_scored(finished):
    experiment, lines = finished
    for name, run in lines.items():
        study = study_of(experiment, name)
        assert [study.latest(case) for case in study.cases("test")] == [None, None]
        assert all(set(line["cases"]) == {"p4", "p5"} for line in run)
        assert all(set(line["dice"]) == {"liver", "spleen"} for line in run)


def test_the_pools_volumes_are_scored_as_wholes_where_that_is_asked_for(tmp_path):
    experiment = begin(tmp_path, strategies=("random",), score_pool=True)
    lines = do_all(experiment)["random-seed-0"]
    study = study_of(experiment, "random-seed-0")
    predictor = Predictor.load(study.rounds()[-1].folder, "cpu")
    dice = {"liver": [], "spleen": []}
    for case in study.cases("pool"):
        found = predictor.segment(study.volumes(case)).labelmap.array
        truth = two_balls(int(case.name[1:]))[1].array
        for name, row in dice_per_label(truth, found, SCHEMA.names).items():
            dice[name].append(row)
    expected = np.mean([np.nanmean(values) for values in dice.values()])
    assert lines[1]["pool_dice"] == pytest.approx(expected, abs=1e-5)
    assert lines[1]["pool_dice"] != lines[0]["pool_dice"] and set(lines[0]["cases"]) == {"p4", "p5"}
    with pytest.raises(ActiveSegLoopError, match="for slices"):
        settings(unit="volume", score_pool=True)


def test_where_seeds_have_other_test_cases_all_runs_of_a_seed_have_the_same(tmp_path):
    experiment = begin(tmp_path, resplit=True, seeds=2, full=True)
    lines = do_all(experiment)
    for seed in range(2):
        tested = {case.name for case in experiment.cases_of(seed) if case.role == "test"}
        runs = [run for name, run in lines.items() if name.endswith(f"-{seed}")]
        assert len(runs) == 4
        for run in runs:
            assert all(set(line["cases"]) == tested for line in run)
            assert not tested & {p["case"] for line in run for p in line["batch"]}
    assert lines["full-seed-0"][0]["cases"].keys() != lines["full-seed-1"][0]["cases"].keys()


def test_all_strategies_of_a_seed_begin_with_the_same_labels_and_model(finished):
    _, lines = finished
    for seed in range(2):
        start = lines[f"start-seed-{seed}"]
        assert len(start) == 1
        for strategy in ("random", "equal_interval"):
            assert lines[f"{strategy}-seed-{seed}"][0] == start[0]
    assert lines["start-seed-0"][0]["batch"] != lines["start-seed-1"][0]["batch"]
    assert lines["random-seed-0"][1]["batch"] != lines["equal_interval-seed-0"][1]["batch"]


def test_the_reference_is_trained_on_every_slice_of_the_pool(finished):
    _, lines = finished
    (line,) = lines["full-seed-1"]
    assert (line["share"], line["foreground_share"], line["units"]) == (1, 1, POOL * SLICES)
    assert line["settings"] == lines["random-seed-1"][1]["settings"], "The training is the same."


def test_a_finished_run_is_not_done_again(finished):
    experiment, lines = finished
    key = RunKey("random", 0)
    files = sorted((experiment.run_folder(key) / "study").rglob("*"))
    assert do_run(experiment, key, place(should_stop=lambda: True))
    assert finished_rounds(experiment, key) == lines[key.name]
    assert sorted((experiment.run_folder(key) / "study").rglob("*")) == files


@pytest.mark.parametrize("corrected", [False, True])
def test_a_run_that_is_stopped_again_and_again_ends_as_one_that_never_was(
    tmp_path, corrected, finished
):
    changes = {"strategies": ("random",), "corrected": corrected}
    interrupted = begin(tmp_path / "interrupted", **changes)
    key, stops = RunKey("random", 0), 0
    while not is_finished(interrupted, key):
        try:
            do_run(interrupted, key, place(StopsAfter(3 + 2 * stops)))
        except Stopped:
            stops += 1
    assert stops > 5
    if corrected:
        whole = begin(tmp_path / "whole", **changes)
        expected = do_all(whole)[key.name]
    else:
        expected = finished[1][key.name]
    found = finished_rounds(interrupted, key)
    assert [without_times(line) for line in found] == [without_times(line) for line in expected]


def test_a_kill_in_the_middle_of_a_line_repeats_that_round_only(finished, tmp_path, monkeypatch):
    experiment = begin(tmp_path, strategies=("random",))
    key = RunKey("random", 0)

    def fail(*arguments):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("ActiveSegLoopLib.simulation.active.score_unseen", fail)
        with pytest.raises(OSError):
            do_run(experiment, key, place())
    assert finished_rounds(experiment, RunKey(START, 0)) == []
    assert len(study_of(experiment, "start-seed-0").rounds()) == 1
    do_all(experiment)
    assert len(study_of(experiment, "start-seed-0").rounds()) == 1, "It was trained already."
    assert len(finished_rounds(experiment, key)) == 2


def test_more_rounds_and_strategies_go_on_from_what_is_there(tmp_path):
    first = begin(tmp_path, strategies=("random",), rounds=1)
    before = do_all(first)
    more = begin(tmp_path, strategies=("random", "equal_interval"), rounds=2)
    lines = do_all(more)
    assert lines["random-seed-0"][0] == before["random-seed-0"][0]
    assert [len(lines[f"{name}-seed-0"]) for name in ("random", "equal_interval")] == [2, 2]


def test_a_run_in_the_hands_of_another_is_left_alone(tmp_path, monkeypatch):
    experiment = begin(tmp_path)
    key = RunKey(START, 0)
    experiment.run_folder(key).mkdir(parents=True)
    lock = ProcessLock.acquire(experiment.run_folder(key) / ".lock")
    try:
        assert not do_run(experiment, key, place())
        # A strategy waits for its start; asked to stop, it doesn't wait for ever.
        monkeypatch.setattr("ActiveSegLoopLib.simulation.doing._SECONDS_BETWEEN_LOOKS", 0)
        with pytest.raises(Stopped):
            do_run(experiment, RunKey("random", 0), place(StopsAfter(3)))
    finally:
        lock.release()


def test_a_pool_that_runs_out_ends_the_run_there(tmp_path):
    experiment = begin(tmp_path, unit="volume", strategies=("random",), start=3, step=2, rounds=9)
    lines = do_all(experiment)["random-seed-0"]
    assert [line["units"] for line in lines] == [3, 4, 4]
    assert [line["exhausted"] for line in lines] == [False, False, True]
    assert lines[1]["slices"] == POOL * SLICES


def test_a_pool_of_which_the_rules_leave_nothing_ends_the_run_there_too(tmp_path):
    # 16 slices of 1.5 mm: none of a volume is 25 mm from a labeled one.
    experiment = begin(tmp_path, strategies=("random",), min_distance_mm=25.0, rounds=9)
    lines = do_all(experiment)["random-seed-0"]
    assert [line["units"] for line in lines] == [POOL, POOL]
    assert [line["exhausted"] for line in lines] == [False, True]
    assert is_finished(experiment, RunKey("random", 0))


def test_corrected_labels_begin_with_the_models_and_their_effort_is_counted(tmp_path):
    experiment = begin(tmp_path, strategies=("random",), corrected=True, tolerance_mm=0.0)
    lines = do_all(experiment)["random-seed-0"]
    study = study_of(experiment, "random-seed-0")
    origins = [r.origin for case in study.cases("pool") for r in study.revisions(case)]
    assert set(origins) == {"manual", "corrected"}
    drawn, corrected = (line["effort"] for line in lines)
    assert drawn["slices"] == corrected["slices"] == 4
    assert drawn["voxels_changed"] == drawn["voxels_foreground"]
    assert 0 < corrected["voxels_changed"] <= corrected["voxels_foreground"]
    assert corrected["slices_changed"] <= 4 and corrected["contour_mm"] >= 0


def test_slices_of_another_plane_are_labeled_where_that_is_asked_for(tmp_path):
    experiment = begin(tmp_path, strategies=("random",), plane="sagittal")
    line = do_all(experiment)["random-seed-0"][-1]
    study = study_of(experiment, "random-seed-0")
    planes = {p for c in study.cases("pool") if study.latest(c)
              for entry in study.latest(c).annotations for p in entry.slices}
    assert planes == {"sagittal"}
    assert line["share"] == pytest.approx(8 / (POOL * GRID.shape[2]), abs=1e-6)


def test_lines_are_plain_json_without_nan(finished):
    experiment, _ = finished
    for key in experiment.runs():
        text = (experiment.run_folder(key) / "rounds.jsonl").read_text()
        for line in text.splitlines():
            json.loads(line, parse_constant=pytest.fail)


def test_rank_correlations_of_the_scores_are_numbers_from_minus_one_to_one(finished):
    _, lines = finished
    found = lines["full-seed-0"][0]["correlations"]
    assert {"entropy.foreground", "variance.foreground", "error"} <= set(found)
    assert not any(name.startswith("attention") for name in found)  # this network has none
    assert all(value is None or -1 <= value <= 1 for value in found.values())
    assert any(value is not None and not math.isnan(value) for value in found.values())


def test_where_the_network_has_attention_its_scores_are_compared_with_the_others(tmp_path):
    experiment = begin(
        tmp_path, strategies=("attention",), preset="simulation-attention", iterations=30
    )
    start = do_all(experiment)["attention-seed-0"][0]
    assert {"attention", "attention.accuracy", "error"} <= set(start["correlations"])


def test_a_strategy_that_there_is_not_is_a_sentence_before_anything_is_labeled(tmp_path):
    experiment = begin(tmp_path, initial="nonsense")
    with pytest.raises(SelectionError, match="nonsense"):
        do_run(experiment, RunKey(START, 0), place())
    assert finished_rounds(experiment, RunKey(START, 0)) == []


def test_a_label_file_on_another_grid_is_a_sentence_that_names_it(tmp_path):
    experiment = begin(tmp_path, strategies=("random",))
    other = two_balls(0, Geometry((8, 20, 24), GRID.spacing, GRID.origin))[1]
    write_volume(experiment.cases[0].labels, other)
    with pytest.raises(ActiveSegLoopError, match="p0-labels"):
        do_run(experiment, RunKey(FULL, 0), place())


def test_all_that_is_labeled_is_trained_on_though_the_preset_holds_some_out(tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "quick", lambda gpu: replace(quick(gpu), hold_out=True))
    cases = make_cases(tmp_path / "images", pool=6)
    chosen = settings(unit="volume", strategies=("random",), start=5, rounds=1, full=True)
    experiment = Experiment.begin(tmp_path / "experiment", chosen, SCHEMA, cases)
    for key in (RunKey(START, 0), RunKey(FULL, 0)):
        assert do_run(experiment, key, place())
        (round,) = study_of(experiment, key.name).rounds()
        assert len(round.revisions) == {START: 5, FULL: 6}[key.strategy] and not round.validation
        assert round.settings["recipe"]["hold_out"] is False


def test_full_annotation_goes_on_training_when_rounds_go_on_from_one_another(tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "quick", lambda gpu: replace(quick(gpu), warm_start=True))
    experiment = begin(tmp_path, full=True)
    do_run(experiment, RunKey(FULL, 0), place())
    lines = finished_rounds(experiment, RunKey(FULL, 0))
    assert [line["share"] for line in lines] == [1.0, 1.0]
    assert lines[1]["settings"]["warm_start_from"] == 1
