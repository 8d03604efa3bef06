"""The section Segment: the newest model on a volume of the scene, on several, on cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from ActiveSegLoopLib.panel.icons import set_icons
from ActiveSegLoopLib.panel.packages import ensure_packages
from ActiveSegLoopLib.panel.running import Follower, Remaining, duration
from ActiveSegLoopLib.panel.section import Section, guarded, pressed


class SegmentSection(Section):
    """Segments by the worker that keeps the model loaded; results are editable segmentations."""

    name = "segment"

    def setup(self) -> None:
        """Connect the widgets."""
        set_icons(
            (self.ui.segmentButton, "SP_MediaPlay"), (self.ui.cancelSegmentButton, "SP_MediaStop")
        )
        self.follower = Follower()
        self.remaining = Remaining()
        self._done, self._left = 0, ""
        self._ended, self._about = "", ""
        self.ui.segmentButton.connect("clicked(bool)", self.on_segment)
        self.ui.segmentListButton.connect("clicked(bool)", self.on_segment_list)
        self.ui.segmentCasesButton.connect("clicked(bool)", self.on_segment_cases)
        self.ui.cancelSegmentButton.connect("clicked(bool)", self.on_cancel)
        self.show_study()

    @property
    def labeling(self) -> Any:
        """The case that is being labeled."""
        return self.panel.sections["next"].labeling

    def show_study(self) -> None:
        """There has to be a model."""
        if not self.follower.is_busy:
            self._set_busy(False)

    def close_study(self) -> None:
        """Stop what runs for the former study."""
        if self.follower.is_busy:
            self.follower.close()
            self._set_busy(False)

    def scene_closes(self) -> None:
        """The volumes go: stop."""
        self.close_study()

    def cleanup(self) -> None:
        """The panel ends."""
        self.follower.close()

    @pressed
    def on_segment(self) -> None:
        """Segment the chosen volume; without one, that of the open case."""
        node = self.ui.segmentVolumeSelector.currentNode()
        opened = self.labeling.opened
        if node is None and opened is not None:
            node = opened.volume_node
        if node is None:
            self.tell(_("Choose a volume first."))
            return
        self.start([node])

    @pressed
    def on_segment_list(self) -> None:
        """Segment the checked volumes."""
        nodes = list(self.ui.segmentListSelector.checkedNodes())
        if not nodes:
            self.tell(_("Check at least one volume in the list first."))
            return
        self.start(nodes)

    @pressed
    def on_segment_cases(self) -> None:
        """Let the model label every case that nobody has labeled."""
        study = self.study

        def unlabeled() -> list[str]:
            current = study.current_round()
            return [
                case.name for case in study.cases()
                if not case.excluded and study.latest(case) is None
                and (current is None or study.prediction(current, case) is None)
            ]

        def found(names: list[str]) -> None:
            if not names:
                self.tell(_("Every case has labels, by hand or by this model."))
                return
            try:
                self.start(names)
            except Exception as error:
                self.tell_error(error)

        self.panel.background.start(unlabeled, found, self.tell_error)

    @pressed
    def on_cancel(self) -> None:
        """Stop; what is done stays."""
        self.follower.cancel()

    def start(self, things: Sequence[Any]) -> None:
        """Segment volume nodes, or cases by name, one after the other."""
        if self.follower.is_busy:
            self.tell(_("Something is being segmented already: wait for it, or cancel it."))
            return
        if not ensure_packages(self.panel):
            return
        task = self.logic.loop.start_segmenting(things, self.parameters.device.value)
        self._done, self._left = 0, ""
        self._ended, self._about = "", ""
        self._set_busy(True)
        self.follower.follow(task, self.on_event, self.on_end)

    def on_event(self, event: Any) -> None:
        """Something was segmented, or not."""
        kind = event.get("event")
        if kind == "progress" and event.get("total"):
            step, total = int(event["step"]), int(event["total"])
            self.ui.segmentProgressBar.setRange(0, total)
            self.ui.segmentProgressBar.value = step
            left = self.remaining.seconds("segmenting", step, total)
            self._left = _(" {time} left.").format(time=duration(left)) if left else ""
        elif kind == "begun":
            text = _("Segmenting {name} ({step} of {total})...")
            if event["step"] == 1:
                text = _("Loading the model and segmenting {name} (1 of {total})...")
            self.tell(text.format(**event) + self._left)
        elif kind == "segmented":
            self._done += 1
            self.tell(_("{name} is segmented ({seconds} s).").format(
                name=event.get("name"), seconds=event.get("seconds")
            ))
            if event.get("case") and event.get("node") is not None:
                self._show_with_open(event["case"], event["node"])
        elif kind in ("warning", "error"):
            self.tell(str(event.get("text", "")))

    def on_end(self, task: Any) -> None:
        """All is done."""
        self._set_busy(False)
        text = _("Stopped. Segmented: {count}.") if task.status == 130 else _("Segmented: {count}.")
        text = text.format(count=self._done)
        problems = " ".join(getattr(task, "errors", []))
        self._ended = f"{text} {problems}".strip() if self._done or not problems else problems
        self._tell_end()
        self.panel.study_changed()

    def _tell_end(self) -> None:
        if not self.follower.is_busy:
            self.tell(f"{self._ended} {self._about}".strip())

    def _show_with_open(self, case: str, node: Any) -> None:
        """Keep the model's labels from hiding those that are edited, or let them be edited."""
        study, opened = self.study, self.labeling.case
        if opened is not None:
            node.GetDisplayNode().SetVisibility(False)
        if case in (self.labeling.opening, None if opened is None else opened.name):
            # Behind what is being stored or opened.
            self.panel.background.start(
                lambda: None, lambda _none: self._edit(study, case, node), self.tell_error
            )

    @guarded
    def _edit(self, study: Any, case: str, node: Any) -> None:
        opened = self._opened(study, case)
        if opened is None or self.labeling.opening is not None:
            return
        if not self._holds_unaccepted(opened) and self.logic.loop.has_newer_prediction(opened):
            # Where one looks now, not where it was opened.
            self.labeling.open(case, *self.panel.sections["next"].at_hand.slice())
        self.panel.background.start(
            lambda: None, lambda _none: self._tell_about(study, case, node), self.tell_error
        )

    @guarded
    def _tell_about(self, study: Any, case: str, node: Any) -> None:
        opened = self._opened(study, case)
        if opened is not None:
            self._about = self._about_open(opened, node.GetName())
            self._tell_end()

    def _opened(self, study: Any, case: str) -> Any:
        """The open case if it is still this one."""
        labeling = self.labeling
        is_this = labeling.study is study and labeling.case is not None
        return labeling.opened if is_this and labeling.case.name == case else None

    def _holds_unaccepted(self, opened: Any) -> bool:
        return self.labeling.has_edits or self.logic.loop.holds_unaccepted(opened)

    def _about_open(self, opened: Any, model: str) -> str:
        """One sentence: what of the model's labels is seen and edited now."""
        current, begun = self.study.current_round(), opened.beginning
        if begun.source == "prediction" and begun.predicted == current.number:
            text = _("{case} is open with the model's labels: correct them.")
        elif self._holds_unaccepted(opened):
            text = _(
                "{case} holds labels that aren't accepted yet, so '{model}' is hidden in the "
                "views: accept them by Slice done and open the case again to correct the model's."
            )
        else:
            text = _(
                "The labels accepted for {case} stay, so '{model}' is hidden in the views: see in "
                "Compare how it differs."
            )
        return text.format(case=opened.case.name, model=model)

    def _set_busy(self, busy: bool) -> None:
        has_model = self.study is not None and self.study.current_round() is not None
        self.ui.segmentProgressBar.setRange(0, 0)
        self.ui.segmentProgressBar.visible = busy
        self.ui.cancelSegmentButton.visible = busy
        for button in (
            self.ui.segmentButton, self.ui.segmentListButton, self.ui.segmentCasesButton
        ):
            button.enabled = has_model and not busy
        if not has_model and self.study is not None:
            self.tell(_("Train a model first."))
        elif self.ui.segmentMessageLabel.text == _("Train a model first."):
            self.tell("")
