"""Which unaccepted work is offered when there is some of several cases."""

import pytest

from ActiveSegLoopLib.study.drafts import draft_of, save_draft
from Testing.panel.cases import labels
from Testing.panel.test_next_section import paint, wait
from Testing.panel.test_study_section import cells, open_in
from Testing.panel.window import until

pytestmark = pytest.mark.usefixtures("slots")


@pytest.fixture
def drafted(panel, study):
    """The panel with a study that has drafts of p1 and p2; that of p1 is offered."""
    save_draft(study, study.case("p2"), labels())
    save_draft(study, study.case("p1"), labels(1))
    open_in(panel, study.folder)
    assert offered(panel) == "p1"
    return panel


def offered(panel):
    """Of which case a draft is offered, None without one."""
    return panel.ui.draftLabel.text.split()[0] if panel.ui.draftFrame.visible else None


def open_case(panel, name):
    """Open a case and wait for it."""
    panel.open_case(name)
    wait(panel)


def test_the_draft_of_the_case_that_is_opened_is_offered(drafted, study):
    open_case(drafted, "p2")
    assert offered(drafted) == "p2"
    drafted.ui.discardDraftButton.click()
    wait(drafted)
    assert draft_of(study, study.case("p2")) is None
    assert draft_of(study, study.case("p1")) is not None
    assert offered(drafted) is None
    open_case(drafted, "p1")
    assert offered(drafted) == "p1"


def test_a_draft_stays_offered_while_a_case_without_one_is_open(drafted):
    open_case(drafted, "p3")
    assert offered(drafted) == "p1"


def test_an_accepted_draft_is_not_offered_again(drafted):
    open_case(drafted, "p2")
    assert offered(drafted) == "p2"
    drafted.ui.sliceDoneButton.click()
    wait(drafted)
    drafted.open_case("p2")  # goes to the slice again
    assert offered(drafted) is None


def test_a_draft_that_one_goes_on_with_is_not_offered_again(drafted):
    drafted.ui.restoreDraftButton.click()
    wait(drafted)
    assert drafted.sections["next"].labeling.case.name == "p1"
    assert offered(drafted) is None
    open_case(drafted, "p2")
    assert offered(drafted) == "p2"


def exclude_and_include(panel):
    """Take the chosen case out of the study and in again."""
    for _ in range(2):
        panel.ui.excludeButton.click()
        wait(panel)


def test_what_was_answered_stays_answered_when_the_study_is_shown_again(drafted):
    drafted.ui.restoreDraftButton.click()
    wait(drafted)
    drafted.ui.caseTable.setCurrentCell(2, 0)
    exclude_and_include(drafted)
    assert offered(drafted) is None
    drafted.show_study()
    wait(drafted)
    assert offered(drafted) is None


def test_what_was_not_answered_stays_offered_when_the_study_is_shown_again(drafted):
    open_case(drafted, "p3")
    drafted.ui.caseTable.setCurrentCell(2, 0)
    exclude_and_include(drafted)
    assert offered(drafted) == "p1"


def test_accepting_another_case_leaves_the_draft_offered(drafted):
    open_case(drafted, "p3")
    drafted.ui.volumeDoneButton.click()
    wait(drafted)
    assert offered(drafted) == "p1"


def test_a_draft_is_offered_again_once_its_case_is_not_open_any_more(drafted):
    import slicer

    drafted.ui.restoreDraftButton.click()
    wait(drafted)
    slicer.mrmlScene.Clear(False)
    wait(drafted)
    assert offered(drafted) == "p1"


def test_what_the_closed_scene_held_is_offered_and_shows_in_the_table_of_cases(panel, study):
    import slicer

    open_in(panel, study.folder)
    open_case(panel, "p2")
    paint(panel.sections["next"].labeling, labels().array)
    slicer.mrmlScene.Clear(False)
    wait(panel)
    assert offered(panel) == "p2"
    assert [row[:2] for row in cells(panel.ui.caseTable)] == [
        ["p1", ""], ["p2", "in work"], ["p3", ""],
    ]


def test_a_new_window_that_shows_another_case_offers_the_draft(widget, study):
    save_draft(study, study.case("p1"), labels())
    open_in(widget.panel, study.folder)
    open_case(widget.panel, "p2")
    widget.cleanup()
    widget.setup()
    widget.enter()
    until(lambda: widget.panel.sections["next"].labeling.opened is not None)
    wait(widget.panel)
    assert offered(widget.panel) == "p1"


def test_the_drafts_of_another_study_are_not_offered(drafted, another):
    open_in(drafted, another.folder)
    assert offered(drafted) is None
