"""The table of proposals, and the job that finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from ActiveSegLoopLib.panel.icons import set_icons
from ActiveSegLoopLib.panel.packages import ensure_packages
from ActiveSegLoopLib.panel.parameters import Plane
from ActiveSegLoopLib.panel.running import Follower
from ActiveSegLoopLib.panel.section import Section, guarded, pressed
from ActiveSegLoopLib.panel.tables import current_key, fill, key_of, select, stretch


class Proposing(Section):
    """What is worth labeling next; `open` holds the proposals that nobody has dealt with yet."""

    name = "next"

    def __init__(self, section: Section) -> None:
        super().__init__(section.panel)
        self.section = section
        self.open: list[Any] = []
        self.follower = Follower()
        self._is_canceling = False
        self.setup()

    def setup(self) -> None:
        """Connect the widgets."""
        set_icons((self.ui.proposeButton, "SP_FileDialogContentsView"))
        stretch(self.ui.proposalTable, 2)
        self.ui.proposeButton.connect("clicked(bool)", self.on_propose)
        self.ui.proposalTable.connect("cellDoubleClicked(int,int)", self.on_double_clicked)
        self.show_study()

    def show_study(self) -> None:
        """Show the proposals of the study."""
        self.open = [] if self.study is None else self.logic.loop.proposals()
        self._show()

    def close_study(self) -> None:
        """End the finding for the former study."""
        self.follower.close()
        self._set_busy(False)

    def selected(self) -> Any:
        """The proposal of the chosen row, None without one."""
        return self._of(current_key(self.ui.proposalTable))

    def select(self, proposal: Any) -> None:
        """Choose a proposal's row."""
        select(self.ui.proposalTable, proposal.id)

    def find_open(self, case: str, slices: Mapping[str, Sequence[int]]) -> Any:
        """The open proposal of a slice that was labeled without opening it; None without one."""
        return next(
            (p for p in self.open if p.case == case and p.index in slices.get(p.plane, ())), None
        )

    def next_after(self, proposal: Any) -> Any:
        """The open proposal behind this one in its batch, else the first one; None without any."""
        left = [p for p in self.open if proposal is None or p.id != proposal.id]
        behind = [
            p for p in left
            if proposal is not None and p.batch == proposal.batch and p.position > proposal.position
        ]
        return (behind or left or [None])[0]

    def leave_out(self, proposal: Any, whole_case: bool = False) -> None:
        """A proposal was dealt with; whole_case: so were all others of its case."""
        self.open = [
            p for p in self.open
            if p.id != proposal.id and not (whole_case and p.case == proposal.case)
        ]
        self._show()

    def place_text(self, proposal: Any) -> str:
        """What is proposed, as "p01, axial slice 12"."""
        return f"{proposal.case}, {self._where(proposal)}"

    def find(self) -> None:
        """Start finding proposals."""
        if self.study is None:
            self.tell(_("Open a study first."))
            return
        if self.follower.is_busy or not ensure_packages(self.panel):
            return
        parameters = self.parameters
        job = self.logic.loop.start_proposing(
            parameters.unit.value, parameters.proposal_count, None, parameters.plane.value,
            parameters.device.value,
        )
        self._set_busy(True)
        self.follower.follow(job, self._on_event, self._on_end)

    @pressed
    def on_propose(self) -> None:
        """Find proposals, or stop finding them."""
        if self.follower.is_busy:
            self.follower.cancel()
            self._is_canceling = True
            self.ui.proposeButton.enabled = False
            self.tell(_("Canceling..."))
            return
        self.find()

    @guarded
    def on_double_clicked(self, row: int, column: int) -> None:
        """Open the proposal of this row."""
        proposal = self._of(key_of(self.ui.proposalTable, row))
        if proposal is not None:
            self.section.open_proposal(proposal)

    def _on_event(self, event: Any) -> None:
        bar = self.ui.proposeProgressBar
        if event.get("event") == "progress" and event.get("total"):
            bar.setRange(0, int(event["total"]))
            bar.value = int(event["step"])
        elif event.get("event") in ("warning", "message") and not self._is_canceling:
            self.tell(str(event.get("text", "")))

    def _on_end(self, job: Any) -> None:
        self._set_busy(False)
        if job.status == 0:
            self.tell(_("Proposals found: open the first one."))
        elif job.status == 130:
            self.tell(_("Finding what to label next was canceled."))
        elif job.error:
            self.tell(job.error)
        self.show_study()
        self.section.strip.study_changed()

    def _set_busy(self, busy: bool) -> None:
        self._is_canceling = False
        bar = self.ui.proposeProgressBar
        bar.setRange(0, 0)
        bar.visible = busy
        self.ui.proposeButton.text = _("Cancel") if busy else _("Find what to label next")

    def _show(self) -> None:
        rows = [
            (p.id, (p.case, self._where(p), p.reason, float(f"{p.score:.3g}"))) for p in self.open
        ]
        fill(self.ui.proposalTable, rows)
        self.ui.openNextButton.enabled = bool(rows)
        self.ui.proposeButton.enabled = self.study is not None and not self._is_canceling

    def _where(self, proposal: Any) -> str:
        if proposal.unit == "volume":
            return _("whole volume")
        return f"{Plane(proposal.plane).label()} {proposal.index}"

    def _of(self, key: Any) -> Any:
        return next((p for p in self.open if p.id == key), None)
