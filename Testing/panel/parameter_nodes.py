"""slicer.parameterNodeWrapper as far as the panel uses it: typed values in a real MRML node.

A name in the .ui file that is no parameter, and a widget that can't show a parameter's type, fail
as they do in Slicer.
"""

from __future__ import annotations

import enum
import types
import typing
from dataclasses import dataclass
from typing import Any

import vtk


@dataclass(frozen=True)
class WithinRange:
    """A number from minimum to maximum."""

    minimum: float
    maximum: float


def parameterNodeWrapper(cls: type) -> type:
    """Give a class of annotated names the parameters of a node."""
    hints = typing.get_type_hints(cls, include_extras=True)
    kinds = {}
    for name, hint in hints.items():
        parts = typing.get_args(hint) if typing.get_origin(hint) is typing.Annotated else (hint,)
        assert not hasattr(_Wrapper, name), f"{name} is a reserved name"
        kinds[name] = _Kind(parts[0], parts[1:], vars(cls).get(name, _default(parts[0])))
    members = {name: _property(name) for name in kinds}
    return type(cls.__name__, (_Wrapper,), {"kinds": kinds, **members})


@dataclass(frozen=True)
class _Kind:
    type: type
    rules: tuple
    default: Any


def _default(kind: type) -> Any:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    return {str: "", int: 0, float: 0.0, bool: False}.get(kind)


def _property(name: str) -> property:
    return property(lambda self: self.getValue(name), lambda self, v: self.setValue(name, v))


class _Wrapper:
    kinds: dict[str, _Kind] = {}

    def __init__(self, node: Any) -> None:
        self.parameterNode = node
        self._guis: dict[int, tuple] = {}
        self._updating = False
        for name, kind in self.kinds.items():
            if not _is_node(kind.type) and not node.HasParameter(name):
                self.setValue(name, kind.default)

    def getValue(self, name: str) -> Any:
        """A parameter's value."""
        kind = self.kinds[name]
        if _is_node(kind.type):
            return self.parameterNode.GetNodeReference(name)
        if not self.parameterNode.HasParameter(name):
            self.setValue(name, kind.default)
        text = self.parameterNode.GetParameter(name)
        if issubclass(kind.type, enum.Enum):
            return kind.type[text]
        return text == "True" if kind.type is bool else kind.type(text)

    def setValue(self, name: str, value: Any) -> None:
        """Set a parameter's value."""
        kind = self.kinds[name]
        if _is_node(kind.type):
            self.parameterNode.SetNodeReferenceID(name, value.GetID() if value else None)
            return
        if not isinstance(value, (int, float) if kind.type is float else kind.type):
            raise TypeError(f"{name} can't be {value!r}")
        for rule in kind.rules:
            if not rule.minimum <= value <= rule.maximum:
                raise ValueError(f"{name} can't be {value}")
        text = value.name if isinstance(value, enum.Enum) else str(value)
        self.parameterNode.SetParameter(name, text)

    def connectGui(self, gui: Any) -> int:
        """Connect the widgets that name a parameter."""
        connected = {}
        for widget in vars(gui).values():
            name = widget.property("SlicerParameterName")
            if name:
                assert name in self.kinds, f"Cannot find a param with the given name: {name}"
                connected[name] = _connector(widget, self.kinds[name])
        tag = len(self._guis)
        for name, (_, write, signal, _) in connected.items():
            write(self.getValue(name))
            callback = self._callback(name, connected[name][0])
            signal.connect(callback)
            connected[name] = (*connected[name][:3], callback)
        observer = self.parameterNode.AddObserver(
            vtk.vtkCommand.ModifiedEvent, lambda caller, event: self._show(connected)
        )
        self._guis[tag] = (connected, observer)
        return tag

    def disconnectGui(self, tag: int) -> None:
        """Undo connectGui."""
        connected, observer = self._guis.pop(tag)
        for _, _, signal, callback in connected.values():
            signal.disconnect(callback)
        self.parameterNode.RemoveObserver(observer)

    def _callback(self, name: str, read: Any) -> Any:
        def changed() -> None:
            if not self._updating:
                self.setValue(name, read())

        return changed

    def _show(self, connected: dict) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            for name, (_, write, _, _) in connected.items():
                write(self.getValue(name))
        finally:
            self._updating = False


def _is_node(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "IsTypeOf")


def _connector(widget: Any, kind: _Kind) -> tuple:
    """How to read and write a widget, and the signal of its change; last the callback to be."""
    name, rules = type(widget).__name__, kind.rules
    if name == "QCheckBox" and kind.type is bool:
        return (
            lambda: widget.checked, lambda v: setattr(widget, "checked", v), widget.toggled, None
        )
    if name == "QComboBox" and issubclass(kind.type, enum.Enum):
        widget.clear()
        values = list(kind.type)
        for value in values:
            widget.addItem(value.label())
        return (
            lambda: values[widget.currentIndex],
            lambda v: setattr(widget, "currentIndex", values.index(v)),
            widget.currentIndexChanged,
            None,
        )
    if (name, kind.type) in {("QSpinBox", int), ("QDoubleSpinBox", float),
                             ("ctkSliderWidget", float)}:
        if rules:
            widget.minimum, widget.maximum = rules[0].minimum, rules[0].maximum
        else:
            raise RuntimeError("Cannot have a connection where the type is unbounded.")
        return (
            lambda: widget.value, lambda v: setattr(widget, "value", v), widget.valueChanged, None
        )
    if name == "qMRMLNodeComboBox" and _is_node(kind.type):
        widget.nodeTypes = [kind.type.__name__]
        return (widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged, None)
    raise RuntimeError(f"Unable to create GUI connector from {kind.type} to {name}.")


def make_module() -> types.ModuleType:
    """The module slicer.parameterNodeWrapper."""
    module = types.ModuleType("slicer.parameterNodeWrapper")
    module.parameterNodeWrapper = parameterNodeWrapper
    module.WithinRange = WithinRange
    return module
