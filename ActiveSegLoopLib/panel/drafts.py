"""Work that was never accepted, for example because Slicer crashed: it is offered again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from slicer.i18n import tr as _

from ActiveSegLoopLib.panel.section import Section, pressed


class Drafts(Section):
    """The line with the two buttons that shows up when there is unaccepted work."""

    name = "next"

    def __init__(self, section: Section) -> None:
        super().__init__(section.panel)
        self.section = section
        self._draft: Any = None  # what is offered
        self._decided: set[Any] = set()  # what isn't to be offered again
        self.ui.restoreDraftButton.connect("clicked(bool)", self.on_restore)
        self.ui.discardDraftButton.connect("clicked(bool)", self.on_discard)

    def show_study(self) -> None:
        """Offer the newest draft of the study, if no case is open."""
        study = self.study
        if self._draft is not None and (study is None or not _is_of(self._draft, study)):
            self._show(None)
        # With a case open, what was answered stays answered, and what is offered stays offered.
        labeling = self.section.labeling
        if study is None or labeling.opened is not None or labeling.opening is not None:
            return
        self._decided.clear()
        from ActiveSegLoopLib.study.drafts import drafts

        def found(there: Any) -> None:
            # A case that is on its way comes later, with its own draft if it has one.
            if self.study is study and self.section.labeling.opened is None:
                waiting = [draft for draft in there if draft not in self._decided]
                self._show(max(waiting, key=lambda draft: draft.saved or "", default=None))

        # Behind what is still being kept, of the case that was just closed.
        self.panel.background.start(lambda: drafts(study), found, self.tell_error)

    def show_opened(self, opened: Any) -> None:
        """Say that the case that was opened begins with a draft."""
        draft = opened.beginning.draft
        if draft is not None and draft != self._draft and draft not in self._decided:
            self._show(draft)

    def hide(self) -> None:
        """What is offered of the case at hand was answered or accepted; another one's stays."""
        labeling = self.section.labeling
        if self._draft is not None and (
            labeling.case is None or labeling.case.name == self._draft.case
        ):
            self._decide()

    @pressed
    def on_restore(self) -> None:
        """Go on with the draft."""
        draft = self._decide()
        if self.section.labeling.case is None or self.section.labeling.case.name != draft.case:
            plane, index = _place(draft)
            self.section.open(draft.case, plane, index)

    @pressed
    def on_discard(self) -> None:
        """Delete the draft; the case, if it is open, is shown without it."""
        draft, labeling = self._decide(), self.section.labeling
        self.logic.loop.discard_draft(draft.case)
        if labeling.case is not None and labeling.case.name == draft.case:
            self.section.editor.save_for_undo()
            opened = labeling.opened
            labeling.open(draft.case, opened.plane, opened.index, use_draft=False, again=True)
        self.panel.study_changed()

    def _decide(self) -> Any:
        """What was offered, which isn't to be offered again."""
        draft = self._draft
        self._decided.add(draft)
        self._show(None)
        return draft

    def _show(self, draft: Any) -> None:
        self._draft = draft
        self.ui.draftFrame.visible = draft is not None
        if draft is not None:
            self.ui.draftLabel.text = _(
                "{case} has labels that weren't accepted (kept {time})."
            ).format(case=draft.case, time=_local(draft.saved))


def _is_of(draft: Any, study: Any) -> bool:
    return draft.path.is_relative_to(study.folder)


def _place(draft: Any) -> tuple[str | None, int | None]:
    for plane, indices in (draft.slices or {}).items():
        return plane, indices[-1]
    return None, None


def _local(saved: str | None) -> str:
    """A time of the study, as the clock on the wall says it."""
    if not saved:
        return _("some time ago")
    return datetime.fromisoformat(saved).astimezone().strftime("%Y-%m-%d %H:%M")
