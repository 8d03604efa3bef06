"""The surface of a label colored by its distance from another one, and its worst spot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from ActiveSegLoopLib.panel.section import Section, guarded, pressed


class Coloring(Section):
    """The part of the section Compare that shows surfaces in the 3D view."""

    name = "compare"

    def __init__(self, section: Any) -> None:
        super().__init__(section.panel)
        self.section = section
        self.node: Any = None
        self._asked: Any = None
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
        self._asked = asked = (pair, found.value)

        def done(measured: Any) -> None:
            if self._asked == asked and measured is not None:
                self._show(measured, f"{case}: {pair[0]} - {pair[1]}, {found.name}")
            elif self._asked == asked:
                self._hide()

        self.panel.background.start(
            measuring(*self.section.maps(), found.value), done, self.tell_error
        )

    def forget(self) -> None:
        """Nothing is compared any more."""
        self._asked = self.node = None
        self.ui.worstButton.enabled = False

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
        from ActiveSegLoopLib.scene.colored_models import worst_spot
        from ActiveSegLoopLib.scene.jumping import jump_to_point

        worst = worst_spot(self.node) if self._is_there() else None
        if worst is None:
            self.tell(_("There is no surface to go to: compare a label that both have."))
            return
        jump_to_point(worst.ras)
        self.tell(_("Worst spot: {mm} mm apart.").format(mm=f"{abs(worst.mm):.1f}"))

    def _show(self, measured: Any, name: str) -> None:
        from ActiveSegLoopLib.scene.colored_models import colored_model, show_legend

        self._hide()
        self.node = colored_model(*measured, name, self.ui.rangeSpinBox.value)
        self.node.GetDisplayNode().SetVisibility(True)
        show_legend(self.node, True)
        self.ui.worstButton.enabled = True

    def _hide(self) -> None:
        from ActiveSegLoopLib.scene.colored_models import show_legend

        if self._is_there():
            show_legend(self.node, False)
            self.node.GetDisplayNode().SetVisibility(False)
        self.node = None
        self.ui.worstButton.enabled = False

    def _is_there(self) -> bool:
        return self.node is not None and self.node.GetScene() is not None


def measuring(first: Callable[[], Any], second: Callable[[], Any], value: int) -> Callable:
    """What measures a label's surface in the second label map against the first; for a thread.

    It returns the surface and its points' distances in mm, None where one of them is empty.
    """

    def measure() -> Any:
        from ActiveSegLoopLib.evaluation.surface_distance import point_distances
        from ActiveSegLoopLib.evaluation.surfaces import extract_surface

        surfaces = [extract_surface(read(), value) for read in (first, second)]
        if any(surface.is_empty for surface in surfaces):
            return None
        return surfaces[1], point_distances(surfaces[1], surfaces[0])

    return measure
