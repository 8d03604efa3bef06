"""Batches of patches: reproducible, annotated, and split evenly among processes."""

import threading
import time

import numpy as np
import pytest
import torch

from ActiveSegLoopLib.model.augmentation import AugmentationSettings
from ActiveSegLoopLib.model.batches import PatchBatches
from ActiveSegLoopLib.model.prepared import PreparedCase, patch_points

CPU = torch.device("cpu")
SUBSETS = np.array([[False, False], [True, True]])


def prepared(name: str, shape=(12, 16, 16), slices=None, seed=0) -> PreparedCase:
    random = np.random.default_rng(seed)
    channels = np.zeros(shape, np.uint8)
    channels[3:8, 4:9, 4:9] = 1
    channels[5:7, 10:12, 10:12] = 2
    codes = np.ones(shape, np.uint8)
    if slices is not None:
        codes[:] = 0
        codes[slices] = 1
    image = random.standard_normal((1, *shape)).astype(np.float16)
    points = patch_points(channels, codes, SUBSETS)
    return PreparedCase(name, image, channels, codes, SUBSETS, points)


def batches(cases, **changes) -> PatchBatches:
    fields = dict(
        patch=(8, 8, 8), spacing=(1.0, 1.0, 1.0), batch_size=4, seed=1,
        augmentation=AugmentationSettings(),
    )
    return PatchBatches(cases, **(fields | changes))


def test_a_step_gives_the_same_batch_whenever_it_is_asked_for():
    cases = [prepared("a"), prepared("b", seed=1)]
    first, second = batches(cases), batches(cases)
    second.batch(0, CPU)
    image, target = first.batch(7, CPU)
    again, same = second.batch(7, CPU)
    assert torch.equal(image, again)
    assert torch.equal(target.classes, same.classes)
    assert not torch.equal(image, first.batch(8, CPU)[0])


def test_two_processes_together_see_the_batch_of_one_that_is_twice_as_large():
    cases = [prepared("a"), prepared("b", seed=1), prepared("c", seed=2)]
    whole, _ = batches(cases, batch_size=4).batch(3, CPU)
    halves = [batches(cases, batch_size=2, part=i, parts=2).batch(3, CPU)[0] for i in range(2)]
    assert torch.equal(whole, torch.cat(halves))


def test_every_case_is_seen_before_any_is_seen_twice():
    cases = [prepared(name) for name in "abcdef"]
    plain = batches(cases, batch_size=3, augmentation=None)
    seen = [plain.case_of(step, index).name for step in range(2) for index in range(3)]
    assert sorted(seen) == list("abcdef")


@pytest.mark.parametrize("augmentation", [None, AugmentationSettings()])
def test_a_patch_of_a_case_with_one_labeled_slice_holds_annotated_voxels(augmentation):
    sparse = batches([prepared("a", slices=[6])], augmentation=augmentation, foreground=0.0)
    for step in range(10):
        _, target = sparse.batch(step, CPU)
        assert target.annotated.flatten(1).any(dim=1).all()


def test_without_variation_labels_stay_where_the_image_is():
    case = prepared("a", shape=(8, 8, 8))
    image, target = batches([case], augmentation=None).batch(0, CPU)
    assert torch.equal(image[0, 0], torch.from_numpy(case.image[0]).float())
    np.testing.assert_array_equal(target.classes[0, 0].numpy(), case.channels == 1)


STILL = AugmentationSettings(
    spatial=0, noise=0, blur=0, brightness=0, contrast=0, low_resolution=0, gamma=0
)


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_where_nothing_is_varied_a_patch_is_what_lies_around_its_center(axis, size):
    patch = [8, 8, 8]
    patch[axis] = size
    case = prepared("a")
    varied = batches([case], patch=tuple(patch), augmentation=STILL)
    plain = batches([case], patch=tuple(patch), augmentation=None)
    for step in range(3):
        (image, target), (expected, known) = (b.batch(step, CPU) for b in (varied, plain))
        assert expected.shape[2:] == tuple(patch)
        torch.testing.assert_close(image, expected, atol=1e-4, rtol=0)
        assert torch.equal(target.classes, known.classes)
        assert torch.equal(target.annotated, known.annotated)


