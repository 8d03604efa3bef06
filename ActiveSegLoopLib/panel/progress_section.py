"""The section Progress: what the labels brought so far, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ActiveSegLoopLib.panel.chart import Chart
from ActiveSegLoopLib.panel.icons import set_icons
from ActiveSegLoopLib.panel.packages import REPORT, ensure_packages
from ActiveSegLoopLib.panel.running import Follower, duration
from ActiveSegLoopLib.panel.section import Section, guarded, pressed
from ActiveSegLoopLib.panel.tables import current_key, fill, stretch

if TYPE_CHECKING:
    from ActiveSegLoopLib.study.study import Study

FOLDER = "report"


class ProgressSection(Section):
    """Learning curve, time spent, advice, rounds, report."""

    name = "progress"

    def setup(self) -> None:
        """Connect the widgets."""
        set_icons(
            (self.ui.adviseButton, "SP_MessageBoxQuestion"),
            (self.ui.reportButton, "SP_FileDialogDetailedView"),
            (self.ui.useRoundButton, "SP_ArrowBack"),
        )
        self.advising = Follower()
        self.reporting = Follower()
        layout = qt.QVBoxLayout(self.ui.curveFrame)
        layout.setContentsMargins(0, 0, 0, 0)
        self.chart = Chart(self.ui.curveFrame)
        self.chart.toolTip = _("Dice on the held-out cases after each round.")
        layout.addWidget(self.chart)
        stretch(self.ui.roundTable, 4)
        self.ui.roundTable.connect("itemSelectionChanged()", self.on_round_selected)
        self.ui.useRoundButton.connect("clicked(bool)", self.on_use_round)
        self.ui.adviseButton.connect("clicked(bool)", self.on_advise)
        self.ui.reportButton.connect("clicked(bool)", self.on_report)
        self.show_study()

    def show_study(self) -> None:
        """Ask for the rounds and the time spent."""
        study = self.study
        self.ui.adviseButton.enabled = study is not None
        self.ui.reportButton.enabled = study is not None
        if study is None:
            self._show(Progress(None, [], 0, 0.0, None))
            return
        self.panel.background.start(lambda: progress_of(study), self._show, self.tell_error)

    def close_study(self) -> None:
        """The advice was for the former study."""
        self.advising.close()
        self.reporting.close()
        self._set_advising(False)
        self.ui.adviceLabel.text = ""
        self.ui.adviceNumbersLabel.text = ""

    def cleanup(self) -> None:
        """The panel ends."""
        self.advising.close()
        self.reporting.close()

    @guarded
    def on_round_selected(self) -> None:
        """A round was chosen, or none."""
        number = current_key(self.ui.roundTable)
        current = self.study.current_round() if self.study is not None else None
        usable = number is not None and self.study.round(int(number)).state == "finished"
        self.ui.useRoundButton.enabled = usable and current.number != number

    @pressed
    def on_use_round(self) -> None:
        """Use the chosen round's model from now on."""
        number = int(current_key(self.ui.roundTable))
        self.logic.loop.roll_back(number)
        self.panel.show_study()
        self.tell(_("Round {number} is used now; nothing was deleted.").format(number=number))

    @pressed
    def on_advise(self) -> None:
        """Ask what to label next."""
        self.advise()

    def advise(self) -> None:
        """Ask what to label next, beside the window."""
        if self.study is None or self.advising.is_busy:
            return
        self._set_advising(True)
        self.advising.follow(self.logic.loop.start_advice(), lambda event: None, self._advised)

    @pressed
    def on_report(self) -> None:
        """Write the report and show it in the web browser."""
        if self.reporting.is_busy or not ensure_packages(self.panel, REPORT):
            return
        job = self.logic.loop.start_report(Path(self.study.folder) / FOLDER)
        self.ui.reportButton.enabled = False
        self.tell(_("Writing the report..."))
        self.reporting.follow(job, self._reporting, self._reported)

    def _advised(self, job: Any) -> None:
        self._set_advising(False)
        sentences = list((job.result or {}).get("sentences") or [])
        self.ui.adviceLabel.text = sentences[0] if sentences else job.error or ""
        self.ui.adviceNumbersLabel.text = "\n".join(sentences[1:])

    def _reporting(self, event: Any) -> None:
        if event.get("event") == "progress" and event.get("total"):
            self.tell(_("Writing the report: {step} of {total}.").format(
                step=event["step"], total=event["total"]
            ))

    def _reported(self, job: Any) -> None:
        self.ui.reportButton.enabled = self.study is not None
        page = (job.result or {}).get("page")
        if page is None:
            self.tell(job.error or "")
            return
        self.tell(_("The report is {page}.").format(page=page))
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page)))

    def _set_advising(self, busy: bool) -> None:
        self.ui.adviseButton.enabled = not busy and self.study is not None
        self.ui.adviseButton.text = _("Thinking...") if busy else _("What next?")

    def _show(self, found: Progress) -> None:
        if found.folder != (None if self.study is None else self.study.folder):
            return  # another study was opened meanwhile
        rows = []
        for entry in found.rounds:
            state = _("in use") if entry.number == found.current else {
                "finished": _("trained"), "running": _("running"),
                "interrupted": _("stopped"), "failed": _("failed"),
            }[entry.state]
            dice = round(entry.dice, 3) if math.isfinite(entry.dice) else "-"
            rows.append((entry.number, (entry.number, state, entry.cases, dice, entry.ended)))
        fill(self.ui.roundTable, rows)
        self.ui.spentLabel.text = _(
            "Labels accepted: {count}. Time spent labeling: {time}."
        ).format(count=found.labels, time=duration(found.seconds))
        points = [
            (float(entry.cases), entry.dice) for entry in found.rounds
            if entry.state == "finished" and math.isfinite(entry.dice)
        ]
        self.ui.curveFrame.visible = bool(points)
        axis = _("cases trained on")
        self.chart.show_curves({_("Dice"): sorted(points)}, axis, y_range=(0.0, 1.0))
        self.on_round_selected()


@dataclass(frozen=True)
class RoundState:
    """A round as the table shows it; dice: the mean over the labels, NaN when unknown."""

    number: int
    state: str
    cases: int
    dice: float
    ended: str


@dataclass(frozen=True)
class Progress:
    """A study's rounds, how many labels were accepted in how much time, the round in use."""

    folder: Path | None
    rounds: list[RoundState]
    labels: int
    seconds: float
    current: int | None


def progress_of(study: Study) -> Progress:
    """Look through the study; for a thread."""
    revisions = [r for case in study.cases() for r in study.revisions(case)]
    current = study.current_round()
    states = [
        RoundState(
            entry.number, study.round_store.state_of(entry), len(entry.revisions),
            mean_dice(entry.metrics), (entry.ended or "")[:16].replace("T", " "),
        )
        for entry in study.rounds()
    ]
    return Progress(
        study.folder, states, len(revisions), math.fsum(r.total_seconds for r in revisions),
        None if current is None else current.number,
    )


def mean_dice(metrics: Mapping[str, Any] | None) -> float:
    """The mean over the labels of the Dice on a round's held-out cases; NaN when unknown."""
    dice = (metrics or {}).get("dice") or {}
    known = [value for value in dice.values() if value is not None]
    known = [float(value) for value in known if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan
