"""The slice of the open case that a view shows now, and the time spent on it."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from ActiveSegLoopLib.panel.parameters import Plane
from ActiveSegLoopLib.panel.section import Section, guarded
from ActiveSegLoopLib.panel.stopwatch import clock_text

_MILLISECONDS_OF_CLOCK = 500


class AtHand(Section):
    """Names the slice that "Slice done" means: the views are looked at twice a second."""

    name = "next"

    def __init__(self, section: Section) -> None:
        super().__init__(section.panel)
        self.section = section
        self._shown: tuple[str, int | None] | None = None
        self._clock = qt.QTimer()
        self._clock.setInterval(_MILLISECONDS_OF_CLOCK)
        self._clock.connect("timeout()", self.look)

    def start(self) -> None:
        """Look from now on."""
        self._clock.start()

    def stop(self) -> None:
        """Look no more."""
        self._clock.stop()

    @guarded
    def look(self) -> None:
        """Show the time, and which slice is meant by "Slice done"."""
        labeling = self.section.labeling
        if labeling.opened is None:
            self.stop()
            return
        watch = labeling.stopwatch
        time = clock_text(watch.total)
        if watch.is_running:
            self.ui.timeLabel.text = _("Time on this: {time}").format(time=time)
        else:
            self.ui.timeLabel.text = _("Time on this: {time} (stopped, nothing is edited)").format(
                time=time
            )
        if self.slice() != self._shown:
            self.show()
        if self.ui.nextMessageLabel.text == self.unseen and self.is_seen:
            self.tell("")

    def slice(self) -> tuple[str, int | None]:
        """The plane in which one labels, and the slice in which a view shows the case, if any."""
        from ActiveSegLoopLib.scene.showing import slice_of_case

        plane = self.parameters.plane.value
        return plane, slice_of_case(self.section.labeling.opened, plane)

    def show(self) -> None:
        """Show which slice is at hand."""
        self._shown = plane, index = self.slice()
        self.section.strip.mark(plane, index)
        if self.panel.is_connected:
            self.parameters.slice_shown = -1 if index is None else index
        self.ui.sliceDoneButton.text = (
            _("Slice done, next") if index is None
            else _("{plane} slice {index} done, next").format(
                plane=Plane(plane).label().capitalize(), index=index
            )
        )

    @property
    def is_seen(self) -> bool:
        """Whether a view shows the open case's image, in whatever plane."""
        from ActiveSegLoopLib.scene.showing import shows_case

        return shows_case(self.section.labeling.opened)

    @property
    def unseen(self) -> str:
        """Why nothing is accepted while no view shows the open case."""
        return _("The views show another image than {case}: open the case again.").format(
            case=self.section.labeling.case.name
        )

    def place(self) -> tuple[Any, ...]:
        """The open case, the slice at hand and where the views are, for Labeling.go_back."""
        from ActiveSegLoopLib.scene.jumping import view_points

        return self.section.labeling.case, *self.slice(), view_points()

    @guarded
    def return_to_case(self) -> None:
        """Show the case again, where it was, in the views that show another image now."""
        opened = self.section.labeling.opened
        if opened is None:
            return
        from ActiveSegLoopLib.scene.jumping import jump_to_slice
        from ActiveSegLoopLib.scene.showing import show_again

        if not show_again(opened):
            return
        plane, index = self._shown
        if index is None:
            plane, index = opened.plane, opened.index
        if plane is not None and index is not None:
            jump_to_slice(opened.case.geometry, plane, index)
        self.section.strip.show_again()
