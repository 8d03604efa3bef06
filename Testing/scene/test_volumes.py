"""Volumes go into the scene and come back where they were."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import LabelSchema, Study
from Testing.scene.conftest import GRID


def made(volume, name="scan"):
    """A volume node."""
    from ActiveSegLoopLib.scene.volumes import volume_node

    return volume_node(volume, name)


def back(node) -> Volume:
    """The volume of a node."""
    from ActiveSegLoopLib.scene.volumes import volume_of

    return volume_of(node)


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        (np.uint8, np.uint8), (np.int16, np.int16), (np.float32, np.float32),
        (np.float64, np.float64), (np.float16, np.float32), (bool, np.uint8),
        (np.int64, np.int32), (np.dtype(">i2"), np.int16),
    ],
)
def test_voxels_keep_their_numbers_and_grid(scene, dtype, kept):
    array = np.random.default_rng(0).integers(0, 2, GRID.shape).astype(dtype)
    volume = back(made(Volume(array, GRID)))
    assert volume.array.dtype == kept
    assert np.array_equal(volume.array, array)
    assert volume.geometry.difference(GRID) is None


def test_slicer_places_a_voxel_where_the_engine_does(scene):
    node = made(Volume(np.zeros(GRID.shape), GRID))
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    z, y, x = 2, 5, 3
    right, anterior, superior, _ = matrix.MultiplyPoint((x, y, z, 1))
    assert np.allclose((-right, -anterior, superior), GRID.index_to_world((z, y, x)))


def test_slicers_own_reading_of_a_file_gives_the_same(scene, tmp_path):
    import slicer

    array = np.random.default_rng(0).integers(-99, 99, GRID.shape).astype(np.int16)
    for name in ("x.nrrd", "x.nii.gz"):
        write_volume(tmp_path / name, Volume(array, GRID))
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
        storage.SetFileName(str(tmp_path / name))
        assert storage.ReadData(node)
        volume, ours = back(node), read_image(tmp_path / name)
        assert volume.geometry.difference(ours.geometry) is None
        assert np.array_equal(volume.array, ours.array)


@settings(
    max_examples=30, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 9)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    seed=st.integers(0, 2**31),
    mirrored=st.booleans(),
)
def test_any_grid_comes_back(scene, shape, spacing, origin, seed, mirrored):
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    if mirrored:
        turned[:, 0] *= -1
    grid = Geometry(shape, spacing, origin, turned.ravel())
    node = made(Volume(np.zeros(shape, np.uint8), grid))
    assert back(node).geometry.difference(grid) is None
    scene.RemoveNode(node)


def test_what_cant_be_used_is_told_with_the_nodes_name(scene):
    import vtk

    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    with pytest.raises(ImageError, match="'nothing' has no voxels"):
        back(empty)
    sheared = made(Volume(np.zeros(GRID.shape), GRID), "sheared")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 1, 0.3)
    sheared.SetIJKToRASMatrix(matrix)
    with pytest.raises(ImageError, match="'sheared' can't be used: .* right angles"):
        back(sheared)
    moved = made(Volume(np.zeros(GRID.shape), GRID), "moved")
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    moved.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(ImageError, match="'moved' is moved by the transform 'shift'"):
        back(moved)
    colored = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "colored")
    image = vtk.vtkImageData()
    image.SetDimensions(2, 2, 2)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    colored.SetAndObserveImageData(image)
    with pytest.raises(ImageError, match="'colored' has 3 numbers in each voxel"):
        back(colored)


def test_a_cases_nodes_are_made_once_and_found_again_whatever_they_are_called(scene, study):
    from ActiveSegLoopLib.scene.cases import case_nodes

    case = study.case("p1")
    (node,) = case_nodes(study, case)
    assert node.GetName() == "p1"
    assert np.array_equal(back(node).array, study.volumes(case)[0].array)
    assert back(node).geometry.difference(case.geometry) is None
    node.SetName("SelectionNode")
    assert case_nodes(study, case) == [node]
    assert case_nodes(study, study.case("p2")) != [node]


def test_every_channel_gets_a_node(scene, tmp_path):
    from ActiveSegLoopLib.scene.cases import case_nodes

    study = Study.create(tmp_path / "channels", LabelSchema.parse("1=artery"))
    for channel in (0, 1):
        image = Volume(np.full(GRID.shape, channel + 7, np.int16), GRID)
        write_volume(tmp_path / f"mr{channel}.nrrd", image)
    case = study.add_case([tmp_path / "mr0.nrrd", tmp_path / "mr1.nrrd"], "mr")
    first, second = case_nodes(study, case)
    assert (first.GetName(), second.GetName()) == ("mr 1", "mr 2")
    assert (back(first).array == 7).all() and (back(second).array == 8).all()
    scene.RemoveNode(second)
    again = case_nodes(study, case)
    assert again[0] is first and (back(again[1]).array == 8).all()


def test_a_volume_that_the_user_has_loaded_is_used_and_not_touched(scene, study):
    import slicer

    from ActiveSegLoopLib.scene.cases import case_nodes
    from ActiveSegLoopLib.scene.ownership import is_ours

    case = study.case("p1")
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "my scan")
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(case.channels[0]))
    assert storage.ReadData(node)
    node.SetAndObserveStorageNodeID(storage.GetID())
    assert case_nodes(study, case) == [node]
    assert not is_ours(node)
    slicer.util.arrayFromVolume(node)[0] = 0
    slicer.util.arrayFromVolumeModified(node)
    (ours,) = case_nodes(study, case)
    assert ours is not node and is_ours(ours)
    assert np.array_equal(back(ours).array, study.volumes(case)[0].array)
