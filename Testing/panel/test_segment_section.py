"""The section Segment: what the model says of the open case is what one sees and corrects."""


import numpy as np
import pytest

from ActiveSegLoopLib.scene.segmenting import Segmenting
from Testing.panel.cases import labels
from Testing.panel.test_next_section import paint, wait
from Testing.panel.test_nothing_lost import shown
from Testing.panel.test_study_section import open_in
from Testing.panel.window import until

pytestmark = pytest.mark.usefixtures("slots")
MODELS = labels(2)
"""What the model says of every case."""


class Worker:
    """A worker that has segmented a case as soon as it is asked."""

    def __init__(self, study):
        self._study = study
        self._answers = []

    def segment_case(self, name):
        case, current = self._study.case(name), self._study.current_round()
        path = self._study.save_prediction(current, case, MODELS)
        self._answers.append({"id": 1, "ok": True, "prediction": str(path), "seconds": 0.1})
        return 1

    def poll(self):
        answers, self._answers = self._answers, []
        return answers

    def close(self):
        """It works for nobody."""


@pytest.fixture
def segmenting(panel, study, monkeypatch):
    """The panel with a study in which p2 is labeled and a round is trained."""
    from ActiveSegLoopLib.panel import segment_section

    begun = study.start_round("fast", {}, 0, [study.add_revision(study.case("p2"), labels())])
    study.finish_round(begun, {}, {})
    open_in(panel, study.folder)
    monkeypatch.setattr(segment_section, "ensure_packages", lambda panel: True)
    monkeypatch.setattr(
        panel.logic.loop, "start_segmenting",
        lambda things, device: Segmenting(panel.study, Worker(panel.study), things),
    )
    return panel


@pytest.fixture
def opened(segmenting):
    """The case p1, open without labels at a slice that isn't the one of its opening any more."""
    from ActiveSegLoopLib.scene.jumping import jump_to_slice

    segmenting.sections["next"].open("p1", "axial", 2)
    wait(segmenting)
    labeling = segmenting.sections["next"].labeling
    jump_to_slice(labeling.case.geometry, "axial", 3)
    return labeling


def segment(panel):
    """Press "Segment this volume" and wait until all is shown; returns what the section tells."""
    panel.ui.segmentButton.click()
    until(lambda: not panel.sections["segment"].follower.is_busy and not panel.background.is_busy)
    return panel.ui.segmentMessageLabel.text


def seen(study):
    """The names of the study's segmentations that are shown in the views."""
    from ActiveSegLoopLib.scene.ownership import find

    nodes = find(study=study.folder, kind="vtkMRMLSegmentationNode")
    return [node.GetName() for node in nodes if node.GetDisplayNode().GetVisibility()]


def test_an_open_case_without_labels_is_opened_anew_with_the_models(segmenting, study, opened):
    told = segment(segmenting)
    assert told == "Segmented: 1. p1 is open with the model's labels: correct them."
    np.testing.assert_array_equal(shown(opened), MODELS.array)
    assert seen(study) == ["p1 labels"]
    assert segmenting.ui.sliceDoneButton.text == "Axial slice 3 done, next"
    assert "Begins with the model's labels" in segmenting.ui.currentLabel.text
    segmenting.ui.volumeDoneButton.click()
    wait(segmenting)
    revision = study.latest(study.case("p1"))
    assert (revision.origin, revision.model_round) == ("corrected", 1)
    np.testing.assert_array_equal(study.labelmap(revision).array, MODELS.array)


def test_corrections_of_this_models_labels_stay_when_it_segments_again(segmenting, study, opened):
    told = segment(segmenting)
    drawn = np.where(MODELS.array == 2, 2, 0).astype(np.uint8)
    paint(opened, drawn)
    assert segment(segmenting) == told
    np.testing.assert_array_equal(shown(opened), drawn)
    assert seen(study) == ["p1 labels"]


