"""The window is never kept waiting: what takes long runs elsewhere; keys; first use; reload."""

import importlib.util
import sys
import threading
from types import SimpleNamespace

import pytest
import slicer

from ActiveSegLoopLib.errors import ActiveSegLoopError
from Testing.panel import pythonqt
from Testing.panel.cases import labels
from Testing.panel.test_next_section import open_next, paint, proposal, wait
from Testing.panel.test_study_section import open_in
from Testing.panel.window import until

# The promise is 0.1 s on a workstation; a test machine shares its core with others.
LONGEST_SLOT = 0.5


def threads_of(monkeypatch, owner, name):
    """Note the threads in which a function runs."""
    seen = []
    original = getattr(owner, name)

    def noted(*arguments, **options):
        seen.append(threading.current_thread() is threading.main_thread())
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, noted)
    return seen


def test_reading_and_writing_happen_beside_the_window_and_no_slot_takes_long(
    panel, study, monkeypatch, tmp_path
):
    from ActiveSegLoopLib.scene import comparing, opening
    from ActiveSegLoopLib.study import channels, drafts, revisions

    watched = {
        "image": threads_of(monkeypatch, opening, "read_images"),
        "added": threads_of(monkeypatch, channels, "read_image"),
        "stored": threads_of(monkeypatch, revisions, "write_segmentation"),
        "draft": threads_of(monkeypatch, drafts, "write_segmentation"),
        "compared": threads_of(monkeypatch, comparing, "compare_pairs"),
    }
    study.save_proposals([proposal("p1", 2), proposal("p1", 4), proposal("p2", 3)])
    open_in(panel, study.folder)
    labeling = open_next(panel)
    paint(labeling, labels().array)
    labeling.keep_draft()
    wait(panel)
    panel.ui.sliceDoneButton.click()
    panel.ui.volumeDoneButton.click()
    wait(panel)
    study.add_revision(study.case("p1"), labels(1), origin="corrected")
    panel.case_changed()
    panel.ui.compareCaseComboBox.currentIndex = 0
    panel.ui.compareButton.click()
    wait(panel)
    from ActiveSegLoopLib.images.writing import write_volume
    from Testing.panel.cases import image

    write_volume(tmp_path / "q9.nrrd", image(9))
    panel.sections["study"].adding.add([tmp_path / "q9.nrrd"])
    wait(panel)
    # The study itself was asked for a revision by this test, in this thread.
    watched["stored"].remove(True)
    assert {name: any(seen) for name, seen in watched.items()} == dict.fromkeys(watched, False)
    assert all(watched.values())
    slowest = max(pythonqt.SLOTS.seconds, key=lambda entry: entry[1], default=("", 0.0))
    assert slowest[1] < LONGEST_SLOT, slowest


def test_the_event_loop_goes_on_while_something_long_runs(panel):
    import qt

    beats = []
    timer = qt.QTimer()
    timer.setInterval(5)
    timer.connect("timeout()", lambda: beats.append(1))
    timer.start()
    ended = []
    go_on = threading.Event()
    panel.background.start(lambda: go_on.wait(20), ended.append, ended.append)
    until(lambda: len(beats) > 20)
    assert ended == []
    go_on.set()
    wait(panel)
    assert ended == [True]
    timer.stop()


def test_background_work_runs_in_its_order_and_an_error_stops_nothing(panel):
    told = []
    panel.background.start(lambda: 1, told.append, told.append)
    panel.background.start(lambda: 1 / 0, told.append, told.append)
    panel.background.start(lambda: 3, told.append, told.append)
    wait(panel)
    assert told[0] == 1 and isinstance(told[1], ZeroDivisionError) and told[2] == 3


def test_the_keys_accept_the_slice_and_open_the_next_proposal(widget, study):
    panel = widget.panel
    study.save_proposals([proposal("p1", 2), proposal("p1", 4), proposal("p2", 3)])
    open_in(panel, study.folder)
    keys = dict(zip(("done", "next"), (key for key, _ in panel.sections["next"]._shortcuts)))
    keys["next"].activated()
    wait(panel)
    keys["done"].activated()
    wait(panel)
    assert dict(study.latest(study.case("p1")).annotation.slices) == {"axial": (2,)}
    widget.exit()
    assert panel.sections["next"]._shortcuts == []


def lacking(monkeypatch, *names):
    """Let packages be missing."""
    original = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in names else original(name, *a)
    )


