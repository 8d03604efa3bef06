"""Segmenting through the cascade: locate, segment, paste back onto the original grid."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.orientation import to_lps
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model import inference
from ActiveSegLoopLib.model.inference import original_grid, predict
from ActiveSegLoopLib.model.prediction import Predictor

CPU = torch.device("cpu")
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


class NoNumbers(torch.nn.Module):
    """A network of weights that became NaN."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.network(image) * torch.nan


def two_organs(geometry: Geometry) -> tuple[Volume, np.ndarray]:
    """An image with two separate organs (2) with a tumor (5) in one, and its label map."""
    image = np.zeros(geometry.shape, np.float32)
    truth = np.zeros(geometry.shape, np.uint8)
    for start, value, label in (((6, 6, 6), 2, 3), ((6, 6, 40), 2, 3), ((9, 9, 43), 5, 7)):
        size = 10 if label == 3 else 4
        inside = tuple(slice(s, s + size) for s in start)
        image[inside], truth[inside] = value, label
    return Volume(image, geometry), truth


def test_each_organ_instance_gets_its_own_region_and_the_values_of_the_schema(thresholds):
    image, truth = two_organs(Geometry((24, 24, 60), (1, 1, 1)))
    prediction = Predictor(thresholds, CPU).segment([image])
    assert len(prediction.boxes) == 2 and prediction.warnings == ()
    np.testing.assert_array_equal(prediction.labelmap.array, truth)
    assert prediction.labelmap.geometry == image.geometry


def test_a_segmentation_lands_on_an_oblique_flipped_grid_voxel_for_voxel(thresholds):
    turn = np.deg2rad(20)
    oblique = np.array(
        [[0, -1, 0], [np.cos(turn), 0, np.sin(turn)], [-np.sin(turn), 0, np.cos(turn)]]
    )
    geometry = Geometry((24, 24, 60), (1, 1, 1), (5, -7, 11), tuple(oblique.ravel()))
    image, truth = two_organs(geometry)
    assert to_lps(image).geometry != geometry
    prediction = Predictor(thresholds, CPU).segment([image])
    np.testing.assert_array_equal(prediction.labelmap.array, truth)


def test_a_coarser_network_grid_gives_edges_within_half_a_coarse_voxel(thresholds):
    plan = replace(thresholds.plan, segmenter=replace(thresholds.plan.segmenter, spacing=(2, 2, 2)))
    image, truth = two_organs(Geometry((24, 24, 60), (1, 1, 1)))
    found = Predictor(replace(thresholds, plan=plan), CPU).segment([image]).labelmap.array
    assert np.count_nonzero((found > 0) != (truth > 0)) < 0.15 * np.count_nonzero(truth)


def test_when_nothing_is_located_the_whole_volume_is_segmented_with_a_warning(thresholds):
    thresholds.locator.limits = (9.5,)
    image, truth = two_organs(Geometry((24, 24, 60), (1, 1, 1)))
    prediction = Predictor(thresholds, CPU).segment([image])
    assert "found nothing" in prediction.warnings[0]
    np.testing.assert_array_equal(prediction.labelmap.array, truth)


def test_specks_that_the_locator_finds_are_no_regions(thresholds):
    image, truth = two_organs(Geometry((24, 24, 60), (3, 3, 3)))
    image.array[20, 20, 25] = 9
    plan = replace(thresholds.plan, minimum_mm3=100.0)
    prediction = Predictor(replace(thresholds, plan=plan), CPU).segment([image])
    assert len(prediction.boxes) == 2
    np.testing.assert_array_equal(prediction.labelmap.array, truth)


def test_parts_smaller_than_any_labeled_one_are_dropped(thresholds):
    image, truth = two_organs(Geometry((24, 24, 60), (1, 1, 1)))
    image.array[8, 8, 20] = 2  # close enough to the organ to be in its region
    plan = replace(thresholds.plan, island_limits=(500.0, 500.0))
    found = Predictor(replace(thresholds, plan=plan), CPU).segment([image]).labelmap.array
    np.testing.assert_array_equal(found, truth)
    plan = replace(thresholds.plan, island_limits=())
    found = Predictor(replace(thresholds, plan=plan), CPU).segment([image]).labelmap.array
    assert found[8, 8, 20] == 3


def test_a_region_larger_than_the_patch_is_segmented_in_blended_windows(thresholds):
    stage = thresholds.plan.segmenter
    image = np.random.default_rng(0).uniform(-5, 5, (1, 40, 20, 18)).astype(np.float32)
    probabilities = predict(thresholds.segmenter, stage, image, CPU)
    assert len(thresholds.segmenter.shapes) > 1
    assert all(np.prod(shape) < 40 * 20 * 18 for shape in thresholds.segmenter.shapes)
    expected = np.digitize(image[0], (1.0, 3.0))
    np.testing.assert_array_equal(probabilities.argmax(0).numpy(), expected)
    torch.testing.assert_close(probabilities.sum(0), torch.ones(40, 20, 18))


def test_slabs_of_the_original_grid_are_the_whole_interpolated_at_once(monkeypatch):
    values = torch.rand(3, 7, 9, 8)
    expected = torch.nn.functional.interpolate(
        values[None], (20, 18, 11), mode="trilinear", align_corners=False
    )[0]
    monkeypatch.setattr("ActiveSegLoopLib.model.inference._SLAB_BYTES", 4 * 3 * 18 * 11 * 6)
    slabs = list(original_grid(values, (20, 18, 11)))
    assert len(slabs) == 4
    torch.testing.assert_close(torch.cat([part for _, part in slabs], dim=1), expected)


def test_a_wrong_number_of_channels_is_a_clear_error(thresholds):
    image, _ = two_organs(Geometry((24, 24, 60), (1, 1, 1)))
    with pytest.raises(ModelError, match="needs 1 image"):
        Predictor(thresholds, CPU).segment([image, image])


