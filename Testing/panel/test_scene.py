"""The panel and the scene: saved and loaded, closed, the user's own nodes, parameters."""

import slicer

from Testing.panel.cases import GRID
from Testing.panel.test_next_section import open_next, paint, proposal, wait
from Testing.panel.test_study_section import open_in
from Testing.panel.window import until


def save_and_close(path):
    """Write the scene into an .mrb file and close it."""
    assert slicer.mrmlScene.WriteToMRB(str(path))
    slicer.mrmlScene.Clear(False)


def load(path):
    """Load a scene from an .mrb file; the application has a folder to unpack it into."""
    cache, manager = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(str(path.parent))
    manager.SetCacheManager(cache)
    slicer.mrmlScene.SetCacheManager(cache)
    slicer.mrmlScene.SetDataIOManager(manager)
    assert slicer.mrmlScene.ReadFromMRB(str(path), False)


def test_a_loaded_scene_brings_study_section_case_and_slice_back(panel, study, tmp_path):
    study.save_proposals([proposal("p1", 2), proposal("p2", 3)])
    open_in(panel, study.folder)
    open_next(panel)
    panel.show_section("compare")
    panel.ui.planeComboBox.currentIndex = 0
    panel.ui.limitSpinBox.value = 3.5
    save_and_close(tmp_path / "scene.mrb")
    panel.open_study(None)
    wait(panel)
    panel.ui.compareCollapsibleButton.collapsed = True
    load(tmp_path / "scene.mrb")
    labeling = panel.sections["next"].labeling
    until(lambda: labeling.opened is not None)
    wait(panel)
    assert panel.study.folder == study.folder
    assert labeling.case.name == "p1"
    assert panel.sections["next"].proposal.index == 2
    assert panel.ui.sliceDoneButton.text == "Axial slice 2 done, next"
    assert not panel.ui.compareCollapsibleButton.collapsed
    assert panel.ui.studyCollapsibleButton.collapsed
    assert panel.ui.limitSpinBox.value == 3.5


def test_a_scene_whose_study_is_gone_says_so_in_one_sentence(panel, study, tmp_path):
    open_in(panel, study.folder)
    save_and_close(tmp_path / "scene.mrb")
    panel.open_study(None)
    study.folder.rename(tmp_path / "elsewhere")
    load(tmp_path / "scene.mrb")
    until(lambda: "isn't there" in panel.ui.studyMessageLabel.text)
    assert panel.study is None


def test_nodes_that_the_user_made_stay_as_they_are(panel, study):
    open_in(panel, study.folder)
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "p1 labels")
    mine.GetSegmentation().AddEmptySegment("tumor", "tumor")
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "p1")
    time = mine.GetSegmentation().GetMTime(), volume.GetMTime()
    panel.open_case("p1")
    wait(panel)
    panel.open_case("p2")
    wait(panel)
    panel.open_study(None)
    assert slicer.mrmlScene.IsNodePresent(mine) and slicer.mrmlScene.IsNodePresent(volume)
    assert (mine.GetSegmentation().GetMTime(), volume.GetMTime()) == time


def test_opening_the_open_study_again_keeps_the_work_at_hand(panel, study):
    study.save_proposals([proposal("p1", 2)])
    open_in(panel, study.folder)
    labeling = open_next(panel)
    paint(labeling, labeling.opened.beginning.labelmap.array + 1)
    open_in(panel, study.folder)
    assert labeling.opened is not None and labeling.has_edits


def test_a_new_window_shows_what_the_scene_remembers(widget, study):
    panel = widget.panel
    open_in(panel, study.folder)
    panel.open_case("p2")
    wait(panel)
    widget.cleanup()
    widget.setup()  # as Slicer does when the module is reloaded
    widget.enter()
    labeling = widget.panel.sections["next"].labeling
    until(lambda: labeling.opened is not None)
    assert labeling.case.name == "p2"
    assert labeling.case.geometry.difference(GRID) is None


def test_what_a_script_opens_shows_in_the_window_and_can_be_accepted_there(widget, study):
    panel = widget.panel
    widget.logic.openStudy(study.folder)
    panel.follow_scripts()
    wait(panel)
    assert panel.ui.caseTable.rowCount == 3
    opened = widget.logic.openCase("p2", "axial", 3)
    panel.follow_scripts()
    assert panel.sections["next"].labeling.opened is opened
    assert panel.ui.sliceDoneButton.text == "Axial slice 3 done, next"
    panel.ui.sliceDoneButton.click()
    wait(panel)
    assert dict(study.latest(study.case("p2")).annotation.slices) == {"axial": (3,)}
    widget.logic.openStudy(study.folder)
    panel.follow_scripts()
    wait(panel)
    assert panel.sections["next"].labeling.opened is None


def test_parameters_and_widgets_follow_each_other(panel):
    panel.ui.iterationsSpinBox.value = 30
    panel.ui.presetComboBox.currentIndex = 1
    assert panel.parameters.iterations == 30
    assert panel.parameters.preset.value == "fast"
    panel.parameters.overlay_opacity = 0.25
    assert panel.ui.opacitySlider.value == 0.25


def test_what_is_chosen_for_a_study_stays_chosen_when_the_scene_is_closed(panel, study):
    open_in(panel, study.folder)
    panel.ui.iterationsSpinBox.value = 30
    panel.ui.presetComboBox.setCurrentText("Fast, a first impression")
    panel.ui.limitSpinBox.value = 3.5
    panel.ui.planeComboBox.setCurrentText("sagittal")
    slicer.mrmlScene.Clear(False)
    wait(panel)
    parameters = panel.parameters
    assert (parameters.preset.value, parameters.iterations) == ("fast", 30)
    assert (parameters.plane.value, parameters.limit_mm) == ("sagittal", 3.5)
    assert panel.ui.presetComboBox.currentText == "Fast, a first impression"
    assert panel.ui.iterationsSpinBox.value == 30


def test_without_a_study_a_closed_scene_begins_anew(panel):
    panel.ui.iterationsSpinBox.value = 30
    slicer.mrmlScene.Clear(False)
    assert panel.ui.iterationsSpinBox.value == 0


def test_the_recipes_are_those_of_the_engine():
    import ast

    from Testing.repository import LIBRARY

    code = (LIBRARY / "panel" / "parameters.py").read_text(encoding="utf-8")
    preset = next(
        node for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ClassDef) and node.name == "Preset"
    )
    named = {node.value.value for node in preset.body if isinstance(node, ast.Assign)}
    import pytest

    pytest.importorskip("torch")
    from ActiveSegLoopLib.model.presets import PRESETS

    # The recipes of experiments are for simulate alone, and there only once it was imported.
    assert named == {name for name in PRESETS if not name.startswith("simulation")}
