"""`qt` as PythonQt shows it in Slicer, made of PySide6: strict where PythonQt is unforgiving.

A Qt property is an attribute and calling it fails; an attribute that doesn't exist can't be set; a
signal is named by its exact signature, and a wrong one fails here (in Slicer it is only printed).
Exceptions in slots are kept in `SLOTS.errors`, and how long each slot took in `SLOTS.seconds`.
"""

from __future__ import annotations

import functools
import time
import types
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

MODULES = (QtCore, QtGui, QtWidgets, QtUiTools)
_proxies: dict[int, Proxy] = {}


class _Slots:
    """What happened in slots, and the connections that keep them alive."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.seconds: list[tuple[str, float]] = []
        self.connected: dict[tuple, Any] = {}


SLOTS = _Slots()


def passed_on(function: Any) -> Any:
    """A slot that gets only as many arguments as it takes, as PythonQt passes them."""
    code = getattr(function, "__code__", None)
    takes = None
    if code is not None and not code.co_flags & 0x04:
        takes = code.co_argcount - (1 if isinstance(function, types.MethodType) else 0)

    def slot(*arguments: Any) -> None:
        began = time.perf_counter()
        try:
            function(*[wrap(argument) for argument in arguments[:takes]])
        except Exception as error:
            SLOTS.errors.append(error)
        SLOTS.seconds.append(
            (getattr(function, "__qualname__", repr(function)), time.perf_counter() - began)
        )

    return slot


def wrap(value: Any) -> Any:
    """What PythonQt would return for a value of PySide6."""
    if isinstance(value, QtCore.QObject):
        return proxy_of(value)
    if isinstance(value, (list, tuple)):
        return tuple(wrap(item) for item in value)
    return value


def unwrap(value: Any) -> Any:
    """What PySide6 takes for a value of the code under test."""
    if isinstance(value, Proxy):
        return object.__getattribute__(value, "_it")
    if isinstance(value, (list, tuple)):
        return [unwrap(item) for item in value]
    if isinstance(value, (types.FunctionType, types.MethodType)):
        return passed_on(value)
    return value


def proxy_of(it: QtCore.QObject) -> Proxy:
    """The one proxy of an object."""
    address = shiboken6.getCppPointer(it)[0]
    found = _proxies.get(address)
    if found is None or not shiboken6.isValid(object.__getattribute__(found, "_it")):
        found = Proxy.__new__(_class_of(type(it)))
        object.__setattr__(found, "_it", it)
        _proxies[address] = found
    return found


class _Class(type):
    """A wrapped class: its static methods and enumeration values are attributes."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _static(getattr(type.__getattribute__(cls, "_class"), name))


def _static(value: Any) -> Any:
    if callable(value) and not isinstance(value, type):
        return lambda *given: wrap(value(*map(unwrap, given)))
    return value


class Proxy(metaclass=_Class):
    """A wrapped QObject; a class derived from one may have attributes of its own."""

    _class: type = QtCore.QObject

    def __init__(self, *arguments: Any) -> None:
        it = _instance_class(type(self))(*map(unwrap, arguments))
        object.__setattr__(self, "_it", it)
        if isinstance(it, _Overriding):
            it.proxy = self
        _proxies[shiboken6.getCppPointer(it)[0]] = self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_it":
            raise AttributeError(name)
        it = object.__getattribute__(self, "_it")
        if name == "name":
            return it.objectName()
        meta = it.metaObject()
        index = meta.indexOfProperty(name)
        if index >= 0:
            return wrap(meta.property(index).read(it))
        if name in _signals(meta):
            return _Signal(self, name)
        if not hasattr(it, name):
            raise AttributeError(f"{meta.className()} has no attribute named '{name}'")
        return _static(getattr(it, name))

    def __setattr__(self, name: str, value: Any) -> None:
        it = object.__getattribute__(self, "_it")
        meta = it.metaObject()
        index = meta.indexOfProperty(name)
        if index >= 0:
            if not meta.property(index).write(it, unwrap(value)):
                raise TypeError(f"{meta.className()}.{name} can't be {value!r}")
        elif type(self).__module__ != __name__:
            object.__setattr__(self, name, value)
        else:
            raise AttributeError(
                f"'{name}' does not exist on {meta.className()} and creating new attributes on "
                "C++ objects is not allowed"
            )

    def connect(self, signal: str, function: Any) -> bool:
        """Connect a signal, named by its exact signature."""
        it = object.__getattribute__(self, "_it")
        normal = QtCore.QMetaObject.normalizedSignature(signal).data().decode()
        assert signal == normal, f"write {normal} for {signal}"
        meta = it.metaObject()
        assert meta.indexOfSignal(signal) >= 0, (
            f"QObject::connect() signal '{signal}' does not exist on {meta.className()}"
        )
        name, _, types_ = signal.rstrip(")").partition("(")
        slot = passed_on(function)
        bound = getattr(it, name)
        overloads = [s for s in _signals(meta)[name] if s != signal]
        if overloads and types_:
            bound = bound[types_]
        bound.connect(slot)
        SLOTS.connected[(id(it), signal, function)] = (bound, slot)
        return True

    def disconnect(self, signal: str, function: Any) -> bool:
        """Undo a connection."""
        it = object.__getattribute__(self, "_it")
        bound, slot = SLOTS.connected.pop((id(it), signal, function))
        return bound.disconnect(slot)

    def setProperty(self, name: str, value: Any) -> bool:
        """Set a dynamic property."""
        return unwrap(self).setProperty(name, unwrap(value))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {object.__getattribute__(self, '_it')!r}>"


class _Signal:
    """`widget.signal`: to connect, or to emit by calling it."""

    def __init__(self, proxy: Proxy, name: str) -> None:
        self._proxy, self._name = proxy, name

    def connect(self, function: Any) -> bool:
        """Connect the signal's fullest signature."""
        signatures = _signals(unwrap(self._proxy).metaObject())[self._name]
        return self._proxy.connect(max(signatures, key=len), function)

    def disconnect(self, function: Any) -> bool:
        """Undo a connection."""
        signatures = _signals(unwrap(self._proxy).metaObject())[self._name]
        return self._proxy.disconnect(max(signatures, key=len), function)

    def __call__(self, *arguments: Any) -> None:
        getattr(unwrap(self._proxy), self._name).emit(*map(unwrap, arguments))


def _signals(meta: QtCore.QMetaObject) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for index in range(meta.methodCount()):
        method = meta.method(index)
        if method.methodType() == QtCore.QMetaMethod.MethodType.Signal:
            signature = method.methodSignature().data().decode()
            found.setdefault(signature.partition("(")[0], []).append(signature)
    return found


class _Overriding:
    """Marks instances whose virtual methods are those of a Python class under test."""


@functools.cache
def _instance_class(cls: type) -> type:
    """The class of PySide6 to make for a wrapped class, or for one derived from it."""
    base = cls._class
    if cls.__module__ == __name__:
        return base
    own = {
        name
        for parent in cls.__mro__
        if isinstance(parent, _Class) and parent.__module__ != __name__
        for name in vars(parent)
    }

    def forwarded(name: str) -> Any:
        def method(self: Any, *arguments: Any) -> Any:
            try:
                return unwrap(getattr(self.proxy, name)(*map(wrap, arguments)))
            except Exception as error:
                SLOTS.errors.append(error)

        return method

    virtual = {
        name: forwarded(name)
        for name in own
        if not name.startswith("_") and callable(getattr(base, name, None))
    }
    return type(cls.__name__, (base, _Overriding), virtual)


@functools.cache
def _class_of(base: type) -> type:
    return _Class(base.__name__, (Proxy,), {"_class": base, "__module__": __name__})


def make_qt() -> types.ModuleType:
    """The module `qt`."""
    module = types.ModuleType("qt")

    def find(name: str) -> Any:
        for part in MODULES:
            if hasattr(part, name):
                found = getattr(part, name)
                if isinstance(found, type) and issubclass(found, QtCore.QObject):
                    return _class_of(found)
                return _Value(found) if isinstance(found, type) else found
        raise AttributeError(f"module 'qt' has no attribute '{name}'")

    module.__getattr__ = functools.cache(find)
    return module


class _Value:
    """A class of Qt that isn't a QObject, such as QColor or QTableWidgetItem."""

    def __init__(self, cls: type) -> None:
        self._class = cls

    def __call__(self, *arguments: Any) -> Any:
        return self._class(*map(unwrap, arguments))

    def __getattr__(self, name: str) -> Any:
        return _static(getattr(self._class, name))


def make_class(cls: type) -> type:
    """The wrapped class of a widget written with PySide6."""
    return _class_of(cls)
