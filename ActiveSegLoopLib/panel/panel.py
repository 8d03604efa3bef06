"""The whole panel: its sections, the open study, and what the scene remembers of both."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import qt
import SimpleITK  # noqa: F401 - takes half a second: while the panel is made, not at the first study
import slicer
from slicer.util import VTKObservationMixin

from ActiveSegLoopLib.panel.background import Background
from ActiveSegLoopLib.panel.compare_section import CompareSection
from ActiveSegLoopLib.panel.memory import Memory
from ActiveSegLoopLib.panel.next_section import NextSection
from ActiveSegLoopLib.panel.parameters import Remembered
from ActiveSegLoopLib.panel.progress_section import ProgressSection
from ActiveSegLoopLib.panel.section import Section
from ActiveSegLoopLib.panel.segment_section import SegmentSection
from ActiveSegLoopLib.panel.study_section import StudySection
from ActiveSegLoopLib.panel.texts import fit_height
from ActiveSegLoopLib.panel.train_section import TrainSection
from ActiveSegLoopLib.panel.volume_lists import VolumeLists

# In the order of the work; each class has its .ui file and a collapsible button of its name.
SECTIONS: tuple[type[Section], ...] = (
    StudySection, NextSection, TrainSection, SegmentSection, CompareSection, ProgressSection,
)
EDITOR = "segmentEditorWidget"
_MILLISECONDS_BETWEEN_LOOKS = 1000
# As wide as the segment editor: the views don't jump when a section is unfolded or a case opened.
_WIDTH = 355
# What opens studies, and imports much.
_ENGINE = "ActiveSegLoopLib.scene.loop"


class Panel(VTKObservationMixin):
    """The sections one below the other; Slicer's module widget passes its calls on to here.

    logic: the module's; layout: of the module's widget; resource: a function from a file's name
    below Resources to its path.
    """

    def __init__(self, logic: Any, layout: Any, resource: Callable[[str], str]) -> None:
        VTKObservationMixin.__init__(self)
        self.logic = logic
        self.resource = resource
        self.background = Background()
        self.study: Any = None
        self._restoring = False
        self._is_importing = False
        self._to_restore: Remembered | None = None
        self._restoring_timer = qt.QTimer()
        self._restoring_timer.setSingleShot(True)
        self._restoring_timer.connect("timeout()", self._restore_later)
        self._following_timer = qt.QTimer()
        self._following_timer.setInterval(_MILLISECONDS_BETWEEN_LOOKS)
        self._following_timer.connect("timeout()", self.follow_scripts)
        self._following_timer.connect("timeout()", self.fit_texts)
        self.ui = SimpleNamespace()
        self._tops = []
        for kind in SECTIONS:
            top = slicer.util.loadUI(resource(f"UI/{kind.__name__}.ui"))
            top.minimumWidth = _WIDTH
            layout.addWidget(top)
            self._tops.append(top)
            vars(self.ui).update(named_widgets(top))
        layout.addStretch(1)
        for top in self._tops:
            top.setMRMLScene(slicer.mrmlScene)
        self.sections = {kind.name: kind(self) for kind in SECTIONS}
        self.volume_lists = VolumeLists([
            self.ui.addVolumeSelector, self.ui.segmentVolumeSelector, self.ui.segmentListSelector,
        ])
        self.memory = Memory(logic, self.ui)
        self.memory.use()
        # Showing that nothing is open yet would be remembered, too.
        remembered = Remembered.of(self.parameters)
        for name, section in self.sections.items():
            section.setup()
            button = getattr(self.ui, f"{name}CollapsibleButton")
            button.connect("contentsCollapsed(bool)", self._remembering(name))
        self._observe_scene()
        self.restore(remembered)

    def follow_scripts(self) -> None:
        """Show the study and the case that a script has opened through the same logic."""
        loop = vars(self.logic).get("_loop")  # the property would make one, and import much
        if loop is None or not loop.has_study:
            return
        if loop.study is not self.study:
            opened = loop.opened
            self.open_study(loop.study)
            loop.opened = opened
        self.sections["next"].labeling.adopt(loop.opened)

    def fit_texts(self) -> None:
        """Keep texts of several lines as high as they are at the panel's width."""
        for name, widget in vars(self.ui).items():
            if name.endswith("Label") and widget.wordWrap:
                fit_height(widget)

    def when_ready(self, then: Callable[[], None]) -> None:
        """Call this once the engine is imported: at once, or the first time when a thread did it.

        Its libraries take most of a second, and the window must not wait for them.
        """
        # It is among the modules from the beginning of its import on.
        if _ENGINE in sys.modules and not self._is_importing:
            then()
            return
        self._is_importing = True

        def imported(engine: Any) -> None:
            self._is_importing = False
            then()

        failed = self.sections["study"].tell_error
        self.background.start(lambda: import_module(_ENGINE), imported, failed)

    def open_study(self, study: Any) -> None:
        """Show this study, None for none, in all sections."""
        for section in reversed(self.sections.values()):  # what is open closes before its study
            section.tell("")  # what it told was of the former study
            section.close_study()
        self.study = study
        self.parameters.study_folder = "" if study is None else str(study.folder)
        self.show_study()

    def show_study(self) -> None:
        """Show the study in all sections after it changed."""
        for section in self.sections.values():
            section.show_study()

    def labels_changed(self) -> None:
        """A label was added, renamed or colored: say so to whoever shows labels."""
        for section in self.sections.values():
            section.labels_changed()

    def study_changed(self) -> None:
        """Labels were accepted, say: show the study's state anew, but leave the open case alone."""
        for name in ("study", "train", "segment", "compare", "progress"):
            self.sections[name].show_study()
        self.sections["next"].strip.study_changed()

    def case_changed(self) -> None:
        """Another case is open, or none: labels can be less free, more can be compared."""
        self.sections["study"].labels.show()
        self.sections["compare"].show_study()

    def trained(self) -> None:
        """A round was trained: its model works from now on, and proposes."""
        self.logic.loop.reload_model()
        self.sections["next"].proposing.find()
        self.sections["progress"].advise()

    def open_case(self, name: str | None) -> None:
        """Show a case to look at or to label; the section Study makes room for it."""
        if name is not None:
            self.sections["next"].open(name, self.parameters.plane.value)
            self.ui.studyCollapsibleButton.collapsed = True

    def look_at(self, name: str, ras: tuple[float, float, float]) -> None:
        """Show a point (RAS, mm) of a case; the sections stay folded and unfolded as they are."""
        from ActiveSegLoopLib.scene.jumping import jump_to_point

        section = self.sections["next"]
        if section.labeling.case is None or section.labeling.case.name != name:
            section.proposal = None
            section.labeling.open(name, self.parameters.plane.value)
        else:
            section.at_hand.return_to_case()
        # Behind the loading, should there be one.
        self.background.start(lambda: None, lambda _: jump_to_point(ras), section.tell_error)

    @property
    def parameters(self) -> Any:
        """What the scene remembers of the panel, a parameters.Parameters."""
        return self.memory.parameters

    @property
    def has_open_case(self) -> bool:
        """Whether a case is being labeled."""
        labeling = getattr(self.sections["next"], "labeling", None)
        return labeling is not None and labeling.opened is not None

    @property
    def is_connected(self) -> bool:
        """Whether there is a parameter node to remember things in."""
        return self.memory.is_connected

    def show_section(self, name: str) -> None:
        """Unfold a section."""
        getattr(self.ui, f"{name}CollapsibleButton").collapsed = False

    def enter(self) -> None:
        """The user turned to this module."""
        self.follow_scripts()
        self._following_timer.start()
        for section in self.sections.values():
            section.enter()

    def exit(self) -> None:
        """The user turned to another module."""
        self._following_timer.stop()
        for section in self.sections.values():
            section.exit()

    def cleanup(self) -> None:
        """Let go of everything; Slicer calls this before the panel is destroyed or reloaded."""
        self.removeObservers()
        self._following_timer.stop()
        self._all(lambda section: section.cleanup())
        self.background.finish()
        self.memory.release()
        self.volume_lists.cleanup()
        self.logic.closeStudy()
        self.study = None
        for top in self._tops:
            top.setMRMLScene(None)
            top.deleteLater()
        self._tops = []

    def restore(self, remembered: Remembered) -> None:
        """Show what a parameter node remembers: study, section, and what was being labeled."""
        if remembered.section in self.sections:
            self._restoring = True
            for name in self.sections:
                button = getattr(self.ui, f"{name}CollapsibleButton")
                button.collapsed = name != remembered.section
            self._restoring = False
        folder = remembered.study_folder
        if folder and not Path(folder).is_dir():
            self.sections["study"].tell_missing(folder)
        elif folder and (self.study is None or str(self.study.folder) != folder):
            self.when_ready(lambda: self._open_and_restore(remembered))
            return
        self._restore_sections(remembered)

    def _all(self, call: Callable[[Section], None]) -> None:
        """Call every section; what fails in one is told there and keeps no other from ending."""
        for section in self.sections.values():
            try:
                call(section)
            except Exception as error:
                section.tell_error(error)

    def _open_and_restore(self, remembered: Remembered) -> None:
        self.sections["study"].open_folder(remembered.study_folder)
        self._restore_sections(remembered)

    def _restore_sections(self, remembered: Remembered) -> None:
        if self.study is not None and str(self.study.folder) == remembered.study_folder:
            for section in self.sections.values():
                section.restore(remembered)

    def _remembering(self, name: str) -> Callable[[bool], None]:
        def remember(collapsed: bool) -> None:
            if not collapsed and not self._restoring and self.is_connected:
                self.parameters.section = name

        return remember

    def _observe_scene(self) -> None:
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._on_start_close)
        self.addObserver(scene, scene.EndCloseEvent, self._on_end_close)
        self.addObserver(scene, scene.EndImportEvent, self._on_end_import)

    def _on_start_close(self, caller: Any, event: Any) -> None:
        self._all(lambda section: section.scene_closes())
        self.memory.scene_closes()

    def _on_end_close(self, caller: Any, event: Any) -> None:
        """The study stays open; what was shown of it went with the scene."""
        self.memory.scene_closed(has_study=self.study is not None)
        if self.study is not None:
            self.parameters.study_folder = str(self.study.folder)
        for section in self.sections.values():
            section.scene_closed()

    def _on_end_import(self, caller: Any, event: Any) -> None:
        self.memory.use()
        self._to_restore = Remembered.of(self.parameters)
        # The scene calls from within its loading: what it holds is shown once that is over.
        self._restoring_timer.start(0)

    def _restore_later(self) -> None:
        remembered, self._to_restore = self._to_restore, None
        if remembered is None or not self._tops:
            return
        try:
            self.restore(remembered)
        except Exception as error:
            self.sections["study"].tell_error(error)


def named_widgets(top: Any) -> dict[str, Any]:
    """The widgets of a .ui file by their names.

    Not those inside the segment editor: its effects come from anywhere and may have any name.
    """
    found, waiting = {}, [top]
    while waiting:
        widget = waiting.pop()
        name = getattr(widget, "name", "")
        if name:
            found[name] = widget
        if name != EDITOR:
            waiting.extend(widget.children())
    return found
