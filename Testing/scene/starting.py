"""Starting MRML without the application: the same classes, scene and logics as in Slicer."""

import pytest

_KEPT = {}


def started_scene():
    """`slicer.mrmlScene` with the logics that register colors and segmentation converters."""
    slicer = pytest.importorskip("slicer", reason="slicer-core isn't installed")
    if not hasattr(slicer, "vtkMRMLSegmentationStorageNode"):
        pytest.skip("this slicer package doesn't hold Slicer's classes")
    import vtk

    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.GetColorLogic().SetMRMLScene(scene)
    application.GetColorLogic().AddDefaultColorNodes()
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
    segmentations.SetMRMLScene(scene)  # registers the converters
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
    _KEPT.update(application=application, segmentations=segmentations)
    return scene


def add_slice_views(scene):
    """Three slice views as the window's Red, Green and Yellow: axial, coronal, sagittal."""
    import slicer

    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    for name, plane in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
        node = scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
        node.SetLayoutName(name)
        assert node.SetOrientation(plane)
        composite = slicer.vtkMRMLSliceCompositeNode()
        composite.SetLayoutName(name)
        scene.AddNode(composite)
