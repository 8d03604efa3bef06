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
        self._decided: Any = None  # what was offered last and isn't to be offered again
        self.ui.restoreDraftButton.connect("clicked(bool)", self.on_restore)
        self.ui.discardDraftButton.connect("clicked(bool)", self.on_discard)

    def show_study(self) -> None:
        """Offer the newest draft of the study, if no case is open."""
        self.hide()
        self._decided = None
        if self.study is None or self.section.labeling.opened is not None:
            return
        from ActiveSegLoopLib.study.drafts import drafts

        found = drafts(self.study)
        if found:
            self._offer(max(found, key=lambda draft: draft.saved or ""))

    def show_opened(self, opened: Any) -> None:
        """Say that the case that was opened begins with a draft."""
        draft = opened.beginning.draft
        if draft is not None and draft not in (self._draft, self._decided):
            self._offer(draft)

    def hide(self) -> None:
        """There is nothing to offer any more."""
        self._decided = self._draft or self._decided
        self._draft = None
        self.ui.draftFrame.visible = False

    @pressed
    def on_restore(self) -> None:
        """Go on with the draft."""
        draft = self._draft
        self.hide()
        if self.section.labeling.case is None or self.section.labeling.case.name != draft.case:
            plane, index = _place(draft)
            self.section.open(draft.case, plane, index)

    @pressed
    def on_discard(self) -> None:
        """Delete the draft; the case, if it is open, is shown without it."""
        draft, labeling = self._draft, self.section.labeling
        self.hide()
        self.logic.loop.discard_draft(draft.case)
        if labeling.case is not None and labeling.case.name == draft.case:
            self.section.editor.save_for_undo()
            opened = labeling.opened
            labeling.open(draft.case, opened.plane, opened.index, use_draft=False, again=True)
        self.panel.study_changed()

    def _offer(self, draft: Any) -> None:
        self._draft = draft
        self.ui.draftLabel.text = _(
            "{case} has labels that weren't accepted (kept {time})."
        ).format(case=draft.case, time=_local(draft.saved))
        self.ui.draftFrame.visible = True


def _place(draft: Any) -> tuple[str | None, int | None]:
    for plane, indices in (draft.slices or {}).items():
        return plane, indices[-1]
    return None, None


def _local(saved: str | None) -> str:
    """A time of the study, as the clock on the wall says it."""
    if not saved:
        return _("some time ago")
    return datetime.fromisoformat(saved).astimezone().strftime("%Y-%m-%d %H:%M")
