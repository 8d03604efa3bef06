"""The command `simulate`: from folders of images to results, in one process, several, torchrun."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

from ActiveSegLoopLib.jobs.command_line import make_parser
from ActiveSegLoopLib.jobs.simulated_cases import find_simulated
from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.study.locks import ProcessLock
from Testing.jobs.conftest import LIVER, SPLEEN
from Testing.jobs.running import call, environment, run, start
from Testing.simulation.experiments import without_times

CLASSES = f"{LIVER}=liver,{SPLEEN}=spleen"


def options(data, out, *more) -> list:
    """A small experiment on the six images: four to label, two to test on."""
    return [
        "simulate", "--out", out, "--images", data.images, "--labels", data.labels, "--test", 2,
        "--classes", CLASSES, "--strategy", "random,equal_interval", "--start", 4, "--step", 4,
        "--rounds", 2, "--seeds", 1, "--iterations", 2, "--passes", 2, "--device", "cpu", *more,
    ]


def lines_of(out) -> dict[str, list[dict]]:
    """What every run has written, but for times."""
    return {
        path.parent.name: [without_times(json.loads(line)) for line in path.open()]
        for path in sorted((out / "runs").glob("*/rounds.jsonl"))
    }


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """An experiment done in one process; its number of threads, on which sums depend, is fixed."""
    out = tmp_path_factory.mktemp("finished") / "experiment"
    ran = run(*options(data, out))
    assert ran.returncode == 0, ran.stderr
    return out


def test_an_experiment_ends_with_results_of_every_run(finished):
    summary = json.loads((finished / "summary.json").read_text(encoding="utf-8"))
    assert summary["finished"] and summary["labels"] == {"3": "liver", "7": "spleen"}
    assert (summary["pool_cases"], summary["test_cases"]) == (4, 2)
    assert [run["units"] for run in summary["runs"]] == [[4, 8], [4, 8]]
    assert "random" in (finished / "table.txt").read_text(encoding="utf-8")
    for name in ("curves.png", "labels.png", "correlations.png"):
        assert (finished / name).read_bytes().startswith(b"\x89PNG")


def test_the_same_command_again_changes_nothing_and_the_folder_is_enough(finished, data, capsys):
    before = lines_of(finished)
    assert call(*options(data, finished)) == 0
    assert call("simulate", "--out", finished, "--device", "cpu") == 0
    assert lines_of(finished) == before
    assert "AUBC" in capsys.readouterr().out


def test_the_processes_of_torchrun_share_the_runs_out(finished, data, tmp_path):
    arguments = [str(argument) for argument in options(data, tmp_path / "two")]
    arguments[arguments.index("--start")] = "--first"  # torchrun has a --start-method
    ran = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "ActiveSegLoopLib", *arguments],
        env=environment(), capture_output=True, encoding="utf-8", timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert lines_of(tmp_path / "two") == lines_of(finished)
    assert json.loads((tmp_path / "two" / "summary.json").read_text(encoding="utf-8"))["finished"]


@pytest.fixture
def unfinished(finished, tmp_path):
    """The experiment without its last round, which another process is at; and how that ends it."""
    out = tmp_path / "unfinished"
    shutil.copytree(finished, out)
    run = out / "runs" / "random-seed-0"
    whole = (run / "rounds.jsonl").read_text()
    (run / "rounds.jsonl").write_text(whole.splitlines(keepends=True)[0])
    (out / "summary.json").unlink()
    lock = ProcessLock.acquire(run / ".lock")

    def end(*_):
        (run / "rounds.jsonl").write_text(whole)
        lock.release()

    yield out, end
    lock.release()


def test_the_results_wait_for_the_runs_of_other_processes(unfinished, monkeypatch, capsys):
    out, end = unfinished
    monkeypatch.setattr("ActiveSegLoopLib.jobs.simulating.time.sleep", end)
    assert call("simulate", "--out", out, "--device", "cpu") == 0
    printed = capsys.readouterr()
    assert "Waiting for 1 run that other processes do." in printed.err
    assert "AUBC" in printed.out and "Not all runs are finished" not in printed.out
    assert json.loads((out / "summary.json").read_text(encoding="utf-8"))["finished"]


def test_who_waits_for_other_processes_can_be_stopped(unfinished, tmp_path, capsys):
    out, _ = unfinished
    (tmp_path / "stop").touch()
    ask = ("simulate", "--out", out, "--device", "cpu", "--cancel-file", tmp_path / "stop")
    assert call(*ask) == 130
    assert f"simulate --out {out}" in capsys.readouterr().err
    assert not (out / "summary.json").exists()


def test_only_the_first_process_of_torchruns_writes_results(unfinished, monkeypatch, capsys):
    out, end = unfinished
    end()
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, written in (("1", False), ("0", True)):
        monkeypatch.setenv("RANK", rank)
        assert call("simulate", "--out", out, "--device", "cpu") == 0
        assert ("AUBC" in capsys.readouterr().out) == (out / "summary.json").exists() == written


def test_after_a_kill_two_processes_go_on_and_come_to_the_same(finished, data, tmp_path):
    out = tmp_path / "killed"
    process = start(*options(data, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        first = out / "runs" / "start-seed-0" / "rounds.jsonl"
        while not first.exists():
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        process.wait()
        process.stdin.close()
    assert lines_of(out) != lines_of(finished)
    ran = run("simulate", "--out", out, "--device", "cpu", "--jobs", 2)
    assert ran.returncode == 0, ran.stderr
    assert lines_of(out) == lines_of(finished)
    assert "equal_interval, seed 0: Dice" in ran.stderr and "7 of 7 rounds done" in ran.stderr


def test_asked_to_stop_it_says_how_to_go_on(data, tmp_path, capsys):
    (tmp_path / "stop").touch()
    out = tmp_path / "stopped"
    assert call(*options(data, out, "--cancel-file", tmp_path / "stop")) == 130
    assert f"simulate --out {out}" in capsys.readouterr().err


def test_a_papers_recipe_comes_with_what_its_experiment_compared(data, tmp_path, capsys):
    (tmp_path / "stop").touch()
    some = ("--images", data.images, "--labels", data.labels, "--test", 2)
    begun = {"paper": ("--start", 3), "other": ("--start", 2, "--strategy", "random")}
    for name, more in begun.items():
        ask = ("--preset", "rahimi2021", "--out", tmp_path / name, *more)
        stop = ("--cancel-file", tmp_path / "stop")
        assert call("simulate", *some, *ask, *stop, "--device", "cpu") == 130
    paper, other = (Experiment.open(tmp_path / name).settings for name in ("paper", "other"))
    assert (paper.unit, paper.strategies) == ("volume", ("variance.sum", "random"))
    assert (paper.step, paper.passes, paper.initial) == (5, 5, "random")
    assert (other.strategies, other.start, other.step) == (("random",), 2, 5)
    ask = ("--preset", "rahimi2021", "--unit", "slice", "--out", tmp_path / "slices", *stop)
    assert call("simulate", *some, *ask, "--device", "cpu") == 130
    slices = Experiment.open(tmp_path / "slices").settings
    assert (slices.unit, slices.start) == ("slice", 8), "The paper says nothing of slices."
    ask = ("--preset", "rahimi2021", "--out", tmp_path / "none")
    assert call("simulate", *some, *ask, "--device", "cpu") == 1
    assert "and 11 are labeled to begin with" in capsys.readouterr().err, "as in the paper"


def test_zhangs_recipe_also_scores_the_volumes_that_the_labels_are_in(data, tmp_path):
    (tmp_path / "stop").touch()
    for name, preset in (("paper", "zhang2020"), ("other", "fast")):
        ask = ("--preset", preset, "--out", tmp_path / name, "--cancel-file", tmp_path / "stop")
        some = ("--images", data.images, "--labels", data.labels, "--test", 2, "--device", "cpu")
        assert call("simulate", *some, *ask) == 130
    assert Experiment.open(tmp_path / "paper").settings.score_pool
    assert not Experiment.open(tmp_path / "other").settings.score_pool


def test_seeds_do_not_draw_test_cases_where_a_folder_names_them(data, tmp_path, capsys):
    given = ("--images", data.images, "--labels", data.labels, "--test-images", data.images)
    ask = ("simulate", *given, "--test-labels", data.labels, "--resplit", "--out", tmp_path / "out")
    assert call(*ask) == 1
    assert "--resplit draws the test cases from --images" in capsys.readouterr().err


@pytest.mark.parametrize(("more", "said"), [
    (["--strategy", "nonsense"], "nonsense"),
    (["--unit", "volume"], "equal_interval"),
    (["--preset", "nonsense"], "nonsense"),
    (["--test", 6], "leaves none"),
    (["--test-images", "nowhere"], "--test-labels"),
    (["--classes", "3:liver"], "isn't a label"),
    (["--classes", f"{CLASSES},9=kidney"], "the value 9 that --classes calls 'kidney'"),
    (["--strategy", "entropy,attention"], "simulation-attention, zhang2020"),
    (["--strategy", "variance", "--passes", 1], "--passes 2 or more"),
    (["--start", 80], "has 80 slices"),
    (["--tolerance", 1], "--corrected"),
])
def test_what_can_not_be_done_is_one_sentence(data, tmp_path, capsys, more, said):
    assert call(*options(data, tmp_path / "out", *more)) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error
    assert not (tmp_path / "out").exists(), "The corrected command finds a new folder."


@pytest.mark.parametrize(("option", "value"), [
    ("--min-distance", "-3"), ("--min-distance", "nan"), ("--tolerance", "-2"),
])
def test_a_distance_that_there_is_not_is_refused(data, tmp_path, capsys, option, value):
    assert call(*options(data, tmp_path / "out", option, value)) == 2
    assert f"'{value}' isn't a distance in mm" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_image_without_true_labels_is_refused_by_name(data, tmp_path, capsys):
    (tmp_path / "labels").mkdir()
    arguments = options(data, tmp_path / "out", "--labels", tmp_path / "labels")
    assert call(*arguments) == 1
    assert "p0.nii.gz has no label file" in capsys.readouterr().err


def test_virtues_are_an_experiment_of_their_own(data, tmp_path, capsys):
    arguments = ["simulate", "--virtues", "--out", tmp_path / "out", "--images", data.images,
                 "--labels", data.labels, "--test", 2, "--intervals", "1,2", "--diversity", "1",
                 "--completeness", "1", "--seeds", 1, "--iterations", 2, "--device", "cpu"]
    assert call(*arguments, "--strategy", "random") == 1
    assert "--strategy is for an experiment without --virtues" in capsys.readouterr().err
    assert call(*arguments) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert [point["interval"] for point in summary["points"]] == [1, 2]
    assert summary["labels"] == {"3": "label 3", "7": "label 7"}, "Named by their values."


def test_a_folder_with_another_experiment_is_refused(finished, data, capsys):
    assert call(*options(data, finished, "--step", 5)) == 1
    assert "step 4, not 5" in capsys.readouterr().err


def test_without_images_there_must_be_something_to_go_on_with(tmp_path, capsys):
    assert call("simulate", "--out", tmp_path / "nothing") == 1
    assert "no experiment" in capsys.readouterr().err


def cases_of(images, labels, *more):
    """The cases that the command takes from a folder of images."""
    arguments = ["simulate", "--out", "out", "--images", images, "--labels", labels, *more]
    return find_simulated(make_parser().parse_args([str(argument) for argument in arguments]))


def test_separate_test_images_are_tested_on_and_the_pool_is_all_others(data, tmp_path):
    tests = tmp_path / "tests"
    tests.mkdir()
    shutil.copy(data.image(5), tests / "p5.nii.gz")
    found = cases_of(data.images, data.labels, "--test-images", tests, "--test-labels", data.labels)
    assert [case.role for case in found] == ["pool"] * 6 + ["test"]
    assert found[-1].images == (tests / "p5.nii.gz",)


@pytest.mark.parametrize("seed", range(4))
def test_a_patients_images_lie_on_one_side_and_pool_limits_the_others(data, tmp_path, seed):
    for number in range(6):
        for folder, file in (("images", data.image(number)), ("labels", data.label(number))):
            (tmp_path / folder).mkdir(exist_ok=True)
            shutil.copy(file, tmp_path / folder / f"{'ABC'[number // 2]}-{number}.nii.gz")
    found = cases_of(
        tmp_path / "images", tmp_path / "labels", "--group-regex", "^[A-C]", "--test", 1,
        "--pool", 3, "--split-seed", seed,
    )
    roles = {role: {c.group for c in found if c.role == role} for role in ("pool", "test")}
    assert len(roles["test"]) == 1 and not roles["test"] & roles["pool"]
    assert [case.role for case in found] == ["pool"] * 3 + ["test"] * 2
