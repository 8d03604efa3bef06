"""The section Progress: rounds, time spent, rolling back, the report."""

import pytest

from Testing.panel.cases import labels
from Testing.panel.test_next_section import wait
from Testing.panel.test_study_section import cells, open_in
from Testing.panel.window import until

pytestmark = pytest.mark.usefixtures("slots")


def finished_round(study, dice):
    """A round with files in place of a model."""
    revisions = [r for case in study.cases("pool") if (r := study.latest(case)) is not None]
    begun = study.start_round("fast", {}, 0, revisions)
    for name in ("segment.safetensors", "model.json"):
        (begun.folder / name).write_bytes(b"{}")
    metrics = {"dice": dice, "training_cases": len(revisions), "seconds": 1.0, "validation": {}}
    return study.finish_round(begun, metrics, {})


@pytest.fixture
def trained(panel, study):
    """The panel with a study of two rounds."""
    study.add_revision(study.case("p1"), labels(), seconds={"artery": 300.0, "vein": 65.0})
    finished_round(study, {"artery": 0.5, "vein": 0.7})
    study.add_revision(study.case("p2"), labels(1), seconds={"artery": 100.0})
    finished_round(study, {"artery": 0.8, "vein": None})
    open_in(panel, study.folder)
    return panel


def test_rounds_show_with_their_dice_and_the_time_spent(trained):
    rows = cells(trained.ui.roundTable)
    assert [row[:4] for row in rows] == [["1", "trained", "1", "0.6"], ["2", "in use", "2", "0.8"]]
    assert trained.ui.spentLabel.text == "Labels accepted: 2. Time spent labeling: 7 min 45 s."
    assert trained.sections["progress"].chart.curves == {"Dice": [(1.0, 0.6), (2.0, 0.8)]}


def test_an_earlier_round_can_be_used_again(trained, study):
    trained.ui.roundTable.selectRow(1)
    assert not trained.ui.useRoundButton.enabled
    trained.ui.roundTable.selectRow(0)
    assert trained.ui.useRoundButton.enabled
    trained.ui.useRoundButton.click()
    wait(trained)
    assert study.current_round().number == 1
    assert cells(trained.ui.roundTable)[0][1] == "in use"
    assert trained.ui.progressMessageLabel.text.startswith("Round 1 is used now")


def test_what_was_told_of_a_round_goes_with_its_study(trained, another):
    trained.ui.roundTable.selectRow(0)
    trained.ui.useRoundButton.click()
    wait(trained)
    open_in(trained, another.folder)
    assert trained.ui.progressMessageLabel.text == ""


def test_the_report_is_written_and_opened(trained, study, monkeypatch):
    pytest.importorskip("matplotlib")
    import qt

    opened = []
    services = type("Services", (), {"openUrl": staticmethod(opened.append)})
    if hasattr(qt.QDesktopServices, "openUrl"):
        import ActiveSegLoopLib.panel.progress_section as section

        stand_in = type("Qt", (), {"QDesktopServices": services, "QUrl": qt.QUrl})
        monkeypatch.setattr(section, "qt", stand_in)
    trained.ui.reportButton.click()
    assert not trained.ui.reportButton.enabled
    until(lambda: trained.ui.reportButton.enabled, 240)
    assert trained.ui.progressMessageLabel.text.startswith("The report is "), (
        trained.ui.progressMessageLabel.text
    )
    assert len(opened) == 1
    assert (study.folder / "report").is_dir()


def test_a_curve_with_a_scale_of_its_own_leaves_the_others_theirs(trained):
    chart = trained.sections["train"].chart
    curves = {"Loss": [(1, 3.0), (2, 1.0)], "Dice": [(2, 0.5)]}
    chart.show_curves(curves, scales={"Dice": (0.0, 1.0)})
    assert chart._ranges() == ((1, 2), (1.0, 3.0))
    chart.show_curves(curves)
    assert chart._ranges() == ((1, 2), (0.5, 3.0))
    chart.show_curves({"Dice": [(2, 0.5)]}, scales={"Dice": (0.0, 1.0)})
    assert chart._ranges() == ((2, 2), (0.0, 1.0))
