"""What training reads: prepared once, only what is annotated, never half of it."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.regions import Box
from ActiveSegLoopLib.images.resampling import with_spacing
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.preparing import (
    LabeledCase,
    Preparation,
    _on_grid,
    crop,
    in_lps,
    network_input,
    normalized_settings,
)
from ActiveSegLoopLib.study import Annotated
from ActiveSegLoopLib.study.files import staging
from Testing.model.loaded_cases import EVERYTHING, GRID, Loaded, only_slices, opened, two_organs
from Testing.model.samples import cascade


@pytest.fixture
def preparation(tmp_path) -> Preparation:
    return Preparation(tmp_path / "cache", cascade())


def test_the_same_content_is_prepared_once(preparation):
    case = Loaded(two_organs())
    first = preparation.segmenter_cases(case)
    again = Preparation(preparation.folder, preparation.plan).segmenter_cases(case)
    assert case.times == 1 and first == again
    preparation.segmenter_cases(Loaded(two_organs(), key="other labels"))
    assert len(os.listdir(preparation.folder)) == 2


@pytest.mark.parametrize(
    ("changes", "segmenter", "locator"),
    [
        ({"margin_mm": 9.0}, 2, 1),
        ({"minimum_mm3": 9.0}, 1, 1),
        ({"segmenter": cascade((2.0, 2.0, 2.0)).segmenter}, 2, 1),
        ({"locator": cascade(coarse=(2.0, 2.0, 2.0)).locator}, 1, 2),
        ({"normalization": ({"kind": "fixed", "low": 0, "high": 9, "mean": 5, "std": 1},)}, 2, 2),
    ],
)
def test_it_is_prepared_again_when_the_plan_changes_what_a_network_sees(
    preparation, changes, segmenter, locator
):
    one, other = Loaded(two_organs()), Loaded(two_organs())
    for plan in (preparation.plan, replace(preparation.plan, **changes)):
        preparation.plan = plan
        preparation.segmenter_cases(one)
        preparation.locator_cases(other)
    assert (one.times, other.times) == (segmenter, locator)


def test_without_a_locator_the_margin_changes_nothing(preparation):
    case = Loaded(two_organs())
    for margin in (4.0, 9.0):
        preparation.plan = cascade(locator=None, margin_mm=margin)
        (whole,) = opened(preparation.segmenter_cases(case))
        assert whole.channels.shape == GRID.shape
    assert case.times == 1


def test_each_organ_instance_is_a_case_of_its_own_with_twice_the_margin(preparation):
    left, right = sorted(
        opened(preparation.segmenter_cases(Loaded(two_organs()))), key=lambda c: c.channels.max()
    )
    # 12 x 12 x 10 voxels and 8 mm on every side, as far as the image goes.
    assert left.channels.shape == (6 + 12 + 6, 8 + 12 + 8, 6 + 10 + 8)
    assert right.channels.shape == (6 + 12 + 6, 8 + 12 + 8, 8 + 10 + 6)
    assert set(np.unique(left.channels)) == {0, 1} and set(np.unique(right.channels)) == {0, 1, 2}


@pytest.mark.parametrize("axis", [0, 1])
def test_of_sparsely_labeled_organs_each_is_still_one_case(preparation, axis):
    slices = [6, 17] if axis == 0 else [8, 19]
    case = Loaded(two_organs(), only_slices(slices, axis))
    parts = opened(preparation.segmenter_cases(case))
    assert len(parts) == 2
    for part in parts:
        annotated = part.codes.any(axis=tuple(a for a in range(3) if a != axis))
        assert annotated.sum() == len(slices)


def test_only_annotated_labels_count_the_others_are_background_with_their_codes(preparation):
    preparation.plan = cascade(locator=None)
    subsets = np.array([[False, False], [True, False], [True, True]])
    codes = np.ones(GRID.shape, np.uint8)
    codes[:, :, 30:48] = 2
    codes[:, :, 58:] = 0
    (case,) = opened(preparation.segmenter_cases(Loaded(two_organs(), codes, subsets)))
    expected = two_organs()
    expected[:, :, 48:][expected[:, :, 48:] == 2] = 0
    np.testing.assert_array_equal(case.channels, expected)
    np.testing.assert_array_equal(case.codes, codes)
    np.testing.assert_array_equal(case.subsets, subsets)
    assert case.points[2][:, 2].max() < 48 and case.points[0][:, 2].max() < 58


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, 15), min_size=1, max_size=15),
    st.integers(0, 2),
    st.floats(0.35, 6.0),
)
def test_labels_lie_on_the_annotated_slices_and_nowhere_between(slices, axis, spacing):
    shape, target = [4, 4, 4], [1.0, 1.0, 1.0]
    shape[axis], target[axis] = 16, spacing
    original = Geometry(shape, (1.0, 1.0, 1.0))
    grid = with_spacing(original, target)
    # Each slice is of a label of its own.
    channels = np.empty(shape, np.uint8)
    np.moveaxis(channels, axis, 0)[:] = np.arange(1, 17)[:, None, None]
    codes = np.zeros(shape, np.uint8)
    np.moveaxis(codes, axis, 0)[sorted(slices)] = 1
    channels[codes == 0] = 0
    annotated = Annotated(codes, np.array([[False] * 16, [True] * 16]))
    labels, known = _on_grid(channels, annotated, original, grid)

    if len(slices) < 16:
        np.testing.assert_array_equal(known > 0, labels > 0)
    step = 16 / grid.shape[axis]
    for index in range(grid.shape[axis]):
        (value,) = np.unique(labels.take(index, axis))
        if value:
            # The slice overlaps the voxel that it labels.
            assert value - 1 < (index + 1) * step + 1e-6 and value > index * step - 1e-6
    for number in slices:
        # Where the middle of an annotated slice lies, something is annotated.
        assert known.take(min(int((number + 0.5) / step), grid.shape[axis] - 1), axis).all()


def test_a_case_in_which_nothing_is_annotated_is_not_trained_on(preparation):
    case = Loaded(two_organs(), np.zeros(GRID.shape, np.uint8))
    assert preparation.segmenter_cases(case) == [] == preparation.locator_cases(case)
    preparation.plan = cascade(locator=None)
    assert preparation.segmenter_cases(case) == []
    assert preparation.segmenter_cases(case) == [] and case.times == 3


def test_arrays_are_memory_maps_and_hold_no_file_open(preparation):
    cases = preparation.locator_cases(Loaded(two_organs())) * 50
    part = cases[0].open()
    for name in ("image", "channels", "codes"):
        assert isinstance(getattr(part, name), np.memmap)
    assert part.image.dtype == np.float16
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system doesn't list a process's open files")
    del part
    before = len(os.listdir("/proc/self/fd"))
    points = [case.open().points for case in cases]
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(points) == 50


def test_what_is_read_back_is_what_was_prepared(preparation):
    case = Loaded(two_organs())
    (prepared,) = preparation._prepare_whole(case)
    (stored,) = opened(preparation.locator_cases(case))
    for name in ("image", "channels", "codes", "subsets"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(prepared, name))
    assert len(stored.points) == len(prepared.points) == 3
    for one, other in zip(stored.points, prepared.points):
        np.testing.assert_array_equal(one, other)


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
import numpy as np
from pathlib import Path
from ActiveSegLoopLib.model import prepared
from ActiveSegLoopLib.model.preparing import Preparation
from Testing.model.samples import cascade
from Testing.model.loaded_cases import Loaded, two_organs
save, written = np.save, []
def save_or_die(path, array):
    written.append(path)
    if len(written) == 8:  # in the middle of the second organ
        os.kill(os.getpid(), signal.SIGKILL)
    save(path, array)
np.save = save_or_die
Preparation(Path({folder!r}), cascade()).segmenter_cases(Loaded(two_organs()))
"""


