"""The command line in a Slicer without window: results, scenes, exit status."""

import csv
import subprocess
import sys
import zipfile

import numpy as np

from ActiveSegLoopLib.images.segmentation import Segment, read_segmentation, write_segmentation
from ActiveSegLoopLib.images.volume import Volume
from Testing.repository import MODULE, ROOT
from Testing.scene.conftest import GRID, SEGMENTS

SCRIPT = MODULE / "Resources" / "Scripts" / "headless.py"


def headless(*arguments, folder) -> subprocess.CompletedProcess:
    """Run the script as Slicer does, with a scene and words after "--", away from the sources."""
    code = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
from Testing.scene.starting import started_scene
started_scene()
sys.path.remove({str(ROOT)!r})
sys.argv = [{str(SCRIPT)!r}, "--", *sys.argv[1:]]
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=folder, capture_output=True,
        encoding="utf-8",
    )


def test_a_list_of_volumes_becomes_segmentations_and_scenes(scene, with_model, tmp_path):
    out = tmp_path / "out"
    images = [tmp_path / "p2.nii.gz", "p1"]
    ran = headless(
        "segment", with_model.folder, *images, "--out", out, "--mrb", "--device", "cpu",
        folder=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "p1.mrb", "p1.seg.nrrd", "p2.mrb", "p2.seg.nrrd",
    ]
    labels, segments = read_segmentation(out / "p2.seg.nrrd")
    assert [segment.id for segment in segments] == [segment.id for segment in SEGMENTS]
    assert labels.geometry.difference(GRID) is None
    with zipfile.ZipFile(out / "p2.mrb") as bundle:
        names = [name.rpartition("/")[2] for name in bundle.namelist()]
        kept = next(name for name in bundle.namelist() if name.endswith(".seg.nrrd"))
        bundle.extract(kept, tmp_path)
    assert "p2.nrrd" in names and any(name.endswith(".mrml") for name in names)
    stored, segments = read_segmentation(tmp_path / kept)
    assert {s.id: s.value for s in segments} == {s.id: s.value for s in SEGMENTS}
    assert np.array_equal(stored.array, labels.array)


def test_folders_are_compared_to_a_table_and_errors_are_the_exit_status(
    scene, tmp_path, labels, capfd
):
    from ActiveSegLoopLib.scene.headless import run

    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        for case in ("p1", "p2"):
            write_segmentation(tmp_path / name / f"{case}.seg.nrrd", labels, SEGMENTS)
    ran = headless("compare", "first", "second", "--csv", "table.csv", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 6 and {row["dice"] for row in rows} <= {"1", "1.0"}
    capfd.readouterr()
    assert run(["--", "compare", str(tmp_path / "first"), str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capfd.readouterr().err
    assert run(["compare", "a", "b", "--mrb"]) == 2
    assert "--mrb goes with the command segment" in capfd.readouterr().err


def test_a_scene_is_written_and_the_users_own_scene_stays(scene, tmp_path):
    from ActiveSegLoopLib.images.writing import write_volume
    from ActiveSegLoopLib.scene.headless import write_bundle

    scene.AddNewNodeByClass("vtkMRMLTableNode", "mine")
    before = {node.GetName() for node in nodes_of(scene)}
    write_volume(tmp_path / "ct.nrrd", Volume(np.ones(GRID.shape, np.int16), GRID))
    labels = Volume(np.full(GRID.shape, 9, np.uint8), GRID)
    segments = [Segment("liver", 9, "Liver", (1, 0, 0))]
    write_segmentation(tmp_path / "ct.seg.nrrd", labels, segments)
    write_bundle(tmp_path / "ct.nrrd", tmp_path / "ct.seg.nrrd", tmp_path / "ct.mrb")
    assert zipfile.is_zipfile(tmp_path / "ct.mrb")
    # To store the user's table, saving it made a storage node, as saving in Slicer does.
    assert {node.GetName() for node in nodes_of(scene)} - {"TableStorage"} == before


def nodes_of(scene) -> list:
    """What a user sees of a scene's nodes: volumes, segmentations, tables and what shows them."""
    kinds = ("vtkMRMLStorableNode", "vtkMRMLDisplayNode", "vtkMRMLStorageNode")
    found = []
    for kind in kinds:
        nodes = scene.GetNodesByClass(kind)
        found += [nodes.GetItemAsObject(i) for i in range(nodes.GetNumberOfItems())]
        nodes.UnRegister(None)
    return found
