"""The module's window for every test that asks for it; what fails in a slot fails the test."""

import os
import types

import pytest

from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Study
from Testing.panel.cases import add_case

# What the log says of an exception in what follows a job or a thread; no user sees it.
FAILURES = (
    "ActiveSegLoop: an event of a job couldn't be shown.",
    "ActiveSegLoop: what follows a background step failed.",
)

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(scope="session")
def application(tmp_path_factory):
    """The event loop, with settings of its own."""
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    widgets = pytest.importorskip("PySide6.QtWidgets", reason="PySide6 is not installed")
    from PySide6 import QtCore

    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
    QtCore.QSettings.setPath(
        QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope,
        str(tmp_path_factory.mktemp("settings")),
    )
    return widgets.QApplication.instance() or widgets.QApplication([])


@pytest.fixture
def slots(application, monkeypatch, caplog):
    """What happened in slots; an exception in one, or in what follows a job, fails the test."""
    from Testing.panel import pythonqt
    from Testing.panel.window import install

    def patch(target, name, value):
        if isinstance(target, dict):
            monkeypatch.setitem(target, name, value)
        else:
            monkeypatch.setattr(target, name, value, raising=False)

    monkeypatch.setattr(pythonqt, "SLOTS", pythonqt._Slots())
    install(patch)
    yield pythonqt.SLOTS
    for error in pythonqt.SLOTS.errors:
        raise error
    told = [record.getMessage() for record in caplog.get_records("call")]
    assert [text for text in told if text in FAILURES] == []


@pytest.fixture
def widget(slots):
    """The module's widget, shown and entered."""
    from Testing.panel.window import open_window

    made = open_window()
    yield made
    made.exit()
    made.cleanup()


@pytest.fixture
def panel(widget):
    """The panel in the module's widget."""
    return widget.panel


@pytest.fixture
def study(tmp_path):
    """A study with two labels, two cases to label and one to test with."""
    made = Study.create(tmp_path / "kidneys", LabelSchema.parse("1=artery,2=vein"))
    for number, role in enumerate(("pool", "pool", "test"), start=1):
        add_case(made, tmp_path / "images", f"p{number}", role)
    return made


@pytest.fixture
def another(tmp_path):
    """A second study, with cases of the same names."""
    made = Study.create(tmp_path / "livers", LabelSchema.parse("1=artery,2=vein"))
    for number in (1, 2):
        add_case(made, tmp_path / "others", f"p{number}")
    return made


@pytest.fixture
def told(slots, monkeypatch):
    """An empty scene with slice views; the list of what the module Sample Data has shown."""
    import slicer

    from Testing.scene.starting import add_slice_views, started_scene

    said = []
    page = types.SimpleNamespace(logMessage=lambda text, level: said.append((text, level)))
    widget = types.SimpleNamespace(self=lambda: page)
    module = types.SimpleNamespace(widgetRepresentation=lambda: widget)
    modules = types.SimpleNamespace(sampledata=module)
    monkeypatch.setattr(slicer, "modules", modules, raising=False)
    add_slice_views(started_scene())
    return said


@pytest.fixture
def asked(monkeypatch):
    """The questions that were asked; the answer is what is put into `answer`."""
    import slicer

    record = types.SimpleNamespace(texts=[], answer=True)

    def ask(text, *_):
        record.texts.append(text)
        return record.answer

    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", ask, raising=False)
    return record
