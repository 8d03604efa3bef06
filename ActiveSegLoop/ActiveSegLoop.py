"""The ActiveSegLoop module: a thin window onto the engine in ActiveSegLoopLib."""

import importlib.util
import logging
import sys
import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

# In a source tree the library lies beside this module's folder; once installed, beside this file.
if importlib.util.find_spec("ActiveSegLoopLib") is None:
    sys.path.append(str(Path(__file__).resolve().parents[1]))


class ActiveSegLoop(ScriptedLoadableModule):
    """What Slicer shows of the module: title, category, help."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("ActiveSegLoop")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Active Learning")]
        self.parent.dependencies = []
        self.parent.contributors = ["ActiveSegLoop developers"]
        self.parent.helpText = _("""
Train a segmentation model of your own while labeling as little as possible: label a little, train,
correct what the model proposes, retrain. Nothing leaves this computer.
See the <a href="https://github.com/ActiveSegLoop/ActiveSegLoop">documentation</a>.
""")
        self.parent.acknowledgementText = _("""
Built on 3D Slicer, PyTorch and MONAI. The loop of labeling, training and correcting in stages
follows Kim et al. 2020.
""")


class ActiveSegLoopWidget(ScriptedLoadableModuleWidget):
    """The module's panel: choose a study folder, open it, see where its loop stands."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.logic = None
        self.study = None

    def setup(self):
        """Build the panel; Slicer calls this when the module is first shown."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/ActiveSegLoop.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = ActiveSegLoopLogic()
        # An emptied line emits only validInputChanged.
        self.ui.studyPathLineEdit.connect("currentPathChanged(QString)", self.onStudyPathChanged)
        self.ui.studyPathLineEdit.connect("validInputChanged(bool)", self.onStudyPathChanged)
        self.ui.openButton.connect("clicked(bool)", self.onOpenStudy)
        self.onStudyPathChanged()

    def cleanup(self):
        """Let go of the study; Slicer calls this before the panel is destroyed or reloaded."""
        self.study = None

    def onReload(self):
        """Reload the module together with its library."""
        for name in [name for name in sys.modules if name.split(".")[0] == "ActiveSegLoopLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onStudyPathChanged(self, changed=None):
        """Close the shown study, because the line now names another folder."""
        self.study = None
        self.ui.openButton.enabled = bool(self.ui.studyPathLineEdit.currentPath)
        self.ui.studyLabel.text = ""
        self.ui.loopLabel.text = _("Open a study to see where its loop stands.")

    def onOpenStudy(self, checked=False):
        """Open the chosen study and show it, or say in one sentence why it can't be opened."""
        from ActiveSegLoopLib.errors import ActiveSegLoopError

        try:
            study = self.logic.openStudy(self.ui.studyPathLineEdit.currentPath)
            contents, progress = self.logic.contents(study), self.logic.progress(study)
        except ActiveSegLoopError as error:
            logging.error(str(error))
            self.onStudyPathChanged()
            self.ui.studyLabel.text = str(error)
            return
        self.ui.studyPathLineEdit.addCurrentPathToHistory()  # emits currentPathChanged: show after
        self.study = study
        self.ui.studyLabel.text = contents
        self.ui.loopLabel.text = progress


class ActiveSegLoopLogic(ScriptedLoadableModuleLogic):
    """What the panel does, for scripts and Slicer's Python console.

    >>> logic = slicer.util.getModuleLogic("ActiveSegLoop")
    >>> study = logic.openStudy("/data/kidneys")
    >>> print(logic.contents(study))
    """

    def openStudy(self, folder):
        """The engine's Study in a folder; raises StudyError where there is none."""
        from ActiveSegLoopLib.study.study import Study

        return Study.open(folder)

    def contents(self, study):
        """A study's cases and labels in one sentence each."""
        cases = study.cases()
        counts = {role: sum(case.role == role for case in cases) for role in self._roles(cases)}
        roles = ", ".join(f"{count} {role}" for role, count in counts.items())
        labels = ", ".join(label.name for label in study.schema.labels)
        return _("Cases: {count}{roles}. Labels: {labels}.").format(
            count=len(cases), roles=f" ({roles})" if roles else "", labels=labels
        )

    def progress(self, study):
        """Where the loop of labeling and training stands, in one sentence each."""
        cases = study.cases()
        labeled = sum(study.latest(case) is not None for case in cases)
        current = study.current_round()
        if current is None:
            model = _("No model has been trained yet.")
        else:
            model = _("The current model is round {number}.").format(number=current.number)
        counted = _("Labeled cases: {labeled} of {count}.").format(
            labeled=labeled, count=len(cases)
        )
        return f"{counted} {model}"

    @staticmethod
    def _roles(cases):
        """The roles that occur, in the order of their first case."""
        return list(dict.fromkeys(case.role for case in cases))


class ActiveSegLoopTest(ScriptedLoadableModuleTest):
    """The module's own test. It leaves the scene and the user's list of studies as they were."""

    def setUp(self):
        """Remember which study folders the user has opened, and what the panel shows."""
        import qt

        self.settings = qt.QSettings()
        self.folders = self.settings.value("ActiveSegLoop/StudyFolders")
        self.widget = slicer.modules.activesegloop.widgetRepresentation().self()
        self.path = self.widget.ui.studyPathLineEdit.currentPath

    def tearDown(self):
        """Put the user's list of study folders and the panel back."""
        if self.folders is None:
            self.settings.remove("ActiveSegLoop/StudyFolders")
        else:
            self.settings.setValue("ActiveSegLoop/StudyFolders", self.folders)
        self.widget.ui.studyPathLineEdit.retrieveHistory()
        self.widget.ui.studyPathLineEdit.currentPath = self.path

    def test_a_study_opens_in_the_panel(self):
        """A study made by the engine shows its labels; another folder closes it again."""
        from ActiveSegLoopLib.study.schema import LabelSchema
        from ActiveSegLoopLib.study.study import Study

        with tempfile.TemporaryDirectory() as parent:
            folder = str(Path(parent) / "kidneys")
            Study.create(folder, LabelSchema.parse("1=artery,2=vein"))
            self.openInPanel(folder)
            self.assertIn("artery, vein", self.widget.ui.studyLabel.text)
            self.assertIsNotNone(self.widget.study)
            self.widget.ui.studyPathLineEdit.currentPath = parent
            self.assertIsNone(self.widget.study)

    def test_a_folder_without_a_study_is_told_in_the_panel(self):
        """The panel says what is wrong and keeps no study open."""
        with tempfile.TemporaryDirectory() as folder:
            self.openInPanel(folder)
            self.assertIn(Path(folder).name, self.widget.ui.studyLabel.text)
            self.assertIsNone(self.widget.study)

    def openInPanel(self, folder):
        """Choose a folder in the panel and click Open."""
        self.widget.ui.studyPathLineEdit.currentPath = folder
        self.widget.ui.openButton.click()
