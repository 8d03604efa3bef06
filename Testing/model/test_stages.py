"""Training one network on whatever memory there is."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model import stages
from ActiveSegLoopLib.model.batches import PatchBatches
from ActiveSegLoopLib.model.fingerprint import fingerprint_case
from ActiveSegLoopLib.model.network import UNet
from ActiveSegLoopLib.model.plan import make_plan
from ActiveSegLoopLib.model.preparing import LabeledCase, Preparation, in_lps
from ActiveSegLoopLib.model.presets import get_preset
from ActiveSegLoopLib.model.stages import StageTraining
from ActiveSegLoopLib.model.trainer import Stopped, Trainer
from ActiveSegLoopLib.study import Annotated
from Testing.model.samples import SCHEMA, tiny, two_balls

CPU = torch.device("cpu")


def labeled(seed: int, annotated: bool = True) -> LabeledCase:
    image, labels = two_balls(seed)
    channels = labels.with_array(SCHEMA.to_channels(labels.array))
    codes = np.full(image.array.shape, int(annotated), np.uint8)
    known = Annotated(codes, np.array([[False, False], [True, True]]))
    return LabeledCase(f"c{seed}", f"c{seed}", lambda: ([image], channels, known))


class ShortOfMemory(UNet):
    """The real network on a device whose memory holds only so many voxels of a batch."""

    voxels = math.inf

    def forward(self, image):
        if image.shape[0] * image[0, 0].numel() > self.voxels:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(image)


class ShortOfCpuMemory(ShortOfMemory):
    """The same where the processor's memory is short: a RuntimeError without a class of its own."""

    def forward(self, image):
        try:
            return super().forward(image)
        except torch.OutOfMemoryError:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory") from None


class Warnings(list):
    """The texts of the warnings that were reported."""

    def __call__(self, kind, **data):
        if kind == "warning":
            self.append(data["text"])


def stage(tmp_path, device=CPU, process=(0, 1), should_stop=lambda: False, **recipe):
    cases = [labeled(seed) for seed in range(2)]
    chosen = replace(tiny(locator=False, patch_voxels=12_000), **recipe)
    prints = [fingerprint_case(*in_lps(*case.load())) for case in cases]
    preparation = Preparation(tmp_path / "cache", make_plan(prints, 2, chosen.plan, 8.0))
    return StageTraining(
        "segmenter", preparation, chosen, device, 0, process, tmp_path / "work", False,
        Warnings(), should_stop,
    )


@pytest.fixture
def memory(monkeypatch):
    """A function that sets how many voxels of a batch fit into this machine's memory."""
    monkeypatch.setattr(stages, "UNet", ShortOfMemory)

    def fits(voxels: float) -> None:
        monkeypatch.setattr(ShortOfMemory, "voxels", voxels)

    return fits


@pytest.fixture
def gpu(monkeypatch):
    """A GPU: in truth the CPU, with a network that finds its memory too small for a batch.

    Returns a function that sets how many voxels fit into it.
    """

    limit = {"cuda": math.inf, "cpu": math.inf}
    predict = stages.predict

    def train_on_cpu(name, network, batches, settings, device, *others):
        network.voxels = limit[device.type]
        return Trainer(name, network, batches, settings, CPU, *others)

    def predict_on_cpu(network, plan, image, device, stitched):
        return predict(network, plan, image, CPU)

    monkeypatch.setattr(stages, "UNet", ShortOfMemory)
    monkeypatch.setattr(stages, "Trainer", train_on_cpu)
    monkeypatch.setattr(stages, "predict", predict_on_cpu)
    return lambda voxels: limit.update(cuda=voxels)


def train(stage, validation=()):
    return stage.train([labeled(0), labeled(1)], list(validation))


@pytest.mark.parametrize(
    ("name", "wanted"), [("default", True), ("fast", True), ("kim2020", False)]
)
@pytest.mark.parametrize("allowed", [True, False])
def test_images_are_mirrored_only_where_the_labels_allow_it_and_the_recipe_wants_it(
    tmp_path, monkeypatch, name, wanted, allowed
):
    drawn = []

    class Drawing(PatchBatches):
        def __init__(self, *args) -> None:
            super().__init__(*args)
            drawn.append(self.augmentation)

    monkeypatch.setattr(stages, "PatchBatches", Drawing)
    recipe = get_preset(name, False)
    trained = stage(tmp_path, augmentation=recipe.augmentation, mirror=recipe.mirror)
    trained.mirror = allowed
    train(trained)
    assert drawn == [replace(recipe.augmentation, mirror=wanted and allowed)]


def test_patches_are_halved_until_a_batch_fits_and_each_time_that_is_said(tmp_path, memory):
    short = stage(tmp_path)
    planned = short.preparation.plan.segmenter.patch
    memory(0.4 * 2 * math.prod(planned))
    _, result = train(short)
    used = short.preparation.plan.segmenter.patch
    assert len(result.losses) == 4
    assert 0.2 < math.prod(used) / math.prod(planned) < 0.4
    first, second = short.report
    assert f"too small for patches of {planned}" in first
    assert f"goes on with {used}" in second


