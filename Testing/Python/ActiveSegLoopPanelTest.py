"""The whole loop in the running application, driven through the window: what a clinician does.

A study is made from the phantom, a proposal opened and painted, slices and a volume accepted, a
model trained for two steps, a volume segmented and compared, the scene saved and loaded again.
"""

import importlib.util
import shutil
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import qt
import slicer

HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "monai", "safetensors"))
PATIENCE = 600  # seconds for a process on a slow machine
LONGEST_PAUSE = 2.0  # seconds; rendering on a machine without a graphics card is part of it


class Pulse:
    """A timer that notices how long the window didn't react."""

    def __init__(self):
        self.longest, self._last = 0.0, time.monotonic()
        self._timer = qt.QTimer()
        self._timer.setInterval(10)
        self._timer.connect("timeout()", self._beat)
        self._timer.start()

    def stop(self):
        """No more."""
        self._timer.stop()

    def _beat(self):
        now = time.monotonic()
        self.longest, self._last = max(self.longest, now - self._last), now


class ActiveSegLoopPanelTest(unittest.TestCase):
    """Each step as the user takes it; the window is looked at in between."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.settings = qt.QSettings()
        self.folders = self.settings.value("ActiveSegLoop/StudyFolders")
        slicer.util.selectModule("ActiveSegLoop")
        slicer.app.processEvents()
        self.widget = slicer.modules.activesegloop.widgetRepresentation().self()
        self.panel = self.widget.panel
        self.ui = self.panel.ui

    def tearDown(self):
        self.wait()
        self.panel.open_study(None)
        self.wait()
        if self.folders is None:
            self.settings.remove("ActiveSegLoop/StudyFolders")
        else:
            self.settings.setValue("ActiveSegLoop/StudyFolders", self.folders)
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait(self, seconds=PATIENCE):
        """Let the application run until nothing works for the panel any more."""
        end = time.monotonic() + seconds
        sections = self.panel.sections
        while (
            self.panel.background.is_busy
            or sections["next"].proposing.follower.is_busy
            or sections["next"].strip.follower.is_busy
            or sections["train"].follower.is_busy
            or sections["segment"].follower.is_busy
            or sections["progress"].advising.is_busy
            or sections["progress"].reporting.is_busy
        ):
            self.assertLess(time.monotonic(), end, "This took too long.")
            slicer.app.processEvents()
            time.sleep(0.005)
        slicer.app.processEvents()

    def make_study(self):
        """A study of three small phantoms, made in the window."""
        from ActiveSegLoopLib.scene.volumes import volume_node
        from ActiveSegLoopLib.simulation.phantom import make_cohort

        self.phantoms = list(make_cohort(3, shape=(24, 48, 48)))
        nodes = [volume_node(case.image, case.name) for case in self.phantoms]
        self.ui.studyPathLineEdit.currentPath = str(self.folder / "kidneys")
        self.ui.addLabelButton.click()
        self.ui.addLabelButton.click()
        for row, name in enumerate(("artery", "parenchyma")):
            self.ui.labelTable.item(row, 0).setText(name)
        self.ui.createButton.click()
        self.wait()
        for node in nodes:
            self.ui.addVolumeSelector.setCheckState(node, qt.Qt.Checked)
        self.ui.addVolumesButton.click()
        self.wait()
        self.assertEqual(self.ui.caseTable.rowCount, 3, self.ui.studyMessageLabel.text)
        return self.panel.study

    def paint(self):
        """Draw the true kidneys of the open case into its segments."""
        from ActiveSegLoopLib.simulation.kidney_labels import ARTERY, PARENCHYMA

        opened = self.panel.sections["next"].labeling.opened
        truth = next(p for p in self.phantoms if p.name == opened.case.name).labels.array
        for segment, value in (("artery", ARTERY), ("parenchyma", PARENCHYMA)):
            self.ui.segmentEditorWidget.setCurrentSegmentID(segment)
            slicer.util.updateSegmentBinaryLabelmapFromArray(
                (truth == value).astype(np.uint8), opened.segmentation_node, segment,
                opened.volume_node,
            )
        slicer.app.processEvents()

    def test_a_study_is_made_and_a_wrong_folder_is_told_in_one_sentence(self):
        study = self.make_study()
        self.assertEqual([label.name for label in study.schema.labels], ["artery", "parenchyma"])
        nothing = self.folder / "nothing"
        nothing.mkdir()
        self.ui.studyPathLineEdit.currentPath = str(nothing)
        self.ui.openButton.click()
        self.assertIn("nothing", self.ui.studyMessageLabel.text)
        self.assertEqual(self.panel.study.folder, study.folder)

    def test_a_case_is_labeled_timed_kept_as_a_draft_and_accepted(self):
        study = self.make_study()
        self.panel.open_case(self.phantoms[0].name)
        self.wait()
        labeling = self.panel.sections["next"].labeling
        editor = self.ui.segmentEditorWidget
        self.assertIs(editor.segmentationNode(), labeling.opened.segmentation_node)
        self.assertIs(editor.sourceVolumeNode(), labeling.opened.volume_node)
        editor.setActiveEffectByName("Paint")
        self.assertIsNotNone(editor.activeEffect())
        self.paint()
        self.assertTrue(labeling.has_edits)
        slicer.util.selectModule("Data")  # leaving the module keeps the work
        self.wait()
        self.assertIsNone(editor.activeEffect())
        from ActiveSegLoopLib.study.drafts import draft_of

        case = study.case(self.phantoms[0].name)
        self.assertIsNotNone(draft_of(study, case))
        slicer.util.selectModule("ActiveSegLoop")
        self.ui.volumeDoneButton.click()
        self.wait()
        revision = study.latest(case)
        self.assertIsNotNone(revision, self.ui.nextMessageLabel.text)
        self.assertIsNone(draft_of(study, case))
        self.assertGreater(min(revision.voxels.values()), 0)

    def test_the_open_case_is_shown_again_after_another_module_and_accepted_only_if_seen(self):
        study = self.make_study()
        for phantom in self.phantoms[:2]:
            self.panel.open_case(phantom.name)
            self.wait()
        case = study.case(self.phantoms[1].name)
        labeling = self.panel.sections["next"].labeling
        slicer.util.selectModule("SegmentEditor")  # takes the first segmentation and its image
        slicer.app.processEvents()
        slicer.util.selectModule("ActiveSegLoop")
        slicer.app.processEvents()
        red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
        self.assertEqual(red.GetBackgroundVolumeID(), labeling.opened.volume_node.GetID())
        other = slicer.util.addVolumeFromArray(np.ones((4, 5, 6)), name="another patient")
        slicer.util.setSliceViewerLayers(background=other)
        self.ui.sliceDoneButton.click()
        self.wait()
        self.assertIn("The views show another image", self.ui.nextMessageLabel.text)
        self.assertIsNone(study.latest(case))
        self.panel.open_case(case.name)
        self.wait()
        self.ui.sliceDoneButton.click()
        self.wait()
        self.assertIsNotNone(study.latest(case), self.ui.nextMessageLabel.text)

    def test_saving_and_loading_the_scene_brings_section_and_case_back(self):
        study = self.make_study()
        self.panel.open_case(self.phantoms[1].name)
        self.wait()
        self.panel.show_section("compare")
        path = self.folder / "scene.mrb"
        self.assertTrue(slicer.util.saveScene(str(path)))
        slicer.mrmlScene.Clear(False)
        self.wait()
        self.assertIsNone(self.panel.sections["next"].labeling.opened)
        self.panel.open_study(None)
        slicer.util.loadScene(str(path))
        slicer.app.processEvents()
        self.wait()
        self.assertEqual(self.panel.study.folder, study.folder)
        self.assertFalse(self.ui.compareCollapsibleButton.collapsed)
        self.assertEqual(
            self.panel.sections["next"].labeling.opened.case.name, self.phantoms[1].name
        )

    def test_a_reload_works_with_a_case_open(self):
        study = self.make_study()
        self.panel.open_case(self.phantoms[0].name)
        self.wait()
        self.widget.onReload()
        self.widget = slicer.modules.activesegloop.widgetRepresentation().self()
        self.panel, self.ui = self.widget.panel, self.widget.panel.ui
        self.wait()
        self.assertEqual(str(self.panel.study.folder), str(study.folder))
        self.assertEqual(len(self.panel.sections["next"]._shortcuts), 2, "it isn't entered")

    @unittest.skipUnless(HAS_TORCH, "torch, monai or safetensors isn't installed")
    def test_the_whole_loop_from_proposals_to_a_comparison(self):
        study = self.make_study()
        pulse = Pulse()
        self.ui.proposeButton.click()
        self.wait()
        self.assertGreater(self.ui.proposalTable.rowCount, 0, self.ui.nextMessageLabel.text)
        self.ui.openNextButton.click()
        self.wait()
        first = self.panel.sections["next"].labeling.opened.case.name
        self.paint()
        self.ui.sliceDoneButton.click()
        self.wait()
        self.assertIsNotNone(study.latest(study.case(first)), self.ui.nextMessageLabel.text)
        for case in self.phantoms[:2]:
            self.panel.open_case(case.name)
            self.wait()
            self.paint()
            self.ui.volumeDoneButton.click()
            self.wait()

        self.ui.presetComboBox.currentIndex = 1
        self.ui.deviceComboBox.currentIndex = 2
        self.ui.iterationsSpinBox.value = 2
        self.ui.trainButton.click()
        self.wait()
        self.assertIn("Round 1", self.ui.trainMessageLabel.text)
        self.assertEqual(study.current_round().number, 1)
        self.assertTrue(self.ui.adviceLabel.text)

        self.panel.open_case(self.phantoms[0].name)
        self.wait()
        opened = self.panel.sections["next"].labeling.opened
        self.ui.segmentVolumeSelector.setCurrentNode(opened.volume_node)
        self.ui.segmentButton.click()
        self.wait()
        self.assertIn("Segmented: 1", self.ui.segmentMessageLabel.text)
        self.assertIn("hidden in the views", self.ui.segmentMessageLabel.text)
        model = slicer.util.getNode(f"{self.phantoms[0].name} model")
        self.assertFalse(model.GetDisplayNode().GetVisibility(), "it hides what is edited")

        self.panel.show_section("compare")
        self.ui.compareCaseComboBox.setCurrentText(self.phantoms[0].name)
        self.panel.sections["compare"].show_study()
        self.ui.compareButton.click()
        self.wait()
        self.assertEqual(self.ui.verdictTable.rowCount, 2, self.ui.compareMessageLabel.text)
        pulse.stop()
        print(f"The longest pause of the window was {1000 * pulse.longest:.0f} ms.")
        self.assertLess(pulse.longest, LONGEST_PAUSE)


if __name__ == "__main__":
    unittest.main()
