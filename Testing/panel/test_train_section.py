"""The section Train when another study is opened while a model trains."""

from types import SimpleNamespace

import pytest

from Testing.panel.cases import labels
from Testing.panel.test_study_section import open_in
from Testing.panel.window import until

pytestmark = pytest.mark.usefixtures("slots")


@pytest.fixture
def job(panel, study, monkeypatch):
    """A training of the study that runs until `end` is called."""
    made = SimpleNamespace(status=None, is_running=True, error=None, poll=list, is_asked=False)
    made.cancel = lambda: vars(made).update(is_asked=True)
    made.close = lambda: made.end(130)
    made.end = lambda status: vars(made).update(status=status, is_running=False)
    monkeypatch.setattr(panel.logic.loop, "start_training", lambda *_: made)
    monkeypatch.setattr("ActiveSegLoopLib.panel.train_section.ensure_packages", lambda *_: True)
    open_in(panel, study.folder)
    panel.ui.trainButton.click()
    return made


@pytest.fixture
def said(panel, monkeypatch):
    """What the status line of the window has shown."""
    import slicer

    texts = []
    monkeypatch.setattr(slicer.util, "showStatusMessage", lambda text, *_: texts.append(text))
    return texts


def told_at_the_end(panel):
    """What the section tells when the training has ended."""
    until(lambda: not panel.sections["train"].follower.is_busy)
    return panel.ui.trainMessageLabel.text


def test_opening_another_study_says_that_the_training_is_stopped(panel, another, job, said):
    open_in(panel, another.folder)
    assert job.is_asked
    assert panel.ui.trainMessageLabel.text == "The training of kidneys is being stopped."
    assert not panel.ui.cancelTrainButton.enabled
    job.end(130)
    assert told_at_the_end(panel) == (
        "The training of kidneys was stopped; it goes on when that study is opened and trained "
        "again."
    )
    assert said == ["The training of kidneys is being stopped.", told_at_the_end(panel)]
    assert panel.ui.trainButton.enabled


def test_a_training_that_ended_while_its_study_was_being_closed_is_finished(
    panel, another, job
):
    open_in(panel, another.folder)
    job.end(0)
    assert told_at_the_end(panel).startswith("The training of kidneys was finished:")


def test_a_failed_training_of_another_study_says_why(panel, another, job):
    open_in(panel, another.folder)
    job.error = "The disk is full."
    job.end(1)
    assert told_at_the_end(panel) == "The training of kidneys failed: The disk is full."


def test_a_study_that_is_opened_again_knows_its_training(panel, study, another, job):
    open_in(panel, another.folder)
    open_in(panel, study.folder)
    job.end(130)
    assert told_at_the_end(panel) == "Training was stopped; it can go on from there."


def test_opening_another_study_says_nothing_when_nothing_trains(panel, study, another, said):
    open_in(panel, study.folder)
    open_in(panel, another.folder)
    assert said == [] and panel.ui.trainMessageLabel.text == ""


def interrupt(study, preset="fast", iterations=None):
    """A training of the window, with these choices, that was stopped."""
    settings = {
        "recipe": {
            "warm_start": False, "hold_out": True, "later_epochs": 0, "segmenter": {"epochs": 0}
        },
        "processes": 1, "device": "cpu", "labels": study.schema.ids, "warm_start_from": None,
        "asked": {"device": "auto", "iterations": iterations, "hold_out": None},
    }
    revision = study.latest(study.case("p1")) or study.add_revision(study.case("p1"), labels())
    study.interrupt_round(study.start_round(preset, settings, 0, [revision]))


def test_what_was_told_and_drawn_of_a_training_goes_with_its_study(panel, another, job):
    point = {"event": "progress", "stage": "segment", "step": 1, "total": 9, "loss": 0.5}
    job.poll = lambda: [point]
    until(lambda: panel.ui.trainChartFrame.visible)
    job.end(130)
    assert told_at_the_end(panel) == "Training was stopped; it can go on from there."
    open_in(panel, another.folder)
    assert panel.ui.trainMessageLabel.text == ""
    assert not panel.ui.trainChartFrame.visible


def test_the_dice_at_the_end_is_that_of_the_round_not_of_the_last_look_in_between(
    panel, job, monkeypatch
):
    monkeypatch.setattr(panel, "trained", lambda: None)
    job.poll = lambda: [{"event": "validation", "stage": "segment", "step": 9, "dice": 0.017}]
    job.result = {"round": 4, "metrics": {"dice": {"artery": 0.5, "vein": 0.7, "cyst": None}}}
    job.end(0)
    assert told_at_the_end(panel) == (
        "Round 4 is trained. Dice on the held-out cases: 0.600."
    )


def test_the_end_of_a_training_without_held_out_cases_tells_no_dice(
    panel, job, monkeypatch
):
    monkeypatch.setattr(panel, "trained", lambda: None)
    job.result = {"round": 4, "metrics": {"dice": {"artery": None, "vein": None}}}
    job.end(0)
    assert told_at_the_end(panel) == "Round 4 is trained."


def test_a_training_that_is_being_stopped_draws_nothing_in_another_study(panel, another, job):
    open_in(panel, another.folder)
    job.poll = lambda: [
        {"event": "progress", "stage": "segment", "step": 1, "total": 9, "loss": 0.5},
        {"event": "message", "text": "Still busy."},
    ]
    job.end(130)
    assert "kidneys was stopped" in told_at_the_end(panel)
    assert not panel.ui.trainChartFrame.visible


def test_a_training_that_waits_is_gone_on_with_by_its_own_recipe_only(panel, study):
    interrupt(study)
    open_in(panel, study.folder)
    assert panel.ui.trainButton.text == "Train"
    panel.ui.presetComboBox.setCurrentText("Fast, a first impression")
    assert panel.ui.trainButton.text == "Go on with training (round 1)"


def test_a_training_that_waits_is_gone_on_with_by_its_own_steps_only(panel, study):
    interrupt(study, "default", iterations=30)
    open_in(panel, study.folder)
    assert panel.ui.trainButton.text == "Train", "as many steps as the recipe says"
    panel.ui.iterationsSpinBox.value = 30
    assert panel.ui.trainButton.text == "Go on with training (round 1)"
    panel.ui.iterationsSpinBox.value = 10
    assert panel.ui.trainButton.text == "Train"


def test_a_training_that_waits_is_gone_on_with_on_its_own_device_only(panel, study):
    interrupt(study, "default")
    open_in(panel, study.folder)
    assert panel.ui.trainButton.text == "Go on with training (round 1)"
    panel.ui.deviceComboBox.setCurrentText("Graphics card (CUDA)")
    assert panel.ui.trainButton.text == "Train"


def test_after_the_scene_was_closed_the_button_still_follows_the_recipe(panel, study):
    import slicer

    interrupt(study)
    open_in(panel, study.folder)
    slicer.mrmlScene.Clear(False)
    until(lambda: not panel.background.is_busy)
    texts = []
    for recipe in ("Fast, a first impression", "Best", "Fast, a first impression"):
        panel.ui.presetComboBox.setCurrentText(recipe)
        texts.append(panel.ui.trainButton.text)
    assert texts == ["Go on with training (round 1)", "Train", "Go on with training (round 1)"]
