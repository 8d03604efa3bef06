"""How long a large label map takes to become editable segments in Slicer, and to come back.

The floor is Slicer's own import (vtkSlicerSegmentationsModuleLogic), which names segments
"Label_1", ... and knows nothing of ids, colors and gaps. Needs the package slicer-core.

  python Testing/Benchmarks/scene_import.py                 79 million voxels, 5 labels
  python Testing/Benchmarks/scene_import.py --shape 64 256 256 --labels 20
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.segmentation import Segment
from ActiveSegLoopLib.images.volume import Volume
from Testing.scene.starting import started_scene


def main() -> None:
    """Time each way a few times and print the medians in seconds, and their ratio to the floor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(300, 512, 512), metavar="N")
    parser.add_argument("--labels", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    started_scene()
    labelmap, segments = organs(tuple(options.shape), options.labels)
    print(f"{labelmap.array.size / 1e6:.0f} million voxels, {options.labels} labels")
    floor = None
    for name, work in ways(labelmap, segments).items():
        seconds = [work() for _ in range(options.repeats)]
        middle = statistics.median(seconds)
        floor = middle if floor is None else floor
        print(f"{name:34} {middle:7.3f} s  {middle / floor:5.2f} x floor")


def organs(shape: tuple[int, int, int], count: int) -> tuple[Volume, list[Segment]]:
    """Balls in a row that fill most of the grid, their values with gaps between them."""
    grid = Geometry(shape, (1.0, 0.7, 0.7))
    z, y, x = np.ogrid[tuple(slice(0, n) for n in shape)]
    array = np.zeros(shape, np.uint8)
    segments = []
    radius = 0.45 * min(shape[0], shape[1], shape[2] / count)
    for i in range(count):
        center = (shape[0] / 2, shape[1] / 2, (i + 0.5) * shape[2] / count)
        inside = (z - center[0]) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2 < radius**2
        value = 1 + i * (254 // count)
        array[inside] = value
        segments.append(Segment(f"organ_{i}", value, f"Organ {i}", (0.8, i / count, 0.3)))
    array[0, 0, 0] = array[-1, -1, -1] = segments[0].value  # nothing to gain by cropping
    return Volume(array, grid), segments


def ways(labelmap: Volume, segments: list[Segment]) -> dict:
    """Functions that do it once and return the seconds, the floor first."""
    import slicer

    from ActiveSegLoopLib.scene.labelmaps import snapshot
    from ActiveSegLoopLib.scene.segmentations import (
        segmentation_node,
        segmentation_of,
        shared_image,
    )
    from ActiveSegLoopLib.scene.volumes import volume_node

    source = volume_node(labelmap, "labels", "vtkMRMLLabelMapVolumeNode")

    def timed(work, before=lambda: None):
        prepared = before()
        began = time.perf_counter()
        node = work() if prepared is None else work(prepared)
        seconds = time.perf_counter() - began
        if hasattr(node, "GetScene") and node.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(node)
        return seconds

    def slicers_own():
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        assert logic.ImportLabelmapToSegmentationNode(source, node)
        return node

    kept = segmentation_node(labelmap, segments, "kept")
    seen = snapshot(kept, labelmap.geometry)
    assert np.array_equal(seen.labelmap(segments).array, labelmap.array)
    return {
        "Slicer's own import (floor)": lambda: timed(slicers_own),
        "with ids, names, colors, values": lambda: timed(
            lambda: segmentation_node(labelmap, segments, "x")
        ),
        "  of that in the window's thread": lambda: timed(
            lambda image: segmentation_of(image, segments, "x"),
            lambda: shared_image(labelmap, segments, "x"),
        ),
        "copied back in the window's thread": lambda: timed(
            lambda: snapshot(kept, labelmap.geometry)
        ),
        "made a label map in another thread": lambda: timed(lambda: seen.labelmap(segments)),
    }


if __name__ == "__main__":
    main()
