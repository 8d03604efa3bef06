"""What is seen in the views once a case is open."""

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core isn't installed")


def test_only_what_belongs_to_the_open_case_is_seen(views, study, labels, tmp_path):
    from ActiveSegLoopLib.scene.loop import Loop
    from ActiveSegLoopLib.scene.segmentations import segmentation_node, shared_image
    from ActiveSegLoopLib.scene.segmenting import prediction_node

    def visible():
        found = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        return [node for node in found if node.GetDisplayNode().GetVisibility()]

    loop = Loop()
    loop.open_study(study.folder)
    segments = study.schema.segments()
    first = loop.open_case("p1")
    said = prediction_node(
        shared_image(labels, segments, "p1"), segments, "p1", first.volume_node, first.case, study
    )
    scripts = segmentation_node(labels, segments, "of a script")
    assert loop.open_case("p1").segmentation_node is first.segmentation_node
    assert visible() == [first.segmentation_node, said, scripts]
    second = loop.open_case("p2")
    assert visible() == [scripts, second.segmentation_node]
    said.GetDisplayNode().SetVisibility(True)
    other = loop.create_study(tmp_path / "other", "1=artery")
    other.add_case([tmp_path / "p1.nii.gz"])
    third = loop.open_case("p1")
    assert visible() == [scripts, third.segmentation_node]
    loop.close_study()
