"""The whole loop in the window: train, segment, compare, progress, with real processes."""

import pytest
import slicer

from Testing.panel.cases import labels
from Testing.panel.test_study_section import cells, open_in
from Testing.panel.window import until

pytestmark = pytest.mark.usefixtures("slots")
PATIENCE = 240.0  # seconds for a process on a machine that has much else to do


def idle(panel):
    """Whether nothing runs for the panel."""
    sections = panel.sections
    return not (
        panel.background.is_busy
        or sections["train"].follower.is_busy
        or sections["next"].proposing.follower.is_busy
        or sections["segment"].follower.is_busy
        or sections["progress"].advising.is_busy
        or sections["progress"].reporting.is_busy
    )


@pytest.fixture
def labeled(panel, study):
    """The panel with a study in which two cases are labeled, ready to train shortly."""
    pytest.importorskip("torch")
    for number, name in enumerate(("p1", "p2")):
        study.add_revision(study.case(name), labels(number), seconds={"artery": 60.0})
    open_in(panel, study.folder)
    panel.ui.iterationsSpinBox.value = 2
    panel.ui.presetComboBox.currentIndex = 1
    panel.ui.deviceComboBox.currentIndex = 2
    return panel


def test_train_segment_compare_and_look_at_the_progress(labeled, study):
    panel = labeled
    panel.show_section("train")
    assert not panel.ui.segmentButton.enabled
    panel.ui.trainButton.click()
    assert panel.ui.cancelTrainButton.visible
    assert not panel.ui.trainButton.enabled
    until(lambda: idle(panel), PATIENCE)
    assert panel.ui.trainMessageLabel.text.startswith("Round 1 is trained.")
    assert panel.sections["train"].curve.curves()["Loss"]
    assert panel.ui.trainCollapsibleButton.text == "Train"
    assert "The current model is round 1." in panel.ui.studyLabel.text

    # When it ended, proposals were found and advice was asked for.
    assert panel.ui.adviceLabel.text.startswith("Next: ")
    assert cells(panel.ui.roundTable)[0][:3] == ["1", "in use", "2"]
    assert panel.ui.spentLabel.text == "Labels accepted: 2. Time spent labeling: 2 min 0 s."

    panel.open_case("p3")
    until(lambda: idle(panel), PATIENCE)
    node = panel.sections["next"].labeling.opened.volume_node
    panel.ui.segmentVolumeSelector.setCurrentNode(node)
    panel.ui.segmentButton.click()
    until(lambda: panel.ui.segmentMessageLabel.text.startswith("Loading the model and segmenting"))
    until(lambda: idle(panel), PATIENCE)
    assert panel.ui.segmentMessageLabel.text == (
        "Segmented: 1. p3 is open with the model's labels: correct them."
    )
    made = slicer.mrmlScene.GetFirstNodeByName("p3 model")
    assert made.GetSegmentation().GetSegment("artery") is not None
    assert made.GetNodeReference(made.GetReferenceImageGeometryReferenceRole()) is node
    assert study.prediction(study.current_round(), study.case("p3")) is not None



def test_a_training_that_is_canceled_can_go_on(labeled, study):
    panel = labeled
    panel.ui.iterationsSpinBox.value = 5000
    panel.ui.trainButton.click()
    until(lambda: panel.sections["train"].curve.curves()["Loss"], PATIENCE)
    assert panel.ui.trainCollapsibleButton.text.startswith("Train (")
    panel.ui.cancelTrainButton.click()
    until(lambda: idle(panel), PATIENCE)
    assert panel.ui.trainMessageLabel.text == "Training was stopped; it can go on from there."
    assert panel.ui.trainButton.text == "Go on with training (round 1)"


def test_a_training_that_fails_is_told_in_one_sentence(panel, study, monkeypatch):
    pytest.importorskip("torch")
    open_in(panel, study.folder)
    loop = panel.logic.loop
    monkeypatch.setattr(loop, "start_training", lambda *_: loop.start("propose", "-n", "0"))
    panel.ui.trainButton.click()
    until(lambda: idle(panel), PATIENCE)
    assert "'0' isn't a whole number from 1 on" in panel.ui.trainMessageLabel.text
    assert "\n" not in panel.ui.trainMessageLabel.text
    assert panel.ui.trainButton.enabled
