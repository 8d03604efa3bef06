"""The lists of the scene's volumes: images to choose, none of the layers that the module made."""

import pytest
import slicer

from Testing.panel.test_next_section import wait
from Testing.panel.test_strip import open_p1, overlaid, train
from Testing.panel.window import until

pytestmark = pytest.mark.usefixtures("slots")


def offered(panel):
    """The names of the volumes that each list offers."""
    lists = (
        panel.ui.addVolumeSelector, panel.ui.segmentVolumeSelector, panel.ui.segmentListSelector
    )
    return [[node.GetName() for node in selector.nodes()] for selector in lists]


def test_the_layer_of_the_uncertainty_is_not_offered_as_an_image(panel, study):
    train(study, 30)
    open_p1(panel, study)
    panel.ui.overlayCheckBox.checked = True
    wait(panel)
    until(overlaid)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "my uncertainty")
    until(lambda: offered(panel) == 3 * [["p1", "my uncertainty"]])


def test_a_volume_that_comes_after_the_scene_was_closed_is_offered(panel, study):
    train(study, 30)
    open_p1(panel, study)
    panel.ui.overlayCheckBox.checked = True
    wait(panel)
    until(lambda: offered(panel) == 3 * [["p1"]])
    slicer.mrmlScene.Clear(False)
    for name in "abc":  # of one of these, the ID may be that which the layer had
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    until(lambda: offered(panel) == 3 * [["a", "b", "c"]])
