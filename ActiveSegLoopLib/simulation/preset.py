"""The recipe of the experiments: a small network that is trained in half a minute on one core."""

from __future__ import annotations

from dataclasses import replace

from ActiveSegLoopLib.model.presets import Preset, get_preset, preset


@preset("simulation")
def simulation(gpu: bool) -> Preset:
    """A small network on small patches for experiments with many trainings.

    Nothing is held out: what is labeled is the budget, and all of it is trained on for a fixed
    number of steps, so that runs differ by what was labeled alone. Each round goes on from the
    last one's weights: from scratch, so few steps leave a noise larger than what strategies differ
    by.
    """
    recipe = get_preset("default", gpu)
    training = replace(
        recipe.segmenter, iterations=300, batch_size=2, learning_rate=1e-2, warm_up=20,
        average=0.97, validations=0, patience=0,
    )
    return replace(
        recipe,
        plan=replace(recipe.plan, base_channels=8, patch_voxels=40_000, locator=False),
        segmenter=training,
        locator=training,
        augmentation=replace(
            recipe.augmentation, spatial=0.2, degrees=25.0, scale=(0.75, 1.3)
        ),
        hold_out=False,
        warm_start=True,
    )


@preset("simulation-small")
def simulation_small(gpu: bool) -> Preset:
    """The same for small organs: their voxels weigh more, or so few steps don't learn them.

    Their slices and patches rarely show all of them, so Dice is that of the batch, in which an
    organ drawn where a sample has none counts: on headneck-slices every strategy ended 0.01 to 0.02
    higher.
    """
    recipe = simulation(gpu)
    training = replace(recipe.segmenter, balance=0.5, batch_dice=True)
    return replace(recipe, segmenter=training, locator=training)


@preset("simulation-attention")
def simulation_attention(gpu: bool) -> Preset:
    """The same with Zhang 2020's attention, so that its scores compare with all others.

    The preset zhang2020 learns nothing of a hippocampus from 72 slices: its 500 steps of plain SGD
    ended at a Dice of 0.01.
    """
    recipe = simulation(gpu)
    return replace(recipe, plan=replace(recipe.plan, attention=True))
