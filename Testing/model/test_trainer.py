"""Training: resumable to the bit, keeping the best weights, ending on a plateau."""

import math
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model.augmentation import AugmentationSettings
from ActiveSegLoopLib.model.batches import PatchBatches
from ActiveSegLoopLib.model.network import NetworkSettings, UNet
from ActiveSegLoopLib.model.prepared import PreparedCase, patch_points
from ActiveSegLoopLib.model.trainer import Stopped, Trainer, TrainingSettings

QUICK = TrainingSettings(iterations=8, batch_size=2, warm_up=1, validations=4, patience=0)


def ball_cases(count=2, size=12, slices=np.s_[:]) -> list[PreparedCase]:
    cases = []
    for index in range(count):
        random = np.random.default_rng(index)
        z, y, x = np.ogrid[:size, :size, :size]
        ball = (z - 6) ** 2 + (y - 6) ** 2 + (x - 5 - index) ** 2 < 12
        channels = ball.astype(np.uint8)
        image = (ball + 0.1 * random.standard_normal(ball.shape))[None].astype(np.float16)
        channels, image = channels[slices], image[:, slices]
        codes, subsets = np.ones_like(channels), np.array([[False], [True]])
        points = patch_points(channels, codes, subsets)
        cases.append(PreparedCase(str(index), image, channels, codes, subsets, points))
    return cases


def trainer(
    folder, settings=QUICK, validate=None, should_stop=lambda: False, seconds=30.0, dropout=0.3
):
    torch.manual_seed(3)
    network = UNet(
        NetworkSettings(
            1, 2, (4, 8), ((3, 3, 3),) * 2, ((2, 2, 2),), dropout=dropout, dropout_at="last"
        )
    )
    batches = PatchBatches(
        ball_cases(), (12, 12, 12), (1, 1, 1), settings.batch_size, 5, AugmentationSettings()
    )
    return Trainer(
        "segmenter", network, batches, settings, torch.device("cpu"), folder, validate,
        lambda kind, **data: None, should_stop, seconds,
    )


def weights(training: Trainer) -> dict:
    return {k: v.clone() for k, v in training.network.state_dict().items()}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


class StopAfter:
    """Asks to stop at the n-th question."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_training_lowers_the_loss(tmp_path):
    result = trainer(tmp_path, replace(QUICK, iterations=60), dropout=0.0).run()
    assert np.mean(result.losses[-5:]) < np.mean(result.losses[:5]) - 0.15


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path, optimizer):
    settings = replace(QUICK, optimizer=optimizer)
    whole = trainer(tmp_path / "whole", settings)
    result = whole.run()
    stopped = trainer(tmp_path / "parts", settings, should_stop=StopAfter(3))
    with pytest.raises(Stopped):
        stopped.run()
    resumed = trainer(tmp_path / "parts", settings)
    assert resumed.step == 3
    assert resumed.run().losses == result.losses
    assert same(weights(whole), weights(resumed))


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path):
    settings = replace(QUICK, iterations=40)
    whole = trainer(tmp_path / "whole", settings)
    whole.run()
    script = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n"
        "import test_trainer as t, pathlib, dataclasses, torch\n"
        f"torch.set_num_threads({torch.get_num_threads()})\n"
        "settings = dataclasses.replace(t.QUICK, iterations=40)\n"
        f"t.trainer(pathlib.Path({str(tmp_path / 'killed')!r}), settings, seconds=0).run()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    checkpoint = tmp_path / "killed" / "segmenter.checkpoint.safetensors"
    while not checkpoint.exists():
        assert process.poll() is None, "the training ended before its first checkpoint"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = trainer(tmp_path / "killed", settings)
    assert resumed.step >= 1
    resumed.run()
    assert same(weights(whole), weights(resumed))


def test_the_weights_with_the_best_validation_are_kept(tmp_path):
    dice = iter([0.2, 0.9, 0.5, 0.4])
    seen = []

    def validate(network) -> float:
        seen.append({k: v.clone() for k, v in network.state_dict().items()})
        return next(dice)

    training = trainer(tmp_path, validate=validate)
    result = training.run()
    assert result.best_dice == 0.9 and result.best_step == 4
    assert [step for step, _ in result.validations] == [2, 4, 6, 8]
    assert same(weights(training), seen[1])


def test_training_ends_early_on_a_plateau_and_says_so(tmp_path):
    settings = replace(QUICK, iterations=100, validations=50, patience=3)
    result = trainer(tmp_path, settings, validate=lambda network: 0.5).run()
    assert len(result.validations) == 4
    assert "no longer rose" in result.reason


def test_without_validation_the_last_weights_are_kept(tmp_path):
    result = trainer(tmp_path).run()
    assert math.isnan(result.best_dice) and result.validations == []


def test_a_checkpoint_of_other_settings_is_not_taken_up(tmp_path):
    trainer(tmp_path).run()
    with pytest.raises(ModelError, match="other settings"):
        trainer(tmp_path, replace(QUICK, learning_rate=1e-4))


def test_a_checkpoint_that_cannot_be_read_is_a_sentence(tmp_path):
    path = trainer(tmp_path).path
    trainer(tmp_path).run()
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ModelError, match="segmenter.checkpoint.safetensors can't be read"):
        trainer(tmp_path)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_every_optimizer_goes_on_to_the_same_weights(tmp_path, optimizer):
    settings = replace(QUICK, optimizer=optimizer, average=0.0, schedule="constant")
    whole = trainer(tmp_path / "whole", settings)
    whole.run()
    with pytest.raises(Stopped):
        trainer(tmp_path / "parts", settings, should_stop=StopAfter(3)).run()
    resumed = trainer(tmp_path / "parts", settings)
    resumed.run()
    assert same(weights(whole), weights(resumed))


def test_an_unknown_optimizer_is_a_sentence(tmp_path):
    with pytest.raises(ModelError, match="no optimizer 'lion'; use adamw, adam or sgd"):
        trainer(tmp_path, replace(QUICK, optimizer="lion"))


def test_a_loss_that_is_not_a_number_stops_training_with_a_sentence(tmp_path):
    training = trainer(tmp_path)
    with torch.no_grad():
        next(training.network.parameters()).fill_(math.nan)
    with pytest.raises(ModelError, match="lower the learning rate"):
        training.run()


def test_volumes_of_one_slice_can_be_trained_on_a_cpu_that_is_faster_in_bfloat16(tmp_path):
    torch.manual_seed(3)
    network = UNet(NetworkSettings(1, 2, (8, 16), ((3, 3, 3),) * 2, ((1, 2, 2),)))
    cases = ball_cases(size=32, slices=np.s_[6:7])
    batches = PatchBatches(cases, (1, 32, 32), (1, 1, 1), 4, 5, AugmentationSettings())
    result = Trainer(
        "segmenter", network, batches, replace(QUICK, iterations=40), torch.device("cpu"),
        tmp_path, None, lambda kind, **data: None, lambda: False,
    ).run()
    assert len(result.losses) == 40 and np.isfinite(result.losses).all()


def test_volumes_of_one_slice_are_learned_from(tmp_path):
    network = UNet(NetworkSettings(1, 2, (4, 8), ((1, 3, 3),) * 2, ((1, 2, 2),)))
    batches = PatchBatches(
        ball_cases(size=32, slices=np.s_[6:7]), (1, 32, 32), (5, 1, 1), 2, 5,
        AugmentationSettings(),
    )
    result = Trainer(
        "segmenter", network, batches, replace(QUICK, iterations=6), torch.device("cpu"),
        tmp_path, None, lambda kind, **data: None, lambda: False,
    ).run()
    assert min(result.losses) > 0
