"""Which proposal is opened next, and finding proposals while studies come and go."""

from types import SimpleNamespace

import pytest

from Testing.panel.test_next_section import open_next, proposal
from Testing.panel.test_study_section import open_in
from Testing.panel.window import until

pytestmark = pytest.mark.usefixtures("slots")


def test_after_new_proposals_the_best_of_them_is_opened_next(panel, study):
    study.save_proposals([proposal("p1", 1, 0.9), proposal("p1", 3, 0.8), proposal("p2", 3, 0.7)])
    open_in(panel, study.folder)
    section = panel.sections["next"]
    for index in (1, 3):
        open_next(panel)
        assert section.proposal.index == index
    study.save_proposals([proposal("p2", 1, 0.9), proposal("p2", 4, 0.8), proposal("p1", 5, 0.7)])
    section.proposing.show_study()
    for place in (("p2", 1), ("p2", 4), ("p1", 5), ("p2", 1)):
        open_next(panel)
        assert (section.proposal.case, section.proposal.index) == place


@pytest.fixture
def job(panel, study, monkeypatch):
    """Proposals of the study are being found, until `end` is called."""
    made = SimpleNamespace(status=None, is_running=True, error=None, poll=list, is_asked=False)
    made.cancel = lambda: vars(made).update(is_asked=True)
    made.end = lambda status: vars(made).update(status=status, is_running=False)
    made.close = lambda: made.end(130)
    monkeypatch.setattr(panel.logic.loop, "start_proposing", lambda *_: made)
    monkeypatch.setattr("ActiveSegLoopLib.panel.proposing.ensure_packages", lambda *_: True)
    open_in(panel, study.folder)
    panel.ui.proposeButton.click()
    return made


def test_canceling_is_said_at_once_and_at_the_end(panel, job):
    panel.ui.proposeButton.click()
    assert job.is_asked and panel.ui.nextMessageLabel.text == "Canceling..."
    assert not panel.ui.proposeButton.enabled
    panel.sections["next"].proposing.show_study()
    assert not panel.ui.proposeButton.enabled, "it is being canceled still"
    job.poll = lambda: [{"event": "message", "text": "Scoring p1."}]
    job.end(130)
    until(lambda: not panel.sections["next"].proposing.follower.is_busy)
    assert panel.ui.nextMessageLabel.text == "Finding what to label next was canceled."
    assert panel.ui.proposeButton.enabled
    assert panel.ui.proposeButton.text == "Find what to label next"


def test_finding_proposals_ends_with_its_study(panel, another, job):
    assert panel.ui.proposeButton.text == "Cancel"
    open_in(panel, another.folder)
    assert job.status == 130 and not panel.sections["next"].proposing.follower.is_busy
    assert panel.ui.proposeButton.text == "Find what to label next"
    assert not panel.ui.proposeProgressBar.visible
    assert panel.ui.nextMessageLabel.text == ""
