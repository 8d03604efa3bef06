"""A small chart in the panel: curves over a common axis; a click tells where it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qt

Points = Sequence[tuple[float, float]]
Color = tuple[float, float, float]

_HEIGHT = 110
_MARGIN = 4
_DOT = 2.5


class Chart(qt.QWidget):
    """Curves with a title each, in the colors of the window; missing values (NaN) are gaps.

        chart = Chart()
        chart.show_curves({"Loss": [(1, 0.9), (2, 0.5)]}, x_title="Step")
        chart.on_click = lambda x: ...
    """

    def __init__(self, parent: Any = None, height: int = _HEIGHT) -> None:
        qt.QWidget.__init__(self, parent)
        self.curves: dict[str, list[tuple[float, float]]] = {}
        self.colors: dict[str, Color] = {}
        self.x_title = ""
        self.marked: float | None = None
        self.x_range: tuple[float, float] | None = None
        self.y_range: tuple[float, float] | None = None
        self.scales: dict[str, tuple[float, float]] = {}
        self.has_lines = True
        self.on_click: Callable[[float], None] | None = None
        self.setFixedHeight(height)
        self.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)

    def show_curves(
        self,
        curves: Mapping[str, Points],
        x_title: str = "",
        x_range: tuple[float, float] | None = None,
        y_range: tuple[float, float] | None = None,
        colors: Mapping[str, Color] | None = None,
        has_lines: bool = True,
        scales: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        """Draw these curves: points (x, y) by title; a range None is that of the values.

        Without lines each point is a bar that rises from the axis. A curve named in `scales` has
        this vertical range for itself; the legend tells it.
        """
        self.curves = {title: list(points) for title, points in curves.items()}
        self.x_title, self.has_lines = x_title, has_lines
        self.x_range, self.y_range = x_range, y_range
        self.colors, self.scales = dict(colors or {}), dict(scales or {})
        self.update()

    def mark(self, x: float | None) -> None:
        """Draw a line at x, None for none."""
        if x != self.marked:
            self.marked = x
            self.update()

    def x_of(self, pixel: float) -> float | None:
        """The place on the axis under a pixel; None when there is nothing to see."""
        ranges = self._ranges()
        if ranges is None:
            return None
        (low, high), _ = ranges
        left, _, right, _ = self._area()
        share = min(max((pixel - left) / max(right - left, 1), 0.0), 1.0)
        return low + share * (high - low)

    def paintEvent(self, event: Any) -> None:
        """Qt wants the widget drawn."""
        painter = qt.QPainter(self)
        try:
            self._paint(painter)
        finally:
            painter.end()

    def mousePressEvent(self, event: Any) -> None:
        """Qt tells of a click."""
        x = self.x_of(event.pos().x())
        if x is not None and self.on_click is not None:
            self.on_click(x)

    def _ranges(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        seen = [p for points in self.curves.values() for p in points if math.isfinite(p[1])]
        if not seen:
            return None
        xs = [x for x, _ in seen]
        shared = [points for title, points in self.curves.items() if title not in self.scales]
        ys = [y for points in shared for _, y in points if math.isfinite(y)] or [0.0, 1.0]
        low, high = self.y_range or (min(ys), max(ys))
        across = self.x_range or (min(xs), max(xs))
        return across, (low, high if high > low else low + 1)

    def _area(self) -> tuple[float, float, float, float]:
        line = self.fontMetrics().height()
        return _MARGIN, line + _MARGIN, self.width - _MARGIN, self.height - line - _MARGIN

    def _paint(self, painter: Any) -> None:
        left, top, right, bottom = self._area()
        text = self.palette.color(qt.QPalette.WindowText)
        painter.setRenderHint(qt.QPainter.Antialiasing)
        painter.fillRect(self.rect, self.palette.color(qt.QPalette.Base))
        painter.setPen(text)
        ranges = self._ranges()
        if ranges is None:
            return
        (x_low, x_high), (y_low, y_high) = ranges

        def place(x: float, y: float, low: float = y_low, high: float = y_high) -> Any:
            across = (x - x_low) / (x_high - x_low) if x_high > x_low else 0.5
            up = min(max((y - low) / (high - low), 0.0), 1.0)
            return qt.QPointF(left + across * (right - left), bottom - up * (bottom - top))

        painter.drawText(qt.QPointF(left, self.height - _MARGIN), _number(x_low))
        wide = self.fontMetrics().boundingRect
        for title, share in ((self.x_title, 0.5), (_number(x_high), 1.0)):
            at = left + share * (right - left - wide(title).width() - _MARGIN)
            painter.drawText(qt.QPointF(at, self.height - _MARGIN), title)
        self._paint_legend(painter, f"{_number(y_low)} … {_number(y_high)}")
        if self.marked is not None and x_low <= self.marked <= x_high:
            painter.setPen(qt.QPen(self.palette.color(qt.QPalette.Highlight), 2))
            painter.drawLine(place(self.marked, y_low), place(self.marked, y_high))
        for title, points in self.curves.items():
            painter.setPen(qt.QPen(self._color(title), 1.5))
            before, scale = None, self.scales.get(title, (y_low, y_high))
            for x, y in points:
                here = place(x, y, *scale) if math.isfinite(y) else None
                if here is not None and before is not None and self.has_lines:
                    painter.drawLine(before, here)
                if here is not None and not self.has_lines:
                    painter.drawLine(place(x, y_low), here)
                if here is not None and len(points) <= 30:
                    painter.drawEllipse(here, _DOT, _DOT)
                before = here

    def _paint_legend(self, painter: Any, span: str) -> None:
        metrics = self.fontMetrics()
        baseline = metrics.ascent() + 1
        at = float(_MARGIN)
        for title in self.curves:
            painter.setPen(self._color(title))
            if title in self.scales:
                title += " ({} … {})".format(*map(_number, self.scales[title]))
            painter.drawText(qt.QPointF(at, baseline), title)
            at += metrics.boundingRect(title + "  ").width() + 8
        painter.setPen(self.palette.color(qt.QPalette.WindowText))
        width = metrics.boundingRect(span).width()
        painter.drawText(qt.QPointF(max(at, self.width - _MARGIN - width - 4), baseline), span)

    def _color(self, title: str) -> Any:
        from ActiveSegLoopLib.study.colors import distinct_colors

        known = self.colors.get(title)
        number = list(self.curves).index(title)
        return qt.QColor.fromRgbF(*(known or distinct_colors(len(self.curves))[number]))


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"
