"""The strip along the slices of the open case, and the uncertainty over its image."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from ActiveSegLoopLib.panel import doubt
from ActiveSegLoopLib.panel.chart import Chart
from ActiveSegLoopLib.panel.packages import ensure_packages
from ActiveSegLoopLib.panel.running import Follower
from ActiveSegLoopLib.panel.section import Section, guarded

HEIGHT = 80


class Strip(Section):
    """A chart of the score by slice; a click goes to the slice. The map it is from, as a layer."""

    name = "next"

    def __init__(self, section: Section) -> None:
        super().__init__(section.panel)
        import qt

        self.section = section
        self.follower = Follower()
        # Whose scores are shown: the study's folder, the case, and the file of the map.
        self._source: tuple[Any, str, Any] | None = None
        self._plane = ""
        self._map: Any = None
        self._node: Any = None
        layout = qt.QVBoxLayout(self.ui.stripFrame)
        layout.setContentsMargins(0, 0, 0, 0)
        self.chart = Chart(self.ui.stripFrame, HEIGHT)
        self.chart.toolTip = _("The score of each slice. A click shows the slice.")
        self.chart.on_click = self.on_click
        layout.addWidget(self.chart)
        self.ui.overlayCheckBox.connect("toggled(bool)", self.on_overlay)
        self.ui.opacitySlider.connect("valueChanged(double)", self.on_opacity)

    def show(self, opened: Any) -> None:
        """Show the scores of a case: of its map, or else of its proposals."""
        if self._show_scores(opened) and self._has_no_file and self.ui.overlayCheckBox.checked:
            self._measure()

    def show_again(self) -> None:
        """Show the uncertainty over the image again, where it belongs and was taken off."""
        if self.ui.overlayCheckBox.checked and self._map is not None:
            self._show_overlay()

    def study_changed(self) -> None:
        """Another model may be in use, or there are other scores: show those."""
        opened = self.section.labeling.opened
        if opened is not None and not self._show_scores(opened) and self._map is None:
            self._show_chart()

    def close_study(self) -> None:
        """Let go of the map, and end the measuring of the former study."""
        if self.follower.is_busy:
            self.follower.close()
            self.tell("")
        self._forget()

    def scene_closed(self) -> None:
        """The overlay went with the scene."""
        self._forget()

    def mark(self, plane: str, index: int | None) -> None:
        """Mark the slice that is shown; in another plane than before, among the scores of that."""
        if plane != self._plane and self._source is not None:
            self._plane = plane
            self._show_chart()
        self.chart.mark(None if index is None else float(index))

    @guarded
    def on_click(self, x: float) -> None:
        """Go to a slice."""
        from ActiveSegLoopLib.scene.jumping import jump_to_slice

        opened = self.section.labeling.opened
        if opened is not None:
            count = opened.case.geometry.shape[opened.case.geometry.axis_of(self._plane)]
            self.section.at_hand.return_to_case()
            jump_to_slice(opened.case.geometry, self._plane, min(max(round(x), 0), count - 1))
            self.section.at_hand.look()

    @guarded
    def on_overlay(self) -> None:
        """Show or hide the uncertainty."""
        if self.section.labeling.opened is None:
            return
        self.study_changed()
        if not self.ui.overlayCheckBox.checked:
            from ActiveSegLoopLib.scene.overlay import hide

            hide()
        elif self._map is not None:
            self._show_overlay()
        elif self._has_no_file or not self.panel.background.is_busy:  # the file can't be read
            self._measure()

    @guarded
    def on_opacity(self) -> None:
        """Show the uncertainty more or less."""
        if self._node is not None and self.section.labeling.opened is not None:
            from ActiveSegLoopLib.scene.overlay import set_opacity

            set_opacity(self.ui.opacitySlider.value)

    @property
    def _has_no_file(self) -> bool:
        return self._source is not None and self._source[2] is None

    def _show_scores(self, opened: Any) -> bool:
        """Show the scores of a case; returns whether something else was shown before."""
        plane = self.parameters.plane.value
        path = doubt.doubt_file(self.study, opened.case)
        source = (self.study.folder, opened.case.name, path)
        if self._node is not None and self._node.GetScene() is None:
            self._forget()
        if (source, plane) == (self._source, self._plane):
            return False
        is_new = source != self._source
        if is_new:
            self._forget()
        self._source, self._plane = source, plane
        self._show_chart()
        if is_new and path is not None:
            self.panel.background.start(
                doubt.reading(path), self._got_map_of(source), self.tell_error
            )
        return True

    def _got_map_of(self, source: Any) -> Any:
        def got(volume: Any) -> None:
            if self._source != source or self.section.labeling.opened is None:
                return
            self._map = volume
            self._show_chart()
            if self.ui.overlayCheckBox.checked:
                self._show_overlay()

        return got

    def _forget(self) -> None:
        if self._node is not None and self._node.GetScene() is not None:
            from ActiveSegLoopLib.scene.overlay import hide

            hide()
        self._source = self._map = self._node = None

    def _show_chart(self) -> None:
        title = _("{plane} slice").format(plane=self._plane)
        name = self._source[1]
        geometry = self.study.case(name).geometry
        ends = (0.0, float(geometry.shape[geometry.axis_of(self._plane)] - 1))
        if self._map is not None:
            points = {_("Uncertainty %"): doubt.slice_means(self._map, self._plane)}
        else:
            found = self.study.proposals(None)
            scores = sorted(
                (float(p.index), float(p.score)) for p in found
                if p.case == name and p.plane == self._plane
            )
            points = {_("Score of the proposals"): scores}
        self.chart.show_curves(
            points, title, ends, None if self._map is not None else _span(points),
            has_lines=self._map is not None,
        )
        self.ui.stripFrame.visible = any(points.values())

    def _show_overlay(self) -> None:
        opened = self.section.labeling.opened
        self._node = doubt.overlay(
            self.study, opened.case, self._map, opened.volume_node, self.ui.opacitySlider.value
        )

    def _measure(self) -> None:
        """Let the model say where it is unsure of this case."""
        if self.study.current_round() is None:
            self.tell(_("Uncertainty needs a model: train one first."))
            return
        if self.follower.is_busy or not ensure_packages(self.panel):
            return
        folder, case, _path = self._source
        job = self.logic.loop.start(
            "segment", case, "--uncertainty", "--device", self.parameters.device.value
        )
        self.tell(_("Measuring the uncertainty of {case}...").format(case=case))

        def ended(job: Any) -> None:
            if self.study is None or self.study.folder != folder:
                return
            self.tell(job.error or "")
            if job.status == 0:
                self._forget()
                self.study_changed()
                self.panel.study_changed()  # the model's labels of the case were kept, too

        self.follower.follow(job, lambda event: None, ended)


def _span(curves: dict[str, list[tuple[float, float]]]) -> tuple[float, float]:
    scores = [y for points in curves.values() for _x, y in points]
    return min([0.0, *scores]), max(scores, default=1.0)
