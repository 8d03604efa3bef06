"""CTK's widgets that the panel uses, with PySide6: their properties, signals and slots.

Each has only what the application's widget has; a test compares them with what was read off it.
"""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal, Slot


def kept(kind: Any, name: str, default: Any) -> Property:
    """A property that is only remembered."""
    return Property(
        kind,
        lambda self: self.__dict__.get(f"_kept_{name}", default),
        lambda self, value: self.__dict__.__setitem__(f"_kept_{name}", value),
    )


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A button with a title; what lies in it is hidden when it is collapsed."""

    contentsCollapsed = Signal(bool)
    buttonTextAlignment = kept(int, "alignment", 0)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._collapsed = False
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(4, 26, 4, 4)
        self.toggled.connect(lambda shown: self._collapse(not shown))

    def _collapse(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self.setChecked(not collapsed)
        self._hide()
        self.contentsCollapsed.emit(collapsed)

    def _hide(self) -> None:
        self.setMaximumHeight(24 if self._collapsed else 16777215)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setProperty("collapsed_away", self._collapsed)

    collapsed = Property(bool, lambda self: self._collapsed, _collapse)

    @Slot(bool)
    def collapse(self, collapsed: bool) -> None:
        """Collapse or unfold."""
        self._collapse(collapsed)

    def sizeHint(self) -> QtCore.QSize:
        """As high as what lies in it, or the title alone."""
        hint = self.layout().totalSizeHint() if self.layout() else QtCore.QSize(100, 24)
        return QtCore.QSize(hint.width(), 24) if self._collapsed else hint

    def minimumSizeHint(self) -> QtCore.QSize:
        """As sizeHint."""
        hint = self.layout().totalMinimumSize() if self.layout() else QtCore.QSize(100, 24)
        return QtCore.QSize(hint.width(), 24) if self._collapsed else hint

    def paintEvent(self, event: Any) -> None:
        """A frame with the title."""
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.text = ("> " if self._collapsed else "v ") + self.text()
        option.rect = QtCore.QRect(0, 0, self.width(), 22)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButton, option)


class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box whose contents hide when it is collapsed."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setChecked(True)
        self._enabled_children = None
        self.toggled.connect(self._show)

    def _show(self, shown: bool) -> None:
        self.setMaximumHeight(16777215 if shown else 24)

    collapsed = Property(
        bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value)
    )


class ctkPathLineEdit(QtWidgets.QWidget):
    """A line for a path with the ones used last."""

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    filters = kept(int, "filters", 0)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setEditable(True)
        self._combo.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed
        )
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        layout.addWidget(QtWidgets.QToolButton(self, text="..."))
        self._key = ""
        self._valid = ""
        self._combo.editTextChanged.connect(self._changed)

    def _changed(self, text: str) -> None:
        # As CTK: a folder that isn't there is no valid input and isn't told.
        if QtCore.QDir(text).exists() and text and text != self._valid:
            self._valid = text
            self.currentPathChanged.emit(text)

    def _read_key(self) -> str:
        return self._key

    def _write_key(self, key: str) -> None:
        self._key = key
        self.retrieveHistory()

    settingKey = Property(str, _read_key, _write_key)
    currentPath = Property(
        str, lambda self: self._combo.currentText(), lambda self, path: self.setCurrentPath(path)
    )

    @Slot(str)
    def setCurrentPath(self, path: str) -> None:
        """Show a path."""
        self._combo.setEditText(path)

    @Slot()
    def addCurrentPathToHistory(self) -> None:
        """Put the path on top of the history."""
        if self._key and self.currentPath:
            former = QtCore.QSettings().value(self._key) or []
            former = [former] if isinstance(former, str) else list(former)
            paths = [self.currentPath, *[path for path in former if path != self.currentPath]]
            QtCore.QSettings().setValue(self._key, paths)
            self.retrieveHistory()

    @Slot()
    def retrieveHistory(self) -> None:
        """Fill the list with the history."""
        text = self.currentPath
        former = QtCore.QSettings().value(self._key) or []
        self._combo.clear()
        self._combo.addItems([former] if isinstance(former, str) else list(former))
        self._combo.setEditText(text)

    @Slot(result=QtCore.QObject)
    def comboBox(self) -> QtWidgets.QComboBox:
        """The line's combo box."""
        return self._combo


class ctkSearchBox(QtWidgets.QLineEdit):
    """A line to search with."""

    showSearchIcon = kept(bool, "icon", False)


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider and a spin box."""

    valueChanged = Signal(float)
    decimals = kept(int, "decimals", 2)
    singleStep = kept(float, "step", 1.0)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._low, self._high, self._value = 0.0, 99.0, 0.0
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setMaximum(1000)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(QtWidgets.QDoubleSpinBox(self))

    def _set(self, value: float) -> None:
        value = min(max(float(value), self._low), self._high)
        if value != self._value:
            self._value = value
            self._slider.setValue(round(1000 * value / (self._high or 1)))
            self.valueChanged.emit(value)

    def _set_low(self, low: float) -> None:
        self._low = low

    def _set_high(self, high: float) -> None:
        self._high = high
        self._set(self._value)

    value = Property(float, lambda self: self._value, _set)
    minimum = Property(float, lambda self: self._low, _set_low)
    maximum = Property(float, lambda self: self._high, _set_high)


WIDGETS = (
    ctkCollapsibleButton, ctkCollapsibleGroupBox, ctkPathLineEdit, ctkSearchBox, ctkSliderWidget,
)