@pytest.mark.parametrize("augmentation", [None, STILL])
def test_the_one_slice_of_a_case_is_its_patch(augmentation):
    case = prepared("thin", shape=(12, 16, 16))
    channels, codes, image = case.channels[5:6], case.codes[5:6], case.image[:, 5:6]
    points = patch_points(channels, codes, SUBSETS)
    thin = PreparedCase("thin", image, channels, codes, SUBSETS, points)
    found, target = batches([thin], patch=(1, 16, 16), augmentation=augmentation).batch(0, CPU)
    np.testing.assert_allclose(found[0, 0].numpy(), image[0].astype(np.float32), atol=1e-4)
    assert target.annotated.all()
    np.testing.assert_array_equal(target.classes[0, 1].numpy(), channels == 2)


def test_a_small_case_is_padded_with_voxels_that_do_not_count():
    _, target = batches([prepared("a", shape=(12, 16, 12))], patch=(16, 16, 16),
                        augmentation=None).batch(0, CPU)
    assert target.annotated[0, 0].sum() == 12 * 16 * 12


def test_the_locators_jitter_moves_a_region_within_its_patch():
    case = prepared("a", shape=(8, 8, 8))
    moved = batches([case], augmentation=None, jitter_mm=2.0)
    sums = {int(moved.batch(step, CPU)[1].annotated[0, 0].sum()) for step in range(8)}
    assert len(sums) > 1 and max(sums) <= 8**3


def test_rare_labels_are_centered_on_as_often_as_frequent_ones():
    case = prepared("a", shape=(40, 40, 40))
    foreground = batches([case], patch=(4, 4, 4), foreground=1.0, augmentation=None)
    rare = 0
    for step in range(25):
        _, target = foreground.batch(step, CPU)
        rare += int(target.classes[:, 1].flatten(1).any(dim=1).sum())
    assert rare > 30


def test_a_slice_of_a_small_volume_falls_on_every_place_between_the_deepest_levels_voxels():
    case = prepared("small", shape=(8, 8, 8))
    moved = batches([case], patch=(16, 16, 16), augmentation=None, divisor=(4, 4, 4))
    places = {
        tuple(np.argwhere(moved.batch(step, CPU)[1].annotated[0, 0].numpy()).min(axis=0) % 4)
        for step in range(300)
    }
    assert {place[0] for place in places} == {0, 1, 2, 3}
    assert len(places) > 40


def test_where_the_edge_of_a_case_is_not_annotated_patches_also_end_near_a_labeled_slice():
    case = prepared("sparse", shape=(24, 16, 16), slices=[8, 16])
    sparse = batches([case], patch=(24, 16, 16), augmentation=None, foreground=0.0)
    whole, edges = 0, set()
    for step in range(100):
        image, target = sparse.batch(step, CPU)
        for patch, known in zip(image[:, 0], target.annotated[:, 0], strict=True):
            there = np.flatnonzero((patch != 0).flatten(1).any(1).numpy())
            labeled = np.flatnonzero(known.flatten(1).any(1).numpy())
            whole += len(there) == 24
            edges.add(int(labeled[0] - there[0]))
    assert whole and {0, 4, 8} <= edges and max(edges) <= 8 + 8


def test_a_case_that_is_annotated_to_its_edges_is_never_cut():
    case = prepared("whole", shape=(12, 16, 12))
    image, _ = batches([case], patch=(12, 16, 12), augmentation=None).batch(0, CPU)
    assert (image != 0).flatten(2).float().mean() > 0.99


class Slow:
    """A case that says when it is being read, and from which thread."""

    def __init__(self, case: PreparedCase) -> None:
        self.case, self.name = case, case.name
        self.threads: list[str] = []
        self.reading = False

    def open(self) -> PreparedCase:
        self.reading = True
        self.threads.append(threading.current_thread().name)
        time.sleep(0.05)
        self.reading = False
        return self.case


def test_the_next_batch_is_read_while_this_one_is_learned_from():
    slow = Slow(prepared("a"))
    plain = batches([slow], batch_size=1)
    opened = len(slow.threads)
    plain.batch(0, CPU)
    plain.close()
    assert len(slow.threads) == opened + 2
    assert threading.current_thread().name not in slow.threads[opened:]


def test_after_closing_no_case_is_being_read_and_batches_are_still_the_same():
    slow = Slow(prepared("a"))
    plain = batches([slow], batch_size=1)
    plain.batch(0, CPU)
    plain.close()
    assert not slow.reading
    assert torch.equal(plain.batch(1, CPU)[0], batches([slow.case], batch_size=1).batch(1, CPU)[0])


def test_a_case_that_cannot_be_read_ends_the_training_with_its_error():
    slow = Slow(prepared("a"))
    plain = batches([slow], batch_size=1)
    plain.batch(0, CPU)
    plain.close()
    slow.case = None
    with pytest.raises(AttributeError):
        plain.batch(1, CPU)
