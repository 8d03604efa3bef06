"""The Slicer module outside Slicer: what it imports, what its logic and its slots do."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

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


@pytest.fixture
def connected(monkeypatch):
    """What is connected to the application's signals: a list of (signal, function)."""
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    found = []
    application = SimpleNamespace(connect=lambda *pair: found.append(pair))
    monkeypatch.setattr(slicer, "app", application, raising=False)
    return found


def test_sample_data_is_offered_once_slicer_has_started(module, connected, monkeypatch):
    offered = []

    def offer(category, sampleName, uris, fileNames, nodeNames, **more):  # noqa: N803, as in Slicer
        assert set(more) <= {"customDownloader", "thumbnailFileName", "checksums", "loadFiles"}
        assert len(uris) == len(fileNames) == len(nodeNames), "Slicer refuses this."
        offered.append((category, sampleName, more))

    logic = SimpleNamespace(registerCustomSampleDataSource=offer)
    monkeypatch.setitem(sys.modules, "SampleData", SimpleNamespace(SampleDataLogic=logic))
    module.ActiveSegLoop(SimpleNamespace())
    ((signal, function),) = connected
    assert signal == "startupCompleted()" and offered == []
    function()
    assert [entry[:2] for entry in offered] == [
        ("ActiveSegLoop", "KidneyCTPhantoms"), ("ActiveSegLoop", "DecathlonHippocampus")
    ]
    for _, _, more in offered:
        assert callable(more["customDownloader"])
        assert Path(more["thumbnailFileName"]).is_file()


def test_the_module_introduces_itself(module, connected):
    parent = SimpleNamespace()
    module.ActiveSegLoop(parent)
    assert parent.title == "ActiveSegLoop"
    assert parent.categories == ["Active Learning"]
    assert "https://github.com/ActiveSegLoop/ActiveSegLoop" in parent.helpText


@pytest.mark.parametrize("is_shown", [True, False])
def test_a_reload_enters_the_new_panel_of_a_module_that_is_shown(module, monkeypatch, is_shown):
    import slicer

    entered = []
    new = SimpleNamespace(enter=lambda: entered.append("new"))
    modules = SimpleNamespace(ActiveSegLoopWidget=new)
    monkeypatch.setattr(slicer, "modules", modules, raising=False)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))  # the library stays for other tests
    module.ActiveSegLoopWidget(SimpleNamespace(isEntered=is_shown)).onReload()
    assert entered == (["new"] if is_shown else [])


def test_a_reload_forgets_the_library(module, monkeypatch):
    widget = module.ActiveSegLoopWidget()
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