def test_short_memory_of_the_processor_means_smaller_patches_too(tmp_path, memory, monkeypatch):
    monkeypatch.setattr(stages, "UNet", ShortOfCpuMemory)
    short = stage(tmp_path)
    planned = short.preparation.plan.segmenter.patch
    memory(0.6 * 2 * math.prod(planned))
    train(short)
    assert math.prod(short.preparation.plan.segmenter.patch) == math.prod(planned) / 2
    memory(10)
    with pytest.raises(ModelError, match="memory is too small to train the segmenter"):
        train(stage(tmp_path / "none"))


def test_smaller_patches_are_not_made_up_for_by_more_of_them(tmp_path, memory):
    # With batches of so many voxels, half a patch would come twice as often.
    recipe = tiny().segmenter
    recipe = replace(recipe, batch_size=None, batch_voxels=2 * 7_000)
    short = stage(tmp_path, segmenter=recipe)
    planned = short.preparation.plan.segmenter.patch
    memory(1.1 * math.prod(planned))
    train(short)
    assert math.prod(short.preparation.plan.segmenter.patch) == math.prod(planned) / 2


def test_validation_that_does_not_fit_means_smaller_patches_too(tmp_path, memory, monkeypatch):
    short = stage(tmp_path)
    planned = short.preparation.plan.segmenter.patch
    memory(2.1 * math.prod(planned))
    seen = []

    class Validating(ShortOfMemory):
        def forward(self, image):
            seen.append(tuple(image.shape[2:]))
            if not self.training and math.prod(image.shape[2:]) > 0.6 * math.prod(planned):
                raise torch.OutOfMemoryError("out of memory")
            return super().forward(image)

    monkeypatch.setattr(stages, "UNet", Validating)
    _, result = train(short, [labeled(2)])
    assert len(short.report) == 1 and len(result.validations) == 2
    assert math.prod(seen[-1]) <= 0.6 * math.prod(planned)


def test_when_nothing_fits_into_the_gpu_the_cpu_goes_on_and_that_is_said(tmp_path, gpu):
    gpu(100)
    short = stage(tmp_path, torch.device("cuda", 0))
    _, result = train(short, [labeled(2)])
    assert len(result.losses) == 4 and short.device == CPU
    *halved, last = short.report
    assert halved and all("goes on with" in text for text in halved)
    assert "trained on the CPU" in last


def test_a_validation_too_large_for_the_gpu_keeps_the_patches_and_stitches_on_the_cpu(
    tmp_path, gpu, monkeypatch
):
    short, asked, predict = stage(tmp_path, torch.device("cuda", 0)), [], stages.predict
    planned = short.preparation.plan.segmenter.patch

    def short_of_stitching(network, plan, image, device, stitched):
        asked.append(stitched)
        if stitched is None:
            raise torch.OutOfMemoryError("out of memory")
        return predict(network, plan, image, device, stitched)

    monkeypatch.setattr(stages, "predict", short_of_stitching)
    _, result = train(short, [labeled(2)])
    assert asked == [None, CPU, CPU] and len(result.validations) == 2
    assert short.preparation.plan.segmenter.patch == planned and short.device.type == "cuda"
    (warning,) = short.report
    assert "too small to validate the segmenter" in warning


def test_enough_memory_on_the_gpu_changes_nothing(tmp_path, gpu):
    roomy = stage(tmp_path, torch.device("cuda", 0))
    train(roomy)
    assert roomy.report == [] and roomy.device.type == "cuda"


def test_a_machine_too_small_for_any_patch_is_a_sentence(tmp_path, memory):
    memory(10)
    with pytest.raises(ModelError, match="memory is too small to train the segmenter"):
        train(stage(tmp_path))


def test_one_of_several_processes_cannot_go_on_with_smaller_patches_alone(tmp_path, memory):
    memory(10)
    with pytest.raises(ModelError, match="train in one process"):
        train(stage(tmp_path, process=(0, 2)))


def test_cases_of_which_nothing_is_annotated_are_a_sentence(tmp_path):
    with pytest.raises(ModelError, match="label a slice first"):
        stage(tmp_path).train([labeled(0, annotated=False)], [])


def test_it_stops_while_it_prepares_cases(tmp_path):
    with pytest.raises(Stopped, match="while preparing"):
        train(stage(tmp_path, should_stop=lambda: True))


def test_the_validation_dice_is_that_of_the_labels_that_are_there(tmp_path, monkeypatch):
    perfect = stage(tmp_path)

    def truth(network, plan, image, device, stitched):
        found = torch.from_numpy(SCHEMA.to_channels(two_balls(2)[1].array)).long()
        return torch.nn.functional.one_hot(found, 3).movedim(-1, 0).float()

    monkeypatch.setattr(stages, "predict", truth)
    _, result = train(perfect, [labeled(2)])
    assert result.best_dice == 1.0
