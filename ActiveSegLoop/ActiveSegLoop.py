"""The ActiveSegLoop module: a thin window onto the engine in ActiveSegLoopLib."""

import importlib.util
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
        self.parent.contributors = ["ActiveSegLoop developers"]
        self.parent.helpText = _("""
Train a segmentation model of your own while labeling as little as possible: label a little, train,
correct what the model proposes, retrain. Nothing leaves this computer.
See the <a href="https://github.com/ActiveSegLoop/ActiveSegLoop">documentation</a>.
""")
        self.parent.acknowledgementText = _("""
Built on 3D Slicer, PyTorch and MONAI. The loop of stages follows Kim et al. 2020.
""")
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Offer what there is to try in the module Sample Data, which is loaded by then."""
    from ActiveSegLoopLib.panel.sample_data import register

    register(Path(__file__).parent / "Resources" / "Icons")


class ActiveSegLoopWidget(ScriptedLoadableModuleWidget):
    """The module's panel; what it does is in ActiveSegLoopLib.panel, one file per section."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.logic = self.panel = None

    def setup(self):
        """Build the panel; Slicer calls this when the module is first shown."""
        from ActiveSegLoopLib.panel.panel import Panel

        ScriptedLoadableModuleWidget.setup(self)
        self.logic = ActiveSegLoopLogic()
        self.panel = Panel(self.logic, self.layout, self.resourcePath)

    def enter(self):
        """The user turned to this module."""
        if self.panel is not None:
            self.panel.enter()

    def exit(self):
        """The user turned to another module."""
        if self.panel is not None:
            self.panel.exit()

    def cleanup(self):
        """Let go of everything; Slicer calls this before the panel is destroyed or reloaded."""
        if self.panel is not None:
            self.panel.cleanup()
            self.panel = None

    def onReload(self):
        """Reload the module together with its library; if it is shown, it is entered anew."""
        for name in [name for name in sys.modules if name.split(".")[0] == "ActiveSegLoopLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)
        if getattr(self.parent, "isEntered", False):  # Slicer itself only calls setup
            slicer.modules.ActiveSegLoopWidget.enter()


class ActiveSegLoopLogic(ScriptedLoadableModuleLogic):
    """Each step of the loop in one call, for the panel, for scripts and Slicer's Python console.

    >>> logic = slicer.util.getModuleLogic("ActiveSegLoop")
    >>> study = logic.createStudy("/data/kidneys", "1=artery,2=vein")
    >>> logic.addFiles(["/data/ct/p01.nrrd"])
    >>> logic.propose(count=5)
    >>> opened = logic.openProposal(logic.proposals()[0])
    >>> # ... draw in opened.segmentation_node ...
    >>> logic.acceptSlice(seconds={"artery": 95})
    >>> logic.train("fast")
    >>> logic.segment(["p01"])
    >>> print(logic.summary())

    What takes long runs in another process. With wait=False such a method returns a job at once:
    ask it for its events with `poll()` (from a timer, say) while it `is_running`; `cancel()` stops
    it. Otherwise it waits, calls onEvent(event) with each event and raises an error when the job
    failed. Errors are ActiveSegLoopErrors of one sentence. `loop` (a Loop) has more for windows.
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self._loop = None

    @property
    def loop(self):
        """The engine's side of this logic."""
        if self._loop is None:
            from ActiveSegLoopLib.scene.loop import Loop

            self._loop = Loop()
        return self._loop

    def openStudy(self, folder):
        """Open the study in a folder; returns the engine's Study.

        >>> study = logic.openStudy("/data/kidneys")
        """
        return self.loop.open_study(folder)

    def createStudy(self, folder, labels):
        """Make a study in a new or empty folder; returns the engine's Study.

        >>> study = logic.createStudy("/data/kidneys", "1=artery,2=vein")
        """
        return self.loop.create_study(folder, labels)

    def summary(self):
        """Cases, labels and rounds of the open study in a few sentences.

        >>> print(logic.summary())
        """
        return self.loop.summary()

    def closeStudy(self):
        """Let go of the study and end the workers that keep its model loaded."""
        if self._loop is not None:
            self._loop.close_study()

    def addFiles(self, images, name=None, role="pool", group=None):
        """Add one case: an image file or DICOM folder, or one per channel.

        >>> logic.addFiles(["/data/ct/p01.nrrd"], role="test", group="patient 1")
        """
        return self.loop.add_files(images, name, role, group)

    def addVolume(self, volumeNode, name=None, role="pool", group=None):
        """Add a volume of the scene, or a list of them (channels), as one case.

        >>> logic.addVolume(slicer.util.getNode("CTChest"))
        """
        nodes = volumeNode if isinstance(volumeNode, (list, tuple)) else [volumeNode]
        return self.loop.add_volume_nodes(nodes, name, role, group)

    def propose(
        self, unit="slice", count=10, strategy=None, plane="axial", wait=True, onEvent=None
    ):
        """Find what is worth labeling next; returns the proposals, the best first.

        >>> for proposal in logic.propose(count=5): print(proposal.case, proposal.index)
        """
        job = self.loop.start_proposing(unit, count, strategy, plane)
        return self._ended(job, wait, onEvent, lambda: self.proposals())

    def proposals(self):
        """The open proposals, the best first."""
        return self.loop.proposals()

    def openCase(self, name, plane=None, index=None, useDraft=True):
        """Load a case with its draft, newest labels or the model's output as editable segments.

        >>> opened = logic.openCase("p01", "axial", 12)
        >>> opened.volume_node, opened.segmentation_node
        """
        return self.loop.open_case(name, plane, index, useDraft)

    def openProposal(self, proposal, useDraft=True):
        """Load what was proposed and go to its slice.

        >>> opened = logic.openProposal(logic.proposals()[0])
        """
        return self.loop.open_proposal(proposal, useDraft)

    def acceptSlice(self, plane=None, index=None, seconds=None, annotator=None):
        """Slice done: store the segments; only this slice counts as labeled. Returns the revision.

        plane, index: by default those at which the case was opened; seconds: by label id.

        >>> logic.acceptSlice(seconds={"artery": 95, "vein": 40})
        """
        return self.loop.accept_slice(plane, index, seconds or {}, annotator)

    def acceptVolume(self, seconds=None, annotator=None):
        """Volume done: store the segments; all of the case counts as labeled.

        >>> logic.acceptVolume()
        """
        return self.loop.accept_volume(seconds or {}, annotator)

    def saveDraft(self, slices=None, seconds=None):
        """Keep the open case's segments without accepting them; openCase offers them again.

        >>> logic.saveDraft({"axial": [12]})
        """
        return self.loop.drafting(slices or {}, seconds or {})()

    def skip(self, proposal, reason=""):
        """Don't label this; it isn't proposed again.

        >>> logic.skip(logic.proposals()[0], "motion")
        """
        return self.loop.skip(proposal, reason)

    def flag(self, proposal, reason=""):
        """Mark a proposal because something is wrong with its case; it isn't proposed again.

        >>> logic.flag(logic.proposals()[0], "wrong patient")
        """
        return self.loop.flag(proposal, reason)

    def train(
        self, preset="default", device="auto", iterations=None, seed=0, wait=True, onEvent=None
    ):
        """Train a model on the newest labels; returns the round.

        >>> logic.train("fast", onEvent=print)
        >>> job = logic.train(wait=False)   # labeling may go on meanwhile
        """
        job = self.loop.start_training(preset, device, iterations, seed)

        def trained():
            self.loop.reload_model()
            return self.loop.study.current_round()

        return self._ended(job, wait, onEvent, trained)

    def segment(self, things, device="auto", wait=True, onEvent=None):
        """Segment volume nodes, or cases by name; returns the segmentation nodes.

        >>> logic.segment(["p01", slicer.util.getNode("CTChest")])
        """
        task = self.loop.start_segmenting(things, device)
        return self._ended(task, wait, onEvent, lambda: task.nodes)

    def compare(self, names=("manual", "model"), case=None, structure=None, limitMm=2.0):
        """Compare two or three of a case's "manual", "model", "corrected" and "on screen" labels.

        Returns what is in the scene: tables, and for `structure` (a label's id) colored models and
        their worst spots, each by (first, second).

        >>> shown = logic.compare(["manual", "model"], "p01", structure="artery")
        >>> shown.worst["manual", "model"].mm
        """
        from ActiveSegLoopLib.scene.comparing import show_comparison

        compared = self.loop.comparison(names, case, structure, limitMm)()
        return show_comparison(compared, case or self.loop.opened.case.name, limitMm)

    def report(self, folder, wait=True, onEvent=None):
        """Write the report of the study into a folder; returns the path of its HTML page.

        >>> logic.report("/data/kidneys-report")
        """
        job = self.loop.start_report(folder)
        return self._ended(job, wait, onEvent, lambda: job.result["page"])

    def advise(self, wait=True, onEvent=None):
        """What to label next by what the study has measured: sentences with their numbers.

        >>> print(*logic.advise(), sep="\\n")
        """
        job = self.loop.start_advice()
        return self._ended(job, wait, onEvent, lambda: job.result["sentences"])

    def rollBack(self, number):
        """Use the model of another round.

        >>> logic.rollBack(1)
        """
        self.loop.roll_back(number)

    @staticmethod
    def _ended(job, wait, onEvent, answer):
        """The answer when the job has ended, or without waiting the job."""
        from ActiveSegLoopLib.scene.processes import finish

        if not wait:
            return job
        finish(job, onEvent)
        return answer()


class ActiveSegLoopTest(ScriptedLoadableModuleTest):
    """The module's own test. It leaves the scene and the user's list of studies as they were."""

    def setUp(self):
        """Remember which study folders the user has opened, and which one is open."""
        import qt

        self.settings = qt.QSettings()
        self.folders = self.settings.value("ActiveSegLoop/StudyFolders")
        self.panel = slicer.modules.activesegloop.widgetRepresentation().self().panel
        self.path = self.panel.ui.studyPathLineEdit.currentPath
        self.study = self.panel.study

    def tearDown(self):
        """Put the user's list of study folders and the panel back."""
        if self.folders is None:
            self.settings.remove("ActiveSegLoop/StudyFolders")
        else:
            self.settings.setValue("ActiveSegLoop/StudyFolders", self.folders)
        self.panel.background.finish()
        self.panel.open_study(self.study)
        self.panel.ui.studyPathLineEdit.retrieveHistory()
        self.panel.ui.studyPathLineEdit.currentPath = self.path

    def test_a_study_opens_in_the_panel(self):
        """A study made by the engine shows its labels."""
        from ActiveSegLoopLib.study.schema import LabelSchema
        from ActiveSegLoopLib.study.study import Study

        with tempfile.TemporaryDirectory() as parent:
            folder = str(Path(parent) / "kidneys")
            Study.create(folder, LabelSchema.parse("1=artery,2=vein"))
            self.openInPanel(folder)
            self.assertEqual(self.panel.ui.labelTable.item(1, 0).text(), "vein")
            self.assertEqual(self.panel.ui.studyLabel.text, "The study has no images yet.")
            self.panel.open_study(self.study)
            self.panel.background.finish()

    def test_a_folder_without_a_study_is_told_in_the_panel(self):
        """The panel says what is wrong, and what was open stays open."""
        with tempfile.TemporaryDirectory() as folder:
            self.openInPanel(folder)
            self.assertIn(Path(folder).name, self.panel.ui.studyMessageLabel.text)
            self.assertIs(self.panel.study, self.study)

    def openInPanel(self, folder):
        """Choose a folder in the panel and click Open."""
        self.panel.ui.studyPathLineEdit.currentPath = folder
        self.panel.ui.openButton.click()
        self.panel.background.finish()
