"""The surface of a label colored by its distance from another one, and its worst spot."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ActiveSegLoopLib.panel.section import Section, guarded, pressed

if TYPE_CHECKING:
    from ActiveSegLoopLib.scene.apart import Apart, WorstSpot


class Coloring(Section):
    """The part of the section Compare that shows surfaces in the 3D view."""

    name = "compare"

    def __init__(self, section: Any) -> None:
        super().__init__(section.panel)
        self.section = section
        self.node: Any = None
        self._asked: Any = None
        self._worst: WorstSpot | None = None
        self._centered = ""  # the case on which the 3D views were centered
        self.ui.surfaceCheckBox.connect("toggled(bool)", self.on_toggled)
        self.ui.rangeSpinBox.connect("valueChanged(double)", self.on_range)
        self.ui.worstButton.connect("clicked(bool)", self.on_worst)
        self.ui.verdictTable.connect("cellDoubleClicked(int,int)", self.on_worst)

    def show(self) -> None:
        """Show the chosen label's surface, once it is measured."""
        found = self.section.structure()
        if found is None or not self.ui.surfaceCheckBox.checked:
            self._hide()
            return
        pair, case = self.section.pair(), self.section.case_name
        first, second = self.section.words(pair)
        self._asked = asked = (pair, found.value)

        def done(measured: Any) -> None:
            if self._asked == asked and measured is not None:
                self._show(measured, f"{case}: {first} - {second}, {found.name}")
            elif self._asked == asked:
                self._hide()

        self.panel.background.start(
            measuring(*self.section.maps(), found.value), done, self.tell_error
        )

    def forget(self) -> None:
        """Nothing is compared any more."""
        self._asked = None
        self._centered = ""
        self._hide()

    @guarded
    def on_toggled(self) -> None:
        """Show or hide the surface."""
        self.show()

    @guarded
    def on_range(self) -> None:
        """Let other distances have the strongest colors."""
        from ActiveSegLoopLib.scene.colored_models import set_range

        if self._is_there():
            span = self.ui.rangeSpinBox.value
            set_range(self.node, -span, span)

    @pressed
    def on_worst(self) -> None:
        """Go to where the surfaces lie farthest apart."""
        worst = self._worst if self._is_there() else None
        if worst is None:
            self.tell(_("There is no surface to go to: compare a label that both have."))
            return
        from ActiveSegLoopLib.scene.crosshair import point_at

        self.panel.look_at(self.section.case_name, worst.ras)
        # The segmentation on whose surface it lies may not be shown in the slice views.
        point_at(worst.ras)
        self.tell(_("Worst spot: {mm} mm apart.").format(mm=f"{worst.mm:.1f}"))

    def _show(self, measured: Apart, name: str) -> None:
        from ActiveSegLoopLib.scene.colored_models import (
            colored_model,
            face_cameras,
            show_legend,
        )

        self._hide()
        self._worst = measured.worst
        self.node = colored_model(
            measured.surface, measured.distances, name, self.ui.rangeSpinBox.value
        )
        self.node.GetDisplayNode().SetVisibility(True)
        show_legend(self.node, True)
        self.ui.worstButton.enabled = True
        if self._centered != self.section.case_name:
            self._centered = self.section.case_name
            face_cameras(self.node)

    def _hide(self) -> None:
        from ActiveSegLoopLib.scene.colored_models import show_legend
        from ActiveSegLoopLib.scene.crosshair import stop_pointing

        stop_pointing()
        if self._is_there():
            show_legend(self.node, False)
            self.node.GetDisplayNode().SetVisibility(False)
        self.node = None
        self.ui.worstButton.enabled = False

    def _is_there(self) -> bool:
        return self.node is not None and self.node.GetScene() is not None


def measuring(first: Callable[[], Any], second: Callable[[], Any], value: int) -> Callable:
    """What measures a label's surface in the second label map against the first; for a thread.

    It returns Apart, None where one of the two is empty.
    """

    def measure() -> Apart | None:
        from ActiveSegLoopLib.evaluation.surfaces import extract_surface
        from ActiveSegLoopLib.scene.apart import apart

        there, here = (extract_surface(read(), value) for read in (first, second))
        return apart(here, there)

    return measure
