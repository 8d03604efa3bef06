"""The section Next to label: proposals, and the case that is being labeled."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ActiveSegLoopLib.panel.asking import may_keep_whole
from ActiveSegLoopLib.panel.at_hand import AtHand
from ActiveSegLoopLib.panel.drafts import Drafts
from ActiveSegLoopLib.panel.editor import Editor
from ActiveSegLoopLib.panel.icons import set_icons
from ActiveSegLoopLib.panel.labeling import Labeling
from ActiveSegLoopLib.panel.parameters import Plane
from ActiveSegLoopLib.panel.proposing import Proposing
from ActiveSegLoopLib.panel.section import Section, pressed
from ActiveSegLoopLib.panel.strip import Strip

SLICE_DONE_KEY = "Ctrl+Return"
OPEN_NEXT_KEY = "Ctrl+Shift+Return"


class NextSection(Section):
    """Opens what was proposed, and keeps what was labeled."""

    name = "next"

    def setup(self) -> None:
        """Fill and connect the widgets."""
        set_icons(
            (self.ui.openNextButton, "SP_ArrowForward"),
            (self.ui.sliceDoneButton, "SP_DialogApplyButton"),
            (self.ui.volumeDoneButton, "SP_DialogApplyButton"),
            (self.ui.skipButton, "SP_MediaSkipForward"),
            (self.ui.flagButton, "SP_MessageBoxWarning"),
        )
        self.editor = Editor(self.ui.segmentEditorWidget)
        self.labeling = Labeling(self.panel, self.editor, self.tell_error, self.show_case)
        self.proposing = Proposing(self)
        self.drafts = Drafts(self)
        self.strip = Strip(self)
        self.at_hand = AtHand(self)
        self.proposal: Any = None
        self.ui.openNextButton.connect("clicked(bool)", self.on_open_next)
        self.ui.sliceDoneButton.connect("clicked(bool)", self.on_slice_done)
        self.ui.volumeDoneButton.connect("clicked(bool)", self.on_volume_done)
        self.ui.skipButton.connect("clicked(bool)", self.on_skip)
        self.ui.flagButton.connect("clicked(bool)", self.on_flag)
        self._shortcuts: list[tuple[Any, Any]] = []
        self._told: Any = None  # what the other sections know to be open
        self.show_case()

    def enter(self) -> None:
        """The keys for this section work while the module is shown."""
        self.editor.enter()
        window = slicer.util.mainWindow()
        if not self._shortcuts and window is not None:
            for key, slot in (
                (SLICE_DONE_KEY, self.on_slice_done), (OPEN_NEXT_KEY, self.on_open_next)
            ):
                shortcut = qt.QShortcut(qt.QKeySequence(key), window)
                shortcut.autoRepeat = False  # a key held down would accept slices nobody saw
                shortcut.connect("activated()", slot)
                self._shortcuts.append((shortcut, slot))
        # The other module may have shown an image of its own.
        self.at_hand.return_to_case()
        if self.labeling.opened is not None:
            self.at_hand.start()

    def exit(self) -> None:
        """The keys belong to the next module; unaccepted work is kept."""
        self.editor.exit()
        self._drop_shortcuts()
        self.at_hand.stop()
        self.labeling.keep_draft()

    def cleanup(self) -> None:
        """The panel ends."""
        self.at_hand.stop()
        self._drop_shortcuts()
        self.proposing.follower.close()
        self.strip.follower.close()
        self.labeling.cleanup()
        self.editor.cleanup()

    def show_study(self) -> None:
        """Show the study's proposals and drafts."""
        self.proposing.show_study()
        self.drafts.show_study()
        self.show_case()

    def close_study(self) -> None:
        """Keep what is open as a draft and let go of it."""
        self.labeling.close()
        self.proposing.close_study()
        self.strip.close_study()
        self.proposal = None

    def labels_changed(self) -> None:
        """Give the open segments the study's names and colors, and new labels a segment."""
        opened = self.labeling.opened
        if opened is not None:
            from ActiveSegLoopLib.scene.segmentations import apply_schema

            self.editor.save_for_undo()
            apply_schema(opened.segmentation_node, self.study.schema.segments())

    def scene_closes(self) -> None:
        """Keep what isn't accepted before its nodes go."""
        self.labeling.close()
        self.editor.scene_closes()
        self.proposal = None

    def scene_closed(self) -> None:
        """The scene is empty: a new editor node."""
        self.editor.use_scene()
        self.strip.scene_closed()
        self.show_case()
        self.drafts.show_study()

    def restore(self, remembered: Any) -> None:
        """Open the case again that the scene remembers."""
        names = {case.name for case in self.study.cases()}
        if remembered.case in names and self.labeling.case is None:
            proposal = next(
                (p for p in self.proposing.open if p.id == remembered.proposal), None
            )
            index = None if remembered.slice_shown < 0 else remembered.slice_shown
            self.proposal = proposal
            self.labeling.open(remembered.case, remembered.plane, index)

    def open(
        self, case: str, plane: str | None = None, index: int | None = None, proposal: Any = None
    ) -> None:
        """Show a case to label, at a slice; proposal: what is to be labeled in it."""
        self.proposal = proposal
        if self.labeling.case is not None and self.labeling.case.name == case:
            self.at_hand.return_to_case()
        self.labeling.open(case, plane, index)
        self.panel.show_section(self.name)

    def open_proposal(self, proposal: Any) -> None:
        """Show what was proposed."""
        plane = proposal.plane or self.parameters.plane.value
        self.open(proposal.case, plane, proposal.index, proposal)
        self.proposing.select(proposal)

    @pressed
    def on_open_next(self) -> None:
        """Open the best proposal that is still open."""
        self.open_next()

    def open_next(self) -> None:
        """Open the best open proposal after the one at hand; tell when none is left."""
        found = self.proposing.next_after(self.proposal)
        if found is None:
            self.proposal = None
            self.show_case()
            self.tell(_("No proposal is left: find what to label next, or train."))
            return
        self.open_proposal(found)

    @pressed
    def on_slice_done(self) -> None:
        """Keep the slice that is shown, and open the next one."""
        if not self._can_accept():
            return
        plane, index = self.at_hand.slice()
        if index is None:
            self.tell(
                _("No slice view shows this case in the {plane} plane: show it first.").format(
                    plane=Plane(plane).label()
                )
            )
            return
        self._accept({plane: (index,)}, plane, index)

    @pressed
    def on_volume_done(self) -> None:
        """Keep the whole volume, and open the next one."""
        if self._can_accept() and may_keep_whole(self.labeling.opened):
            self._accept(None)

    @pressed
    def on_skip(self) -> None:
        """Leave the proposal out."""
        self._set_aside(self.logic.loop.skip)

    @pressed
    def on_flag(self) -> None:
        """Mark the proposal for a second look."""
        self._set_aside(self.logic.loop.flag)

    def show_case(self) -> None:
        """Show what is open: its name, why it was proposed, how it began."""
        opened, name = self.labeling.opened, self.labeling.opening
        if opened is not self._told:
            is_another = opened is None or self._told is None or opened.case != self._told.case
            self._told = opened
            if opened is not None and opened.plane is not None:
                self.parameters.plane = Plane(opened.plane)
            if is_another:
                self.panel.case_changed()
        for widget in (self.ui.labelingFrame, self.ui.segmentEditorWidget):
            widget.visible = opened is not None
        if self.panel.is_connected:
            case = opened.case.name if opened is not None else name or ""
            self.parameters.case = case
            self.parameters.proposal = self.proposal.id if self.proposal is not None else 0
        if opened is None:
            self.at_hand.stop()
            self.ui.currentLabel.text = (
                _("Loading {case}...").format(case=name) if name else _("Nothing is open.")
            )
            return
        self.ui.currentLabel.text = self._case_text(opened)
        self.drafts.show_opened(opened)
        self.strip.show(opened)
        self.at_hand.show()
        self.at_hand.look()
        self.at_hand.start()

    def _case_text(self, opened: Any) -> str:
        text = f"{opened.case.name}:"
        proposal = self._proposal_of(opened.case.name)
        if proposal is not None:
            text = f"{self.proposing.place_text(proposal)}: {proposal.reason.rstrip('.')}."
        begun = {
            "draft": _("Begins with labels that weren't accepted yet."),
            "revision": _("Begins with its newest labels."),
            "prediction": _("Begins with the model's labels: correct them."),
            "nothing": _("Nothing is labeled yet."),
            "scene": _("Begins with what was drawn before and isn't accepted yet."),
        }[opened.beginning.source]
        return f"{text} {begun}"

    def _proposal_of(self, case: str) -> Any:
        """The proposal at hand, if it is of this case and not of one that is on its way."""
        return self.proposal if self.proposal is not None and self.proposal.case == case else None

    def _can_accept(self) -> bool:
        if self._must_wait():
            return False
        if self.labeling.opened is None:
            self.tell(_("Nothing is open to be done."))
            return False
        if not self.at_hand.is_seen:
            self.tell(self.at_hand.unseen)
            return False
        return True

    def _must_wait(self) -> bool:
        if not self.labeling.is_busy:
            return False
        text = _("One moment: what came before isn't done yet.")
        self.tell(text)

        def over(nothing: Any) -> None:
            if self.ui.nextMessageLabel.text == text:
                self.tell("")

        # Behind all that is still to be done.
        self.panel.background.start(lambda: None, over, self.tell_error)
        return True

    def _accept(self, slices: Any, plane: str | None = None, index: int | None = None) -> None:
        case, is_whole = self.labeling.case.name, slices is None
        where = self.at_hand.place()
        proposal = self._proposal_of(case) or self.proposing.find_open(case, slices or {})

        def stored(revision: Any) -> None:
            self.panel.study_changed()

        def refused(error: Exception) -> None:
            # Back from whatever was to be opened next.
            self.labeling.stop_opening()
            self.proposal = proposal
            self.proposing.show_study()
            if proposal is not None:
                self.proposing.select(proposal)
            self.labeling.go_back(*where)
            self.show_case()
            self.tell_error(error)

        self.labeling.accept(slices, stored, refused)
        self.ui.currentLabel.text = _("{case}: what was accepted is kept.").format(case=case)
        self.drafts.hide()
        done = (
            _("The whole of {case} is kept.").format(case=case) if is_whole
            else _("{plane} slice {index} of {case} is kept.").format(
                plane=Plane(plane).label().capitalize(), index=index, case=case
            )
        )
        if not is_whole and proposal is not None and (plane, index) != (
            proposal.plane, proposal.index
        ):
            place = self.proposing.place_text(proposal)
            self.tell(_("{done} Proposed was: {place}.").format(done=done, place=place))
            return
        if proposal is not None:
            self.proposing.leave_out(proposal, whole_case=is_whole)
        if self.proposing.open:
            self.open_next()
        self.tell(done)

    def _set_aside(self, how: Any) -> None:
        if self._must_wait():
            return
        proposal = self.proposal or self.proposing.selected()
        if proposal is None:
            self.tell(_("Choose a proposal first."))
            return
        how(proposal, self.ui.reasonLineEdit.text.strip())
        self.ui.reasonLineEdit.text = ""
        self.proposing.leave_out(proposal)
        self.open_next()

    def _drop_shortcuts(self) -> None:
        for shortcut, slot in self._shortcuts:
            shortcut.disconnect("activated()", slot)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []
