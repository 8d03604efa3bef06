"""The module's window without the application: its real .ui files and code, real MRML nodes.

`qt`, `ctk` and Slicer's widgets are the strict stand-ins of this folder; the functions of
slicer.util are Slicer's own as far as the wheel has them.
"""

from __future__ import annotations

import importlib.util
import sys
import time
import types
import unittest
from collections.abc import Callable
from typing import Any

import slicer
import slicer.util

from Testing.panel import ctk_widgets, parameter_nodes, pythonqt, slicer_widgets
from Testing.repository import MODULE
from Testing.scene.starting import add_slice_views, started_scene

WIDTH = 400


class _ModuleManager:
    def connect(self, signal: str, function: Callable) -> None:
        """Slicer tells here before a module is unloaded."""


class _Application:
    """slicer.app as far as the panel asks it."""

    def __init__(self, qt: Any) -> None:
        self._qt = qt
        self.testing = True

    def style(self) -> Any:
        return self._qt.QApplication.style()

    def processEvents(self) -> None:
        self._qt.QApplication.processEvents()

    def testingEnabled(self) -> bool:
        return self.testing


class ScriptedLoadableModule:
    """Keeps the module object that Slicer hands over."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    """A widget with a vertical layout, as Slicer's base class has it."""

    reloaded = False

    def __init__(self, parent: Any = None) -> None:
        import qt

        self.parent = parent if parent is not None else qt.QWidget()
        if self.parent.layout() is None:
            self.parent.setLayout(qt.QVBoxLayout())
        self.layout = self.parent.layout()

    def resourcePath(self, name: str) -> str:
        """The path of a file below Resources."""
        return str(MODULE / "Resources" / name)

    def setup(self) -> None:
        """Slicer adds its developer section here."""

    def onReload(self) -> None:
        """Slicer loads the module's file anew here."""
        self.reloaded = True


class ScriptedLoadableModuleLogic:
    """Slicer's base class: one parameter node of the module's name in the scene."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> Any:
        """The module's node in the scene, made where there is none."""
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = scene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetAttribute("ModuleName", self.moduleName)
            node.SetName(scene.GenerateUniqueName(self.moduleName))
            node = scene.AddNode(node)
        return node


def load_ui(qt: Any, path: str) -> Any:
    """A .ui file as the application's loader makes it."""
    from PySide6 import QtUiTools

    loader = QtUiTools.QUiLoader()
    for cls in (*ctk_widgets.WIDGETS, *slicer_widgets.WIDGETS):
        loader.registerCustomWidget(cls)
    return pythonqt.wrap(loader.load(str(path)))


def install(patch: Callable[[Any, str, Any], None]) -> None:
    """Give the running Python what only the application has; patch(object, name, value) sets it."""
    qt = pythonqt.make_qt()
    ctk = types.ModuleType("ctk")
    for cls in ctk_widgets.WIDGETS:
        setattr(ctk, cls.__name__, pythonqt.make_class(cls))
    for cls in slicer_widgets.WIDGETS:
        patch(slicer, cls.__name__, pythonqt.make_class(cls))
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda text: text
    i18n.translate = lambda context, text: text
    scripted = types.ModuleType("slicer.ScriptedLoadableModule")
    for base in (ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleLogic):
        setattr(scripted, base.__name__, base)
    scripted.ScriptedLoadableModuleTest = unittest.TestCase
    for module in (qt, ctk, i18n, scripted, parameter_nodes.make_module()):
        patch(sys.modules, module.__name__, module)
    patch(slicer, "app", _Application(qt))
    patch(slicer.util, "loadUI", lambda path: load_ui(qt, path))
    main = qt.QMainWindow()
    patch(slicer.util, "mainWindow", lambda: main)
    patch(slicer.util, "showStatusMessage", lambda text, duration=0: None)


def open_window() -> Any:
    """The module's widget in a new scene with three slice views, shown and entered."""
    started_scene()
    add_slice_views(slicer.mrmlScene)
    spec = importlib.util.spec_from_file_location("ActiveSegLoop", MODULE / "ActiveSegLoop.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    widget = module.ActiveSegLoopWidget()
    widget.setup()
    widget.parent.resize(WIDTH, 900)
    widget.parent.show()
    widget.enter()
    return widget


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Let the event loop run until something is so, and return it; fail when it takes too long."""
    import qt

    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "This took too long."
        qt.QApplication.processEvents()
        time.sleep(0.005)
    return found