def test_slices_accepted_before_stay_in_what_is_opened_anew(segmenting, study, opened):
    paint(opened, np.zeros_like(MODELS.array))
    segmenting.ui.sliceDoneButton.click()
    wait(segmenting)
    assert "open with the model's labels" in segment(segmenting)
    assert not shown(opened)[3].any()
    np.testing.assert_array_equal(shown(opened)[4], MODELS.array[4])


def test_what_is_drawn_and_not_accepted_stays_and_the_models_labels_are_hidden(
    segmenting, study, opened
):
    drawn = np.zeros_like(MODELS.array)
    drawn[3, 1:4, 1:4] = 1
    paint(opened, drawn)
    hint = "p1 holds labels that aren't accepted yet, so 'p1 model' is hidden in the views"
    assert hint in segment(segmenting)
    assert seen(study) == ["p1 labels"]
    np.testing.assert_array_equal(shown(opened), drawn)
    opened.keep_draft()
    wait(segmenting)
    assert hint in segment(segmenting), "a draft isn't accepted either"
    np.testing.assert_array_equal(shown(opened), drawn)
    segmenting.ui.sliceDoneButton.click()
    segmenting.sections["next"].open("p1", "axial", 3)
    wait(segmenting)
    segmenting.sections["next"].open("p1", "axial", 3)  # as one is told to
    wait(segmenting)
    np.testing.assert_array_equal(shown(opened)[3], drawn[3])
    np.testing.assert_array_equal(shown(opened)[4], MODELS.array[4])


def test_labels_that_were_accepted_as_a_whole_stay_and_are_what_is_seen(
    segmenting, study
):
    segmenting.sections["next"].open("p2", "axial", 2)
    wait(segmenting)
    labeling = segmenting.sections["next"].labeling
    assert "The labels accepted for p2 stay, so 'p2 model' is hidden" in segment(segmenting)
    np.testing.assert_array_equal(shown(labeling), labels().array)
    assert seen(study) == ["p2 labels"]
    assert "Begins with its newest labels." in segmenting.ui.currentLabel.text
    segmenting.ui.volumeDoneButton.click()
    wait(segmenting)
    revision = study.latest(study.case("p2"))
    assert (revision.number, revision.origin, revision.model_round) == (2, "manual", None)


def test_a_case_on_its_way_is_not_called_back_by_the_one_that_was_segmented(
    segmenting, study, opened
):
    section = segmenting.sections["segment"]
    section.start(["p1"])
    segmenting.sections["next"].open("p2", "axial", 2)
    until(lambda: not section.follower.is_busy and not segmenting.background.is_busy)
    assert opened.case.name == "p2"
    assert seen(study) == ["p2 labels"]
    assert segmenting.ui.segmentMessageLabel.text == "Segmented: 1."


def test_the_model_segments_other_cases_without_a_word_on_the_open_one(segmenting, study, opened):
    section = segmenting.sections["segment"]
    section.start(["p2"])
    until(lambda: not section.follower.is_busy and not segmenting.background.is_busy)
    assert segmenting.ui.segmentMessageLabel.text == "Segmented: 1."
    assert not shown(opened).any()


def test_a_whole_volume_without_any_label_is_kept_only_when_one_means_it(
    segmenting, study, opened, asked
):
    asked.answer = False
    segmenting.ui.volumeDoneButton.click()
    wait(segmenting)
    assert asked.texts[0].startswith("Nothing is labeled in p1.")
    assert study.latest(study.case("p1")) is None and opened.case.name == "p1"
    asked.answer = True
    segmenting.ui.volumeDoneButton.click()
    wait(segmenting)
    revision = study.latest(study.case("p1"))
    assert revision.annotation.slices is None and set(revision.voxels.values()) == {0}


def test_a_whole_volume_in_which_one_label_occurs_is_kept_without_a_question(
    segmenting, study, opened, asked
):
    paint(opened, np.where(labels().array == 2, 2, 0).astype(np.uint8))
    segmenting.ui.volumeDoneButton.click()
    wait(segmenting)
    assert asked.texts == [] and study.latest(study.case("p1")) is not None
