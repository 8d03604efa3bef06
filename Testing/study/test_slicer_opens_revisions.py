"""3D Slicer's own reader opens what the study stores."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.study import Annotation, LabelSchema, Study
from Testing.study.samples import GRID

READ = """
import json, sys
import numpy as np
import slicer, vtk
from slicer import (
    vtkMRMLScene, vtkMRMLSegmentationNode, vtkMRMLSegmentationStorageNode,
    vtkSlicerApplicationLogic, vtkSlicerSegmentationsModuleLogic,
)
from vtk.util.numpy_support import vtk_to_numpy
scene = vtkMRMLScene()
slicer.mrmlScene = scene
application = vtkSlicerApplicationLogic()
application.SetMRMLScene(scene)
logic = vtkSlicerSegmentationsModuleLogic()
logic.SetMRMLScene(scene)
node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
storage.SetFileName(sys.argv[1])
assert storage.ReadData(node) == 1
segmentation = node.GetSegmentation()
found = []
for i in range(segmentation.GetNumberOfSegments()):
    id = segmentation.GetNthSegmentID(i)
    segment = segmentation.GetSegment(id)
    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(id, image)
    box = image.GetExtent()
    shape = [box[k + 1] - box[k] + 1 for k in (4, 2, 0)]
    to_world = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(to_world)
    terminology = vtk.mutable("")
    segment.GetTag("TerminologyEntry", terminology)
    found.append({
        "id": id,
        "name": segment.GetName(),
        "color": segment.GetColor(),
        "terminology": str(terminology),
        "corner": box[::2],
        "to_world": [[to_world.GetElement(r, c) for c in range(4)] for r in range(4)],
        "shape": shape,
        "voxels": vtk_to_numpy(image.GetPointData().GetScalars()).astype(int).tolist(),
    })
print("FOUND" + json.dumps(found))
"""


@pytest.fixture
def read_with_slicer():
    """A function that reads a segmentation with Slicer's storage node, in its own process."""
    if importlib.util.find_spec("slicer") is None:
        pytest.skip("slicer-core is not installed")

    def read(path):
        done = subprocess.run(
            [sys.executable, "-c", READ, str(path)], capture_output=True, text=True
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
        assert lines, done.stdout + done.stderr
        return json.loads(lines[0].removeprefix("FOUND"))

    return read


def on_grid(segment, geometry: Geometry) -> np.ndarray:
    """A segment's voxels (bool) on a grid, by the world positions that Slicer gives them."""
    mask = np.zeros(geometry.shape, bool)
    inside = np.argwhere(np.reshape(segment["voxels"], segment["shape"]) > 0)
    ijk = inside[:, ::-1] + segment["corner"]
    ras = ijk @ np.array(segment["to_world"])[:3, :3].T + np.array(segment["to_world"])[:3, 3]
    index = geometry.world_to_index(ras * [-1, -1, 1])
    assert np.allclose(index, np.rint(index), atol=1e-3)
    mask[tuple(np.rint(index).astype(int).T)] = True
    return mask


def test_slicer_sees_a_revisions_labels_where_they_are(
    tmp_path, make_image, make_labels, read_with_slicer
):
    schema = LabelSchema.parse("2=Renal artery,7=静脈")
    study = Study.create(tmp_path / "kidneys", schema)
    case = study.add_case([make_image()])
    study.set_color("renal_artery", (0.125, 0.25, 0.5))
    labels = make_labels()
    labels = labels.with_array(np.array([0, 2, 7], np.uint8)[labels.array])
    study.add_revision(case, labels, Annotation({"axial": (1,)}))
    revision = study.add_revision(case, labels)
    found = read_with_slicer(revision.path)
    assert [segment["id"] for segment in found] == ["renal_artery", "label_7"]
    for segment, label in zip(found, study.schema.labels):
        assert segment["name"] == label.name
        assert np.allclose(segment["color"], label.color)
        assert segment["terminology"].startswith("Segmentation category and type - 3D Slicer")
        assert np.array_equal(on_grid(segment, GRID), labels.array == label.value)
