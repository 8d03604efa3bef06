"""The Slicer module outside Slicer: what it imports, what its logic and its slots do."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Study
from Testing.application import load_module, stand_ins
from Testing.repository import MODULE, ROOT

# What a Slicer 5.12 without any extension lacks.
NOT_IN_SLICER = ["torch", "monai", "matplotlib", "slicerio", "nrrd", "safetensors", "tqdm"]


def run_python(code: str) -> str:
    """What a fresh interpreter prints when it runs the code from the repository's root."""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.fixture
def module(monkeypatch):
    """ActiveSegLoop.py, loaded on slicer-core."""
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    for name, stand_in in stand_ins().items():
        monkeypatch.setitem(sys.modules, name, stand_in)
    return load_module()


@pytest.fixture
def a_study_folder(tmp_path):
    """A study with two labels and no case."""
    Study.create(tmp_path / "kidneys", LabelSchema.parse("1=artery,2=vein"))
    return tmp_path / "kidneys"


@pytest.fixture
def widget(module):
    """The panel with plain objects in place of its Qt widgets."""
    panel = module.ActiveSegLoopWidget()
    panel.logic = module.ActiveSegLoopLogic()
    panel.ui = SimpleNamespace(
        # CTK emits currentPathChanged while it moves the path to the top of the history.
        studyPathLineEdit=SimpleNamespace(
            currentPath="", addCurrentPathToHistory=panel.onStudyPathChanged
        ),
        openButton=SimpleNamespace(enabled=False),
        studyLabel=SimpleNamespace(text=""),
        loopLabel=SimpleNamespace(text=""),
    )
    return panel


def test_the_module_compiles():
    for path in MODULE.glob("*.py"):
        compile(path.read_text(encoding="utf-8"), str(path), "exec")


def test_importing_the_module_imports_nothing_heavy():
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    added = run_python(
        "import sys, slicer; from Testing.application import load_module; before = set(sys.modules)"
        "; load_module(); print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    allowed = {"slicer", "vtk", "vtkmodules", "SimpleITK", "numpy", "scipy"}
    heavy = set(added.split()) - set(sys.stdlib_module_names) - allowed
    assert heavy <= {"ActiveSegLoopLib"}


def test_a_study_opens_in_a_slicer_without_any_package_installed(a_study_folder):
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    names = run_python(
        f"import sys; sys.modules.update(dict.fromkeys({NOT_IN_SLICER}))\n"
        "from Testing.application import load_module\n"
        f"study = load_module().ActiveSegLoopLogic().openStudy({str(a_study_folder)!r})\n"
        "print(*(label.name for label in study.schema.labels))"
    )
    assert names == "artery vein"


def test_the_module_finds_its_library_from_any_working_folder(tmp_path):
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    # As Slicer starts with a source tree: nothing on sys.path or installed leads to the library.
    code = f"""
import os, sys
from Testing.application import load_module
os.chdir({str(tmp_path)!r})
sys.path = [entry for entry in sys.path if entry not in ("", {str(ROOT)!r})]
sys.meta_path = [finder for finder in sys.meta_path if "Editable" not in repr(finder)]
sys.path_importer_cache.clear()
try:
    import ActiveSegLoopLib
except ModuleNotFoundError:
    load_module()
    import ActiveSegLoopLib
    print(ActiveSegLoopLib.__file__)
"""
    assert run_python(code) == str(ROOT / "ActiveSegLoopLib" / "__init__.py")


def test_the_module_introduces_itself(module):
    parent = SimpleNamespace()
    module.ActiveSegLoop(parent)
    assert parent.title == "ActiveSegLoop"
    assert parent.categories == ["Active Learning"]
    assert "https://github.com/ActiveSegLoop/ActiveSegLoop" in parent.helpText


def test_opening_a_study_shows_it(widget, a_study_folder):
    widget.ui.studyPathLineEdit.currentPath = str(a_study_folder)
    widget.onStudyPathChanged()
    assert widget.ui.openButton.enabled
    widget.onOpenStudy()
    assert widget.ui.studyLabel.text == "Cases: 0. Labels: artery, vein."
    assert widget.ui.loopLabel.text == "Labeled cases: 0 of 0. No model has been trained yet."
    assert widget.study is not None


def test_the_panel_counts_cases_by_role_and_names_the_current_round(
    widget, a_study_folder, tmp_path
):
    study = Study.open(a_study_folder)
    geometry = Geometry(shape=(4, 5, 6), spacing=(2.0, 1.0, 1.0))
    for number, role in enumerate(["pool", "pool", "test"], start=1):
        name = f"p{number}"
        volume = Volume(np.full((4, 5, 6), number, np.int16), geometry)
        write_volume(tmp_path / f"{name}.nrrd", volume)
        study.add_case([tmp_path / f"{name}.nrrd"], role=role)
    labelmap = Volume(np.ones((4, 5, 6), np.uint8), geometry)
    revision = study.add_revision(study.case("p1"), labelmap)
    finished = study.start_round("fast", {}, 0, [revision])
    for name in ("segment.safetensors", "model.json"):
        (finished.folder / name).write_bytes(b"{}")
    study.finish_round(finished, {}, {})
    widget.ui.studyPathLineEdit.currentPath = str(a_study_folder)
    widget.onOpenStudy()
    assert widget.ui.studyLabel.text == "Cases: 3 (2 pool, 1 test). Labels: artery, vein."
    assert widget.ui.loopLabel.text == "Labeled cases: 1 of 3. The current model is round 1."


def test_a_folder_without_a_study_is_told_in_one_sentence_and_closes_the_study_shown(
    widget, a_study_folder, tmp_path
):
    widget.ui.studyPathLineEdit.currentPath = str(a_study_folder)
    widget.onOpenStudy()
    nothing = tmp_path / "nothing"
    widget.ui.studyPathLineEdit.currentPath = str(nothing)
    widget.onOpenStudy()
    assert widget.study is None
    assert str(nothing) in widget.ui.studyLabel.text
    assert not nothing.exists()


def test_an_emptied_line_closes_the_study(widget, a_study_folder):
    widget.ui.studyPathLineEdit.currentPath = str(a_study_folder)
    widget.onOpenStudy()
    widget.ui.studyPathLineEdit.currentPath = ""
    widget.onStudyPathChanged(False)
    assert widget.study is None
    assert not widget.ui.openButton.enabled
    assert widget.ui.studyLabel.text == ""


def test_a_reload_forgets_the_library(widget, monkeypatch):
    monkeypatch.setitem(sys.modules, "ActiveSegLoopLib.images.made_up", object())
    monkeypatch.setitem(sys.modules, "ActiveSegLoopLibrary", object())
    kept = {name: loaded for name, loaded in sys.modules.items() if "ActiveSegLoopLib" in name}
    try:
        widget.onReload()
        left = [name for name in sys.modules if name.startswith("ActiveSegLoopLib")]
        assert left == ["ActiveSegLoopLibrary"]
        assert widget.reloaded
    finally:
        # The tests that follow must see the classes that they imported.
        sys.modules.update(kept)
