"""Label maps as editable segmentation nodes, whose segments are told by the study's label ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from scipy import ndimage

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.labels import whole_labels
from ActiveSegLoopLib.images.regions import Box
from ActiveSegLoopLib.images.segmentation import Segment
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.scene.grids import ras_matrix
from ActiveSegLoopLib.scene.hierarchy import place_under
from ActiveSegLoopLib.scene.ownership import own
from ActiveSegLoopLib.scene.volumes import fill_image

_VOXELS_AT_ONCE = 4_000_000
# The name that we gave a segment: one that a user changed since is left alone.
_GIVEN_NAME = "ActiveSegLoop.Name"


def segmentation_node(
    labelmap: Volume, segments: Sequence[Segment], name: str, volume_node: Any = None
) -> Any:
    """A new segmentation node with a label map's values as editable segments.

    labelmap: the values of `segments` (gaps are fine) on any grid, also an oblique one; segments:
    `schema.segments()`; each becomes a segment with its id, name, color and terminology, also
    where it has no voxel. volume_node: the image it belongs to, whose grid becomes the reference
    geometry and under which it stands in the subject hierarchy. Raises ImageError for a value that
    belongs to no segment.
    """
    return segmentation_of(shared_image(labelmap, segments, name), segments, name, volume_node)


def segmentation_of(
    image: Any, segments: Sequence[Segment], name: str, volume_node: Any = None
) -> Any:
    """As segmentation_node, of a `shared_image` that another thread may have made."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    own(node, "segmentation")
    node.CreateDefaultDisplayNodes()
    with slicer.util.NodeModify(node):
        for segment in segments:
            node.GetSegmentation().AddSegment(_made(segment, image), segment.id)
        if volume_node is not None:
            set_reference_geometry(node, volume_node)
    if volume_node is not None:
        place_under(node, volume_node)
    return node


def replace_labelmap(node: Any, labelmap: Volume, segments: Sequence[Segment]) -> None:
    """Give the study's segments of a node other voxels; segments of the user's own stay.

    Surfaces made of the former voxels are dropped; Slicer makes them anew when they are shown.
    Raises ImageError, and changes nothing, for a value that belongs to no segment.
    """
    replace_image(node, shared_image(labelmap, segments, node.GetName()), segments)


def replace_image(node: Any, image: Any, segments: Sequence[Segment]) -> None:
    """As replace_labelmap, by a `shared_image` that another thread may have made."""
    segmentation = node.GetSegmentation()
    if segmentation.GetSourceRepresentationName() != labelmap_name():
        raise ImageError(
            f"'{node.GetName()}' isn't made of voxels: choose the binary label map as its source "
            "in the Segmentations module first."
        )
    with slicer.util.NodeModify(node):
        for id in _of_the_user(segmentation, segments):
            # A layer shared with segments that get another would keep their old voxels as nobody's.
            # Not asked first: in 5.12 IsSharedBinaryLabelmap answers the opposite of its name.
            segmentation.SeparateSegmentLabelmap(id)
        surface = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        if segmentation.ContainsRepresentation(surface):
            segmentation.RemoveRepresentation(surface)
        for segment in segments:
            present = segmentation.GetSegment(segment.id)
            if present is None:
                segmentation.AddSegment(_made(segment, image), segment.id)
            else:
                _describe(present, segment)
                present.SetLabelValue(segment.value)
                present.AddRepresentation(labelmap_name(), image)
    segmentation.InvokeEvent(segmentation.SourceRepresentationModified)


def apply_schema(node: Any, segments: Sequence[Segment]) -> None:
    """Add the segments that a node lacks, and bring names and colors of the others up to date.

    A name that the user has changed in the scene stays.
    """
    segmentation = node.GetSegmentation()
    with slicer.util.NodeModify(node):
        for segment in segments:
            present = segmentation.GetSegment(segment.id)
            if present is None:
                segmentation.AddEmptySegment(segment.id, segment.name, segment.color)
                present = segmentation.GetSegment(segment.id)
            _describe(present, segment)


def set_reference_geometry(node: Any, volume_node: Any) -> None:
    """Make a volume's grid the one on which a segmentation is edited and saved."""
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)


def reference_volume(node: Any) -> Any:
    """The volume on whose grid a segmentation is edited; None without one."""
    return node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())


def segment_ids(node: Any) -> list[str]:
    """The ids of a segmentation's segments, in its order."""
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegmentID(i) for i in range(segmentation.GetNumberOfSegments())]


def content_stamp(node: Any) -> str:
    """A text that changes whenever a voxel is edited or a segment comes or goes."""
    segmentation = node.GetSegmentation()
    images = {
        segmentation.GetSegment(id).GetRepresentation(labelmap_name()) for id in segment_ids(node)
    }
    times = sorted(image.GetMTime() for image in images if image is not None)
    return " ".join(map(str, [*times, *segment_ids(node)]))


def labelmap_name() -> str:
    """Slicer's name of the representation by voxels."""
    return slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()


def _of_the_user(segmentation: Any, segments: Sequence[Segment]) -> list[str]:
    ours = {segment.id for segment in segments}
    ids = [segmentation.GetNthSegmentID(i) for i in range(segmentation.GetNumberOfSegments())]
    return [id for id in ids if id not in ours]


def shared_image(labelmap: Volume, segments: Sequence[Segment], name: str) -> Any:
    """One image for all segments, cropped to what is labeled; checks the values first.

    Slicer's own import gives every segment the same image, too; here each keeps its own value.
    Doesn't touch the scene, so that another thread may do it. Raises ImageError, naming what it is
    for, for a value that belongs to no segment.
    """
    labels = whole_labels(labelmap.array, f"'{name}'")
    values, box = _extent(labels)
    strange = values - {segment.value for segment in segments}
    if strange:
        raise ImageError(
            f"The label map for '{name}' holds the value {min(strange)}, which belongs to no label."
        )
    image = slicer.vtkOrientedImageData()
    if box is not None:
        fill_image(image, labels[box.slices], box.lower)
    else:
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    image.SetGeometryFromImageToWorldMatrix(ras_matrix(labelmap.geometry))
    return image


def _extent(labels: np.ndarray) -> tuple[set[int], Box | None]:
    """The values other than 0, and the box around them; None for none.

    Looked for part by part, because it keeps Python's lock, for which Slicer's window would wait.
    """
    values: set[int] = set()
    box: Box | None = None
    step = max(1, _VOXELS_AT_ONCE // labels[0].size)
    for first in range(0, len(labels), step):
        for value, slices in enumerate(ndimage.find_objects(labels[first : first + step]), 1):
            if slices is not None:
                values.add(value)
                found = Box.of(slices).seen_from((-first, 0, 0))
                box = found if box is None else box.union(found)
    return values, box


def _made(segment: Segment, image: Any) -> Any:
    made = slicer.vtkSegment()
    _describe(made, segment)
    made.SetLabelValue(segment.value)
    made.AddRepresentation(labelmap_name(), image)
    return made


def _describe(made: Any, segment: Segment) -> None:
    given = vtk.reference("")
    if not made.GetTag(_GIVEN_NAME, given) or str(given) == made.GetName():
        made.SetName(segment.name)
        made.SetNameAutoGenerated(False)
        made.SetTag(_GIVEN_NAME, segment.name)
    made.SetColor(np.asarray(segment.color, float))
    made.SetColorAutoGenerated(False)
    if segment.terminology:
        made.SetTag(made.GetTerminologyEntryTagName(), segment.terminology)
