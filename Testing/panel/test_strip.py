"""The strip along the slices, and the uncertainty over the image: those of what is open now."""

from types import SimpleNamespace

import numpy as np
import pytest
import slicer

from ActiveSegLoopLib.images.volume import Volume
from Testing.panel.cases import GRID, labels
from Testing.panel.test_next_section import proposal, wait
from Testing.panel.test_study_section import open_in
from Testing.panel.window import until

pytestmark = pytest.mark.usefixtures("slots")


def train(study, percent=None):
    """Finish a round; percent: what its model is unsure of p1 everywhere."""
    revision = study.latest(study.case("p2")) or study.add_revision(study.case("p2"), labels())
    begun = study.start_round("fast", {}, 0, [revision])
    study.finish_round(begun, {"training_cases": 1}, {})
    if percent is not None:
        measure(study, percent)


def measure(study, percent):
    """Keep a map of p1 of the newest round."""
    map_ = Volume(np.full(GRID.shape, percent, np.uint8), GRID)
    study.save_uncertainty(study.current_round(), study.case("p1"), map_)


def shown(panel):
    """The mean uncertainty of the first slice in the strip; None without a map."""
    curve = panel.sections["next"].strip.chart.curves.get("Uncertainty %")
    return curve[0][1] if curve else None


def overlaid():
    """The largest percent in the layer over the image, None without one."""
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    node = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID() or "")
    return None if node is None else int(slicer.util.arrayFromVolume(node).max())


def open_p1(panel, study):
    """Open p1 of a study."""
    open_in(panel, study.folder)
    panel.open_case("p1")
    wait(panel)


@pytest.fixture
def jobs(panel, monkeypatch):
    """The jobs that the strip has started; each runs until `end` is called."""
    started = []

    def start(*arguments):
        job = SimpleNamespace(
            arguments=arguments, status=None, is_running=True, error=None, poll=list,
        )
        job.end = lambda status=0: vars(job).update(status=status, is_running=False)
        job.close = lambda: job.end(130)
        started.append(job)
        return job

    monkeypatch.setattr(panel.logic.loop, "start", start)
    monkeypatch.setattr("ActiveSegLoopLib.panel.strip.ensure_packages", lambda *_: True)
    return started


def test_a_case_of_the_same_name_in_another_study_shows_its_own_uncertainty(
    panel, study, another
):
    train(study, 77)
    train(another, 11)
    open_p1(panel, study)
    panel.ui.overlayCheckBox.checked = True
    assert (shown(panel), overlaid()) == (77, 77)
    open_p1(panel, another)
    assert (shown(panel), overlaid()) == (11, 11)


def test_a_new_round_takes_the_former_models_uncertainty_away_and_brings_its_own(panel, study):
    train(study, 77)
    open_p1(panel, study)
    panel.ui.overlayCheckBox.checked = True
    train(study)
    panel.ui.overlayCheckBox.checked = False
    assert shown(panel) is None
    measure(study, 22)
    panel.ui.overlayCheckBox.checked = True
    wait(panel)
    assert (shown(panel), overlaid()) == (22, 22)


def test_new_proposals_bring_their_scores_and_their_models_map(panel, study):
    train(study, 77)
    open_p1(panel, study)
    train(study)
    study.save_proposals([proposal("p1", 4, 0.8)])
    found = SimpleNamespace(status=0, error=None)
    panel.sections["next"].proposing._on_end(found)
    curves = panel.sections["next"].strip.chart.curves
    assert list(curves.values()) == [[(4.0, 0.8)]]
    measure(study, 22)
    panel.sections["next"].proposing._on_end(found)
    wait(panel)
    assert shown(panel) == 22


def test_the_uncertainty_is_shown_again_after_the_scene_was_closed(panel, study):
    train(study, 77)
    open_p1(panel, study)
    panel.ui.overlayCheckBox.checked = True
    slicer.mrmlScene.Clear(False)
    wait(panel)
    assert overlaid() is None
    panel.ui.overlayCheckBox.checked = True  # a new scene doesn't remember it
    panel.open_case("p1")
    wait(panel)
    assert overlaid() == 77


def test_a_measured_uncertainty_is_shown_and_the_models_labels_can_be_compared(
    panel, study, jobs
):
    train(study)
    study.add_revision(study.case("p1"), labels())
    open_p1(panel, study)
    panel.ui.overlayCheckBox.checked = True
    measure(study, 33)
    study.save_prediction(study.current_round(), study.case("p1"), labels())
    jobs[0].end()
    until(lambda: overlaid() == 33)
    box = panel.ui.secondComboBox
    assert [box.itemText(i) for i in range(box.count)] == [
        "by hand", "the model's", "on screen now"
    ]


def test_a_measuring_that_brings_no_map_ends_without_another_one(panel, study, jobs):
    train(study)
    open_p1(panel, study)
    panel.ui.overlayCheckBox.checked = True
    jobs[0].end()
    until(lambda: not panel.sections["next"].strip.follower.is_busy)
    wait(panel)
    assert len(jobs) == 1


def test_a_measuring_that_ends_after_its_study_was_closed_says_nothing(
    panel, study, another, jobs
):
    train(study)
    open_p1(panel, study)
    panel.ui.overlayCheckBox.checked = True
    open_in(panel, another.folder)
    jobs[0].error = "The measuring failed."
    jobs[0].end(1)
    until(lambda: not panel.sections["next"].strip.follower.is_busy)
    assert panel.ui.nextMessageLabel.text != "The measuring failed."


def test_measuring_ends_with_its_study(panel, study, another, jobs):
    train(study)
    open_p1(panel, study)
    panel.ui.overlayCheckBox.checked = True
    open_in(panel, another.folder)
    assert jobs[0].status == 130 and not panel.sections["next"].strip.follower.is_busy


def test_with_an_earlier_model_its_uncertainty_is_shown_at_once(panel, study):
    train(study, 77)
    train(study, 22)
    open_p1(panel, study)
    assert shown(panel) == 22
    panel.logic.rollBack(1)
    panel.study_changed()
    wait(panel)
    assert shown(panel) == 77


def test_a_map_that_cannot_be_read_is_measured_anew(panel, study, jobs):
    train(study, 77)
    study.uncertainty(study.current_round(), study.case("p1")).write_bytes(b"broken")
    open_p1(panel, study)
    panel.ui.overlayCheckBox.checked = True
    assert len(jobs) == 1
    measure(study, 44)
    jobs[0].end()
    until(lambda: overlaid() == 44)


def test_another_plane_shows_the_scores_of_its_slices(panel, study):
    train(study, 77)
    open_p1(panel, study)
    strip = panel.sections["next"].strip
    (axial,) = strip.chart.curves.values()
    panel.ui.planeComboBox.setCurrentText("sagittal")
    panel.sections["next"].at_hand.look()
    (sagittal,) = strip.chart.curves.values()
    assert (len(axial), len(sagittal)) == (GRID.shape[0], GRID.shape[2])
