"""Writes a picture of every section of the panel, 400 pixels wide, to be looked at.

    python -m Testing.panel.screenshots FOLDER

The panel shows a small study in which two cases are labeled and proposals wait. CTK's and Slicer's
own widgets are drawn by their stand-ins.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from Testing.panel.cases import add_case, labels

SECTIONS = ("study", "next", "train", "segment", "compare", "progress")


def make_study(folder: Path):
    """A study with labels, proposals and two rounds."""
    from ActiveSegLoopLib.study.schema import LabelSchema
    from ActiveSegLoopLib.study.study import Study

    study = Study.create(folder / "kidneys", LabelSchema.parse("1=Renal artery,2=Renal vein"))
    for number in range(1, 5):
        add_case(study, folder / "images", f"p{number}", "test" if number == 4 else "pool")
    for number, name in enumerate(("p1", "p2")):
        study.add_revision(study.case(name), labels(number), seconds={"renal_artery": 310.0})
        revisions = [r for case in study.cases() if (r := study.latest(case)) is not None]
        begun = study.start_round("fast", {}, 0, revisions)
        for file in ("segment.safetensors", "model.json"):
            (begun.folder / file).write_bytes(b"{}")
        dice = {"Renal artery": 0.62 + 0.2 * number, "Renal vein": 0.71 + 0.1 * number}
        study.finish_round(begun, {"dice": dice, "training_cases": number + 1}, {})
    study.add_revision(study.case("p1"), labels(1), origin="corrected")
    study.save_proposals([
        {
            "case": case, "unit": "slice", "plane": "axial", "index": index, "score": score,
            "reason": "The model is unsure of the renal vein here.", "strategy": "entropy",
            "round": 2,
        }
        for case, index, score in (("p3", 2, 0.91), ("p3", 4, 0.83), ("p2", 1, 0.4))
    ])
    return study


def fill_panel(panel, study, settle) -> None:
    """Bring every section into a state that shows what it can; settle() lets the work end."""
    panel.ui.studyPathLineEdit.currentPath = str(study.folder)
    panel.ui.openButton.click()
    settle()
    panel.ui.openNextButton.click()
    settle()
    panel.ui.compareCaseComboBox.setCurrentIndex(0)
    panel.ui.compareButton.click()
    settle()
    train = panel.sections["train"]
    train._set_busy(True)
    train._trained_folder = panel.study.folder  # as if the training had begun here
    for step in range(1, 60):
        train.on_event({
            "event": "progress", "stage": "segmenter", "step": step, "total": 200,
            "loss": 1.2 / (1 + step / 20),
        })
        if step % 12 == 0:
            train.on_event(
                {"event": "validation", "stage": "segmenter", "dice": 0.9 - 5 / (step + 6)}
            )
    panel.ui.adviceLabel.text = (
        "Next: more volumes. The last 2 volumes brought 13.0 Dice points, and the fit expects "
        "4.1 more from the next two."
    )
    settle()


def main(folder: str) -> None:
    """Write the pictures."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6 import QtWidgets

    application = QtWidgets.QApplication([])
    from Testing.panel.window import WIDTH, install, open_window, until

    def patch(target, name, value):
        if isinstance(target, dict):
            target[name] = value
        else:
            setattr(target, name, value)

    install(patch)
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        panel = (widget := open_window()).panel
        fill_panel(panel, make_study(Path(scratch)), lambda: until(
            lambda: not panel.background.is_busy, 60
        ))
        panel.ui.studyPathLineEdit.currentPath = "/data/kidneys"  # not this machine's own folder
        for name in SECTIONS:
            shoot(panel, widget, name, WIDTH, application.processEvents).save(
                str(Path(folder) / f"{name}.png")
            )
        widget.exit()
        widget.cleanup()


def shoot(panel, widget, name: str, width: int, process_events):
    """The panel with only this section unfolded."""
    for other in SECTIONS:
        getattr(panel.ui, f"{other}CollapsibleButton").collapsed = other != name
    for _ in range(3):
        process_events()
    top = widget.parent
    top.resize(width, max(200, top.sizeHint.height()))
    for _ in range(3):
        process_events()
    return top.grab()


if __name__ == "__main__":
    main(sys.argv[1])