def test_nothing_is_asked_or_fetched_when_all_packages_are_there(panel, asked, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("monai")
    from ActiveSegLoopLib.panel.packages import ensure_packages

    assert ensure_packages(panel)
    assert asked.texts == []


@pytest.mark.parametrize("is_imported", [True, False])
def test_missing_packages_are_asked_for_once_and_torch_comes_first(
    panel, asked, monkeypatch, is_imported
):
    from ActiveSegLoopLib.panel import packages

    done = []
    lacking(monkeypatch, "torch")
    monkeypatch.setattr(packages, "_are_there", lambda *_: False)

    class Logic:
        def installTorch(self, askConfirmation, torchVersionRequirement):
            done.append(("torch", askConfirmation, torchVersionRequirement))
            return object()

    packaging = SimpleNamespace(
        load_requirements=lambda path: path,
        pip_ensure=lambda requirements, **options: done.append(("pip", options)),
    )
    monkeypatch.setitem(sys.modules, "PyTorchUtils", SimpleNamespace(PyTorchUtilsLogic=Logic))
    if is_imported:
        monkeypatch.setattr(slicer, "packaging", packaging, raising=False)
    else:  # as in Slicer, until somebody asks for it
        monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    assert packages.ensure_packages(panel)
    assert len(asked.texts) == 1 and "PyTorch" in asked.texts[0]
    assert done[0] == ("torch", False, ">=2.8")
    assert done[1] == ("pip", {"requester": "ActiveSegLoop", "prompt_install": False})


def test_who_says_no_goes_on_without_and_a_missing_extension_is_told(panel, asked, monkeypatch):
    from ActiveSegLoopLib.panel.packages import ensure_packages

    lacking(monkeypatch, "torch")
    asked.answer = False
    assert not ensure_packages(panel)
    asked.answer = True
    with pytest.raises(ActiveSegLoopError, match="install the extension PyTorch"):
        ensure_packages(panel)


def test_an_unforeseen_error_is_one_sentence_and_its_traceback_is_in_the_log(
    panel, study, monkeypatch, caplog
):
    def broken(*_):
        raise RuntimeError("two\nlines")

    open_in(panel, study.folder)
    monkeypatch.setattr(panel.logic.loop, "start_training", broken)
    monkeypatch.setattr("ActiveSegLoopLib.panel.train_section.ensure_packages", lambda *_: True)
    panel.ui.trainButton.click()
    assert panel.ui.trainMessageLabel.text.startswith("This failed (RuntimeError: two lines)")
    assert "Traceback" in caplog.text


def test_opening_the_window_imports_nothing_heavy():
    import subprocess
    import sys

    from Testing.repository import ROOT

    code = (
        "import os, sys; os.environ['QT_QPA_PLATFORM'] = 'offscreen'\n"
        "from PySide6 import QtWidgets; app = QtWidgets.QApplication([])\n"
        "from Testing.panel.window import install, open_window\n"
        "def patch(t, n, v):\n"
        "    t.__setitem__(n, v) if isinstance(t, dict) else setattr(t, n, v)\n"
        "install(patch); before = set(sys.modules); w = open_window()\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})\n"
        "w.exit(); w.cleanup()"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    heavy = {"torch", "monai", "matplotlib", "scipy", "safetensors", "tqdm", "pandas"}
    assert set(ran.stdout.split()) & heavy == set()


def test_the_engine_is_imported_by_a_thread_before_the_first_study_opens(
    panel, study, monkeypatch
):
    from ActiveSegLoopLib.panel import panel as module

    engine, threads = importlib.import_module(module._ENGINE), []
    monkeypatch.delitem(sys.modules, module._ENGINE)

    def imported(name):
        threads.append(threading.current_thread())
        sys.modules[name] = engine

    monkeypatch.setattr(module, "import_module", imported)
    panel.ui.studyPathLineEdit.currentPath = str(study.folder)
    panel.ui.openButton.click()
    assert panel.study is None, "the window doesn't wait for it"
    wait(panel)
    assert panel.study.folder == study.folder
    assert len(threads) == 1 and threads[0] is not threading.main_thread()


def test_a_second_press_waits_for_the_engine_without_the_window(panel, study, monkeypatch):
    from ActiveSegLoopLib.panel import panel as module

    engine = importlib.import_module(module._ENGINE)
    begun, may_end = threading.Event(), threading.Event()
    monkeypatch.delitem(sys.modules, module._ENGINE)

    def imported(name):
        sys.modules[name] = engine  # where a module is as soon as its import begins
        begun.set()
        may_end.wait(10)

    monkeypatch.setattr(module, "import_module", imported)
    panel.ui.studyPathLineEdit.currentPath = str(study.folder)
    panel.ui.openButton.click()
    assert begun.wait(10)
    panel.ui.openButton.click()
    assert panel.study is None
    may_end.set()
    wait(panel)
    assert panel.study.folder == study.folder