def test_channels_on_different_grids_are_a_clear_error(thresholds):
    stage = thresholds.plan.segmenter
    two = replace(stage, network=replace(stage.network, in_channels=2))
    model = replace(thresholds, plan=replace(thresholds.plan, segmenter=two))
    image, _ = two_organs(Geometry((24, 24, 60), (1, 1, 1)))
    moved = Volume(image.array, Geometry((24, 24, 60), (1, 1, 1), (0, 0, 3)))
    with pytest.raises(ModelError, match="don't lie on one grid .*3 mm apart"):
        Predictor(model, CPU).segment([image, moved])


def test_a_result_is_stitched_where_it_is_asked_for_and_windows_are_on_the_networks_device(
    thresholds, monkeypatch
):
    real, asked = inference.sliding_window_inference, []

    def on_cpu(tensor, *others, sw_device, device, **options):
        asked.append((tensor.device, sw_device, device))
        return real(tensor, *others, **options)

    monkeypatch.setattr(inference, "sliding_window_inference", on_cpu)
    gpu, stage = torch.device("cuda", 0), thresholds.plan.segmenter
    image = np.random.default_rng(0).uniform(-5, 5, (1, 40, 20, 18)).astype(np.float32)
    usual = predict(thresholds.segmenter, stage, image, CPU)
    monkeypatch.setattr(inference, "mixed_precision", lambda device: contextlib.nullcontext())
    assert torch.equal(predict(thresholds.segmenter, stage, image, gpu, CPU), usual)
    assert asked == [(CPU, CPU, CPU), (CPU, gpu, CPU)]


SHORT = [
    torch.OutOfMemoryError("out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
]


class ShortOfMemory(torch.nn.Module):
    """A network on a device whose memory holds only so many voxels."""

    def __init__(self, network, voxels: int, error: Exception = SHORT[0]) -> None:
        super().__init__()
        self.network, self.voxels, self.error = network, voxels, error

    def forward(self, image):
        if image[0, 0].numel() > self.voxels:
            raise self.error
        return self.network(image)


@pytest.mark.parametrize("error", SHORT)
def test_too_little_memory_means_smaller_pieces_and_a_warning(thresholds, error):
    image, truth = two_organs(Geometry((24, 24, 60), (1, 1, 1)))
    small = replace(thresholds, segmenter=ShortOfMemory(thresholds.segmenter, 16 * 16 * 10, error))
    prediction = Predictor(small, CPU).segment([image])
    assert any("was short" in text for text in prediction.warnings)
    np.testing.assert_array_equal(prediction.labelmap.array, truth)


def test_a_gpu_too_small_for_the_result_keeps_its_patches_and_stitches_in_the_processors_memory(
    thresholds, monkeypatch
):
    patches = []

    def short_of_stitching(network, stage, image, device, stitched):
        patches.append((stage.patch, stitched.type))
        if stitched.type == "cuda":
            raise SHORT[0]
        return predict(network, stage, image, CPU)

    monkeypatch.setattr("ActiveSegLoopLib.model.prediction.predict", short_of_stitching)
    image, truth = two_organs(Geometry((24, 24, 60), (1, 1, 1)))
    predictor = Predictor(replace(thresholds, locator=None), torch.device("cuda", 0))
    prediction = predictor.segment([image])
    planned = thresholds.plan.segmenter.patch
    assert patches == [(planned, "cuda"), (planned, "cpu")] and predictor.device.type == "cuda"
    (warning,) = prediction.warnings
    assert "put together in the processor's" in warning
    np.testing.assert_array_equal(prediction.labelmap.array, truth)


def test_another_error_of_the_network_is_no_lack_of_memory(thresholds):
    image, _ = two_organs(Geometry((24, 24, 60), (1, 1, 1)))
    broken = ShortOfMemory(thresholds.segmenter, 8, RuntimeError("size mismatch"))
    with pytest.raises(RuntimeError, match="size mismatch"):
        Predictor(replace(thresholds, segmenter=broken), CPU).segment([image])


def test_an_answer_that_is_no_number_is_an_error_and_no_empty_segmentation(thresholds):
    image, _ = two_organs(Geometry((24, 24, 60), (1, 1, 1)))
    with pytest.raises(ModelError, match="isn't a number"):
        Predictor(replace(thresholds, segmenter=NoNumbers(thresholds.segmenter)), CPU).segment(
            [image]
        )


def test_a_gpu_too_small_for_any_piece_hands_over_to_the_cpu_with_a_warning(
    thresholds, monkeypatch
):
    """The GPU is in truth the CPU, with a memory that holds nothing."""

    def run_on_cpu(network, stage, image, device, stitched):
        if device.type == "cuda":
            raise torch.OutOfMemoryError("out of memory")
        return predict(network, stage, image, CPU)

    monkeypatch.setattr("ActiveSegLoopLib.model.prediction.predict", run_on_cpu)
    image, truth = two_organs(Geometry((24, 24, 60), (1, 1, 1)))
    predictor = Predictor(thresholds, torch.device("cuda", 0))
    prediction = predictor.segment([image])
    assert "the CPU goes on" in prediction.warnings[-1] and predictor.device == CPU
    np.testing.assert_array_equal(prediction.labelmap.array, truth)


@pytest.mark.parametrize("error", SHORT)
def test_memory_too_small_for_any_piece_is_a_clear_error(thresholds, error):
    image, _ = two_organs(Geometry((24, 24, 60), (1, 1, 1)))
    none = replace(thresholds, segmenter=ShortOfMemory(thresholds.segmenter, 8, error))
    with pytest.raises(ModelError, match="too small"):
        Predictor(none, CPU).segment([image])
