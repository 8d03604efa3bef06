"""Interrupted rounds: what goes on, what waits, what is given up, and that it is said."""

import subprocess
import sys
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest

from ActiveSegLoopLib.errors import ModelError, StudyError
from ActiveSegLoopLib.model import trainer
from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.study import Label
from Testing.model.samples import make_study, tiny
from Testing.repository import ROOT


@pytest.fixture(autouse=True)
def recipes(monkeypatch):
    """The preset "whole", and "warm", which goes on from the current model."""
    recipe = tiny(locator=False)
    monkeypatch.setitem(PRESETS, "whole", lambda gpu: recipe)
    monkeypatch.setitem(PRESETS, "warm", lambda gpu: replace(recipe, warm_start=True))


@pytest.fixture
def study(tmp_path):
    """A study with one labeled case."""
    return make_study(tmp_path, ["pool"])


def train(study, preset="whole", **options) -> tuple:
    """The round that a training made, and what was said."""
    texts = []

    def report(kind, **data):
        if kind == "message":
            texts.append(data["text"])

    return train_round(study, preset, device="cpu", report=report, **options), " ".join(texts)


def stop(study, preset="whole", **options) -> int:
    """The number of a round that was stopped after it had made its plan."""
    asked = []

    def should_stop():
        asked.append(1)
        return len(asked) > 4

    with pytest.raises(Stopped):
        train(study, preset, should_stop=should_stop, **options)
    return [r.number for r in study.rounds() if has_checkpoint(r)][-1]


def has_checkpoint(round) -> bool:
    return (round.folder / "training").exists()


def test_the_seconds_of_a_round_are_those_of_all_its_runs(study, monkeypatch):
    with monkeypatch.context() as slow:
        ticks = count(step=1000.0)
        slow.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
        stop(study)
    assert train(study)[0].metrics["seconds"] > 1000
    assert train(study)[0].metrics["seconds"] < 1000, "Another round begins anew."


def test_a_quick_training_with_other_settings_leaves_it_and_its_checkpoint(study):
    assert stop(study) == 1
    kept = sorted(file.name for file in (study.round(1).folder / "training").iterdir())
    quick, said = train(study, iterations=1)
    assert said.endswith("Round 1 stays interrupted; train with its settings to go on.")
    assert (quick.number, study.round(1).state) == (2, "interrupted")
    assert kept == sorted(file.name for file in (study.round(1).folder / "training").iterdir())
    taken_up, said = train(study)
    assert "Going on with round 1." in said
    assert (taken_up.number, taken_up.state) == (1, "finished")
    assert study.current_round().number == 1 and not has_checkpoint(taken_up)


def test_the_newest_one_that_fits_goes_on_and_the_others_wait(study):
    stop(study, seed=1)
    stop(study, seed=2)
    stop(study, iterations=5)
    taken_up, said = train(study, seed=2)
    assert taken_up.number == 2
    assert "Rounds 1, 3 stay interrupted; train with the settings of one to go on." in said
    assert [has_checkpoint(r) for r in study.rounds()] == [True, False, True]


def test_one_that_began_from_the_model_before_goes_on_after_a_later_training(study):
    train(study)
    stop(study, "warm")
    train(study, iterations=1)
    taken_up, _ = train(study, "warm")
    assert taken_up.number == 2 and taken_up.settings["warm_start_from"] == 1


def test_after_a_rollback_one_that_began_from_what_was_given_up_makes_room(study):
    train(study)
    train(study, seed=1)
    stop(study, "warm")
    study.roll_back(1)
    begun, said = train(study, "warm")
    assert begun.number == 4 and begun.settings["warm_start_from"] == 1
    assert "round 3 is given up for round 4 with the same settings" in said
    assert study.round(3).state == "failed" and not has_checkpoint(study.round(3))


def test_one_that_was_begun_without_a_label_can_never_go_on_and_is_given_up(study):
    stop(study)
    study.add_label(Label("kidney", 9, "kidney", (1.0, 0.0, 0.0)))
    begun, said = train(study, iterations=1)
    assert begun.number == 2 and "given up because the study has other labels now" in said
    assert study.round(1).state == "failed" and not has_checkpoint(study.round(1))


def damage(round) -> bytes:
    """Change the weights of a round; returns what they were."""
    file = round.folder / "segment.safetensors"
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    return before


def test_none_is_left_running_where_the_model_to_start_from_is_damaged(study):
    first, _ = train(study)
    damage(first)
    for _ in range(3):
        with pytest.raises(ModelError, match="round-001.segment.safetensors was changed"):
            train(study, "warm")
    assert [r.state for r in study.rounds()] == ["finished", "failed", "failed", "failed"]
    assert "segment.safetensors" in study.round(2).reason


def test_what_was_trained_is_kept_until_the_model_it_began_from_is_restored(study):
    first, _ = train(study)
    number = stop(study, "warm")
    before = damage(first)
    with pytest.raises(ModelError, match="segment.safetensors was changed"):
        train(study, "warm")
    kept = study.round(number)
    assert kept.state == "interrupted" and has_checkpoint(kept)
    (first.folder / "segment.safetensors").write_bytes(before)
    assert train(study, "warm")[0].number == number


LIVING = """
import sys
from ActiveSegLoopLib.study import Study
study = Study.open(sys.argv[1])
study.resume_round(study.round(1))
print("training", flush=True)
sys.stdin.read(1)
"""


def test_while_another_process_trains_with_the_same_settings_nothing_is_begun(study):
    stop(study)
    command = [sys.executable, "-c", LIVING, str(study.folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        assert process.stdout.readline() == "training\n"
        with pytest.raises(StudyError, match="training round 1 with the same settings"):
            train(study)
        assert [r.number for r in study.rounds()] == [1] and has_checkpoint(study.round(1))
        other, said = train(study, iterations=1)
        assert other.number == 2 and "interrupted" not in said
        process.kill()
    assert train(study)[0].number == 1
