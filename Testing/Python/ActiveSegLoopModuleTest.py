"""What only the running application can show: the module is loaded, light, and reloads whole."""

import importlib.util
import sys
import unittest

import slicer

HEAVY = {"torch", "monai", "matplotlib", "slicerio", "safetensors", "ActiveSegLoopLib.model"}


class ActiveSegLoopModuleTest(unittest.TestCase):
    """The module as Slicer sees it."""

    def test_the_module_is_listed_under_active_learning(self):
        module = slicer.modules.activesegloop
        self.assertEqual(list(module.categories), ["Active Learning"])

    def test_loading_the_module_imports_nothing_heavy(self):
        before = set(sys.modules)
        spec = importlib.util.spec_from_file_location(
            "ActiveSegLoopOnceMore", slicer.modules.activesegloop.path
        )
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        self.assertEqual((set(sys.modules) - before) & HEAVY, set())

    def test_the_logic_opens_a_study_for_scripts(self):
        import tempfile

        from ActiveSegLoopLib.study.schema import LabelSchema
        from ActiveSegLoopLib.study.study import Study

        logic = slicer.util.getModuleLogic("ActiveSegLoop")
        with tempfile.TemporaryDirectory() as parent:
            Study.create(f"{parent}/kidneys", LabelSchema.parse("1=artery,2=vein"))
            study = logic.openStudy(f"{parent}/kidneys")
            self.assertEqual([label.name for label in study.schema.labels], ["artery", "vein"])

    def test_a_reload_takes_the_library_along(self):
        import ActiveSegLoopLib

        slicer.modules.activesegloop.widgetRepresentation().self().onReload()
        self.assertIsNot(sys.modules.get("ActiveSegLoopLib"), ActiveSegLoopLib)


if __name__ == "__main__":
    unittest.main()