def test_a_kill_leaves_nothing_that_is_used_by_halves(preparation):
    code = KILLED.format(path=sys.path, folder=str(preparation.folder))
    killed = subprocess.run([sys.executable, "-c", code])
    assert killed.returncode == -signal.SIGKILL
    (left,) = os.listdir(preparation.folder)
    case = Loaded(two_organs())
    assert len(opened(preparation.segmenter_cases(case))) == 2
    assert case.times == 1
    preparation.forget_unused()
    assert left not in os.listdir(preparation.folder) and len(os.listdir(preparation.folder)) == 1


def test_of_two_processes_that_prepare_the_same_the_first_one_wins(preparation):
    inner = Loaded(two_organs())
    folder = preparation.folder

    def load():
        Preparation(folder, preparation.plan).segmenter_cases(inner)
        return inner.load()

    cases = preparation.segmenter_cases(LabeledCase("c0", "key", load))
    assert len(opened(cases)) == 2
    assert len(os.listdir(folder)) == 1


def shorten(folder: Path) -> None:
    os.truncate(folder / "1" / "image.npy", 100)


def shorten_by_a_byte(folder: Path) -> None:
    file = folder / "0" / "codes.npy"
    os.truncate(file, file.stat().st_size - 1)


DAMAGES = [
    shorten,
    shorten_by_a_byte,
    lambda folder: (folder / "0" / "points.npy").write_bytes(b""),
    lambda folder: (folder / "0" / "image.npy").unlink(),
    lambda folder: shutil.rmtree(folder / "1"),
    lambda folder: [shutil.rmtree(folder / name) for name in "01"],
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_or_incomplete_is_prepared_again(preparation, damage):
    case = Loaded(two_organs())
    before = opened(preparation.segmenter_cases(case))
    before = [(part.image.copy(), part.codes.copy(), part.points[0]) for part in before]
    (folder,) = preparation.folder.iterdir()
    damage(folder)
    after = opened(preparation.segmenter_cases(case))
    assert case.times == 2 and list(preparation.folder.iterdir()) == [folder]
    for old, part in zip(before, after, strict=True):
        for one, other in zip(old, (part.image, part.codes, part.points[0])):
            np.testing.assert_array_equal(one, other)
    preparation.segmenter_cases(case)
    assert case.times == 2


def test_what_is_no_longer_used_is_forgotten_but_not_what_another_process_writes(preparation):
    preparation.segmenter_cases(Loaded(two_organs(), key="old"))
    newer = Preparation(preparation.folder, preparation.plan)
    newer.segmenter_cases(Loaded(two_organs(), key="new"))
    with staging(preparation.folder) as temporary:
        newer.forget_unused()
        left = set(os.listdir(preparation.folder))
        assert temporary.name in left and left - {temporary.name} == newer.used
    case = Loaded(two_organs(), key="old")
    preparation.segmenter_cases(case)
    assert case.times == 1


def test_forgetting_never_leaves_half_a_case_under_its_name(preparation, monkeypatch):
    preparation.segmenter_cases(Loaded(two_organs(), key="old"))
    (old,) = os.listdir(preparation.folder)

    def fail(path, *_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("ActiveSegLoopLib.study.files.shutil.rmtree", fail)
    newer = Preparation(preparation.folder, preparation.plan)
    with pytest.raises(KeyboardInterrupt):
        newer.forget_unused()
    assert old not in os.listdir(preparation.folder)


def test_parts_of_an_image_are_normalized_like_the_whole():
    image = np.random.default_rng(0).normal(50, 9, (8, 9, 10)).astype(np.float32)
    image[:4] += 100
    volume = Volume(image, Geometry((8, 9, 10), (2.0, 1.0, 1.0), (5.0, 6.0, 7.0)))
    fixed = normalized_settings(cascade(), [volume])
    box = Box((2, 3, 4), (6, 9, 9))
    whole, _, _ = network_input([volume], fixed, None, (2.0, 1.0, 1.0))
    part, geometry, _ = network_input([volume], fixed, box, (2.0, 1.0, 1.0))
    np.testing.assert_array_equal(part[0], whole[0][box.slices])
    assert crop(volume, box).geometry == geometry
    np.testing.assert_allclose(geometry.origin, volume.geometry.index_to_world((2, 3, 4)))


def test_axes_are_brought_to_lps_together_with_labels_and_annotation():
    # x runs to the left in the file's order, so that the array is turned around.
    flipped = Geometry((3, 4, 5), (1.0, 1.0, 1.0), direction=(-1, 0, 0, 0, 1, 0, 0, 0, 1))
    labels = np.arange(60).reshape(3, 4, 5).astype(np.uint8) % 3
    codes = np.zeros((3, 4, 5), np.uint8)
    codes[:, :, 1] = 1
    volumes, channels, annotated = in_lps(
        [Volume(labels.astype(np.float32), flipped)], Volume(labels, flipped),
        Annotated(codes, EVERYTHING),
    )
    np.testing.assert_array_equal(annotated.codes, codes[:, :, ::-1])
    np.testing.assert_array_equal(channels, np.where(codes == 1, labels, 0)[:, :, ::-1])
    np.testing.assert_array_equal(volumes[0].array, labels[:, :, ::-1])
