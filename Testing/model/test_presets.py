"""Recipes by name."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model.fingerprint import CaseFingerprint
from ActiveSegLoopLib.model.network import UNet
from ActiveSegLoopLib.model.plan import make_plan
from ActiveSegLoopLib.model.presets import PRESETS, get_preset, preset

KIDNEYS = CaseFingerprint(
    (120, 200, 200), (2.0, 1.5, 1.5), ((110.0, 70.0, 60.0),) * 2, (2e5,) * 2,
    ({"low": 0.0, "high": 400.0},), (None,) * 5,
)


@pytest.mark.parametrize("stage", ["locator", "segmenter"])
def test_kim2020_trains_both_networks_with_the_papers_numbers(stage):
    training = getattr(get_preset("kim2020", False), stage)
    assert (training.optimizer, training.learning_rate) == ("adam", 1e-5)
    assert (training.weight_decay, training.momentum) == (5e-4, 0.9)
    assert training.batch_for((128, 128, 128)) == 1
    assert (training.schedule, training.warm_up) == ("constant", 0)
    assert (training.dice, training.cross_entropy) == (1.0, 0.0)
    # Stage I: 16 kidneys (of 20) are 2400 iterations, each on one of them.
    assert training.for_cases(16, 1).iterations == 150 * 16
    # Nothing of ours on top of it.
    assert (training.average, training.gradient_norm, training.patience) == (0.0, 0.0, 0)


def test_kim2020_trains_twice_as_long_once_there_is_a_model_unless_iterations_are_asked_for():
    recipe = get_preset("kim2020", False)
    later = recipe.with_epochs(recipe.later_epochs)
    assert later.segmenter.for_cases(40, 1).iterations == 300 * 40
    assert later.locator.for_cases(3, 2).iterations == 450, "three cases, two patches a step"
    asked = get_preset("kim2020", False, 20)
    assert asked.segmenter.for_cases(16, 1).iterations == 20 and not asked.later_epochs


def test_kim2020_adds_noise_to_every_input_and_changes_nothing_else():
    recipe = get_preset("kim2020", False)
    drawn = vars(recipe.augmentation)
    changes = ("spatial", "blur", "brightness", "contrast", "low_resolution", "gamma")
    assert [drawn[name] for name in changes] == [0.0] * len(changes)
    assert drawn["noise"] == 1.0 and drawn["noise_sd"] > 0
    assert not drawn["mirror"] and not recipe.mirror


def test_kim2020_is_a_cascade_that_pools_3_x_3_x_3_by_two_and_drops_nothing_out():
    settings = get_preset("kim2020", False).plan
    made = make_plan([KIDNEYS], 5, replace(settings, patch_voxels=30_000), 8.0)
    for stage in (made.locator, made.segmenter):
        network = UNet(stage.network)
        pools = [m for m in network.modules() if isinstance(m, nn.MaxPool3d)]
        assert len(pools) == len(stage.network.strides) > 2
        assert (pools[0].kernel_size, tuple(pools[0].stride), pools[0].padding) == (
            (3, 3, 3), (2, 2, 2), (1, 1, 1),
        )
        assert not [m for m in network.modules() if isinstance(m, nn.Dropout3d)]
        shape = (1, 1, *stage.patch)
        assert network.eval()(torch.zeros(shape)).shape[2:] == stage.patch


def test_zhang2020_trains_attention_with_the_papers_numbers():
    recipe = get_preset("zhang2020", False)
    training = recipe.segmenter
    assert (training.optimizer, training.learning_rate, training.momentum) == ("sgd", 1e-3, 0.9)
    assert (training.weight_decay, training.iterations) == (1e-4, 500)
    assert training.batch_for((128, 128, 128)) == 2
    assert (training.dice, training.cross_entropy) == (0.0, 1.0)
    assert (training.schedule, training.warm_up) == ("constant", 0)
    assert (training.average, training.gradient_norm, training.patience) == (0.0, 0.0, 0)
    assert recipe.augmentation is None and recipe.warm_start
    network = UNet(make_plan([KIDNEYS], 5, recipe.plan, 8.0).segmenter.network)
    assert network.attention.spatial.out_channels == 6, "Background and five classes."
    assert network.first_dropout is None


def test_rahimi2021_is_one_network_that_drops_half_the_channels_of_every_block():
    recipe = get_preset("rahimi2021", False)
    assert recipe.segmenter.for_cases(11, recipe.segmenter.batch_for((9, 9, 9))).iterations == 264
    made = make_plan([KIDNEYS], 5, recipe.plan, 8.0)
    assert made.locator is None
    network = UNet(made.segmenter.network)
    layers = [m for m in network.modules() if isinstance(m, nn.Dropout3d)]
    assert len(layers) == len(network.encoder) + len(network.decoder)
    assert {layer.p for layer in layers} == {0.5} and network.first_dropout == 0


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_asking_for_iterations_scales_the_locators_training_alike(name, gpu):
    whole, half = get_preset(name, gpu), get_preset(name, gpu, 100)
    assert half.segmenter.iterations == 100
    share = 100 / whole.segmenter.iterations
    assert half.locator.iterations == pytest.approx(whole.locator.iterations * share, abs=0.5)
    whole = replace(whole, later_epochs=0)  # a paper's epochs are for its own length
    assert replace(half, segmenter=whole.segmenter, locator=whole.locator) == whole
    assert get_preset(name, gpu, 1).locator.iterations >= 1


@pytest.mark.parametrize("gpu", [False, True])
def test_fast_is_faster_than_the_default_in_every_way(gpu):
    fast, default = get_preset("fast", gpu), get_preset("default", gpu)
    assert fast.plan.base_channels < default.plan.base_channels
    for stage in ("locator", "segmenter"):
        one, other = getattr(fast, stage), getattr(default, stage)
        assert one.iterations < other.iterations and one.batch_voxels < other.batch_voxels


def test_an_unknown_preset_is_a_sentence_that_names_the_known_ones():
    with pytest.raises(ModelError, match="no preset 'kim'; use one of .*kim2020, rahimi2021"):
        get_preset("kim", False)


def test_no_iterations_are_a_sentence():
    with pytest.raises(ModelError, match="at least 1 iteration, not 0"):
        get_preset("default", False, 0)


def test_a_preset_is_one_registered_function(monkeypatch):
    monkeypatch.setitem(PRESETS, "mine", None)  # taken back afterwards

    @preset("mine")
    def mine(gpu):
        return PRESETS["kim2020"](gpu)

    assert get_preset("mine", True, 10).segmenter.iterations == 10
