"""Loads ActiveSegLoop.py outside Slicer: real slicer-core, stand-ins for what only Slicer has.

The stand-ins hold no logic of their own. What they can't show (the panel drawn, the module listed)
is tested in the application, in Testing/Python.
"""

import importlib.util
import sys
import types
import unittest

from Testing.repository import MODULE


class ScriptedLoadableModule:
    """Keeps the module object that Slicer hands over."""

    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    """Remembers whether the panel was reloaded."""

    reloaded = False

    def __init__(self, parent=None):
        self.parent = parent

    def setup(self):
        """Slicer adds its developer section here."""

    def onReload(self):
        """Slicer loads the module's file anew here."""
        self.reloaded = True


class ScriptedLoadableModuleLogic:
    """Slicer's base class keeps the module's name only."""


def stand_ins() -> dict[str, types.ModuleType]:
    """The application's modules that slicer-core lacks, by name."""
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda text: text
    i18n.translate = lambda context, text: text
    scripted = types.ModuleType("slicer.ScriptedLoadableModule")
    scripted.ScriptedLoadableModule = ScriptedLoadableModule
    scripted.ScriptedLoadableModuleWidget = ScriptedLoadableModuleWidget
    scripted.ScriptedLoadableModuleLogic = ScriptedLoadableModuleLogic
    scripted.ScriptedLoadableModuleTest = unittest.TestCase
    return {i18n.__name__: i18n, scripted.__name__: scripted}


def load_module() -> types.ModuleType:
    """ActiveSegLoop.py, executed anew; the stand-ins stay in sys.modules."""
    sys.modules.update(stand_ins())
    spec = importlib.util.spec_from_file_location("ActiveSegLoop", MODULE / "ActiveSegLoop.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
