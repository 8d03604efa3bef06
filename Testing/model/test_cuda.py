"""On a real GPU: trained, predicted and sampled as on the CPU, also where its memory is short."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from ActiveSegLoopLib.evaluation.overlap import dice
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.model.model_files import Model
from ActiveSegLoopLib.model.network import UNet
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.presets import PRESETS, get_preset
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.selection.maps import uncertainty_maps
from ActiveSegLoopLib.study import Study
from Testing.model.samples import SCHEMA, cascade, make_study, tiny, two_balls

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

LARGE = Geometry((96, 96, 96), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))


@contextmanager
def memory_of(megabytes: float):
    """The GPU with so little memory for tensors."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(megabytes * 1e6 / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


@pytest.fixture
def learning(monkeypatch):
    """A recipe that learns the two balls, in half precision."""

    def recipe(gpu: bool):
        short = get_preset("default", gpu, 400)
        plan = replace(short.plan, base_channels=8, patch_voxels=12_000, locator=False)
        return replace(short, plan=plan)

    monkeypatch.setitem(PRESETS, "learning", recipe)
    monkeypatch.setitem(PRESETS, "tiny", tiny)


def saying(texts: list[str]):
    return lambda kind, **data: texts.append(data["text"]) if kind == "warning" else None


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    return min(dice(one, other, label.value) for label in SCHEMA.labels)


def test_a_model_trained_there_finds_the_same_there_and_on_the_cpu(tmp_path, learning):
    study = make_study(tmp_path, ["pool"] * 6)
    finished = train_round(study, "learning", "cuda")
    image, labels = two_balls(7)
    found = Predictor.load(finished.folder, "cuda").segment([image]).labelmap.array
    again = Predictor.load(finished.folder, "cpu").segment([image]).labelmap.array
    assert agreement(found, again) > 0.98
    assert agreement(found, labels.array) > 0.8


def test_a_training_that_was_stopped_goes_on_there(tmp_path, learning):
    study = make_study(tmp_path, ["pool"] * 3)
    steps = []

    def report(kind, **data):
        if kind == "progress" and data["stage"] == "segmenter":
            steps.append(data["step"])

    with pytest.raises(Stopped):
        train_round(study, "tiny", "cuda", report=report, should_stop=lambda: len(steps) == 2)
    finished = train_round(study, "tiny", "cuda", report=report)
    assert finished.state == "finished" and steps == [1, 2, 3, 4]


@pytest.mark.parametrize("place", ["last", "decoder", "bottleneck", "everywhere"])
def test_what_dropout_says_is_the_same_there_and_on_the_cpu(place):
    torch.manual_seed(0)
    plan = cascade()
    network = replace(plan.segmenter.network, dropout=0.3, dropout_at=place)
    plan = replace(plan, locator=None, segmenter=replace(plan.segmenter, network=network))
    model = Model(SCHEMA, plan, UNet(network).eval(), None)
    image, _ = two_balls(0)
    maps = [
        uncertainty_maps(Predictor(model, torch.device(name)), [image], 10)
        for name in ("cuda", "cpu")
    ]
    for name in ("entropy", "variance", "mutual_information"):
        one, other = (getattr(found, name).ravel() for found in maps)
        assert spearmanr(one, other).statistic > 0.95, name


def test_patches_too_large_for_its_memory_are_halved_and_that_is_said(tmp_path, monkeypatch):
    # Without a locator, or the patches would be as small as the balls; a step takes 1.4 GB.
    monkeypatch.setitem(
        PRESETS, "large",
        lambda gpu: tiny(gpu, base_channels=16, patch_voxels=900_000, locator=False),
    )
    study = Study.create(tmp_path / "study", SCHEMA)
    for number in range(2):
        image, labels = two_balls(number, LARGE)
        write_volume(path := tmp_path / f"large{number}.nii.gz", image)
        study.add_revision(study.add_case([path]), labels)
    texts = []
    with memory_of(900):
        finished = train_round(study, "large", "cuda", report=saying(texts))
    assert finished.state == "finished"
    assert any("too small for patches" in text and "goes on with" in text for text in texts)


def test_when_nothing_fits_the_cpu_trains_and_that_is_said(tmp_path, learning):
    study = make_study(tmp_path, ["pool"] * 2)
    texts = []
    with memory_of(2):
        finished = train_round(study, "tiny", "cuda", report=saying(texts))
    assert finished.state == "finished"
    assert any("trained on the CPU" in text for text in texts)


def test_a_volume_too_large_for_its_memory_is_segmented_all_the_same():
    torch.manual_seed(0)
    plan = cascade()
    stage = replace(
        plan.segmenter, patch=(96, 96, 96),
        network=replace(plan.segmenter.network, channels=(32, 64)),
    )
    model = Model(SCHEMA, replace(plan, locator=None, segmenter=stage), UNet(stage.network), None)
    image, _ = two_balls(0, LARGE)
    with memory_of(300):
        found = Predictor(model, torch.device("cuda")).segment([image])
    assert any("memory" in text for text in found.warnings)
    assert found.labelmap.geometry == image.geometry
