"""Presets: everything that fixes how a model is planned and trained, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model.augmentation import AugmentationSettings
from ActiveSegLoopLib.model.plan import PlanSettings
from ActiveSegLoopLib.model.trainer import TrainingSettings


@dataclass(frozen=True)
class Preset:
    """A recipe: how to plan, how to train each network, how to vary the images.

    `hold_out`: whether labeled groups of the pool are set aside to validate on where a study has
    no validation cases; without any, the last weights are kept. `warm_start`: whether the weights
    start as those of the study's current model where its networks have the same shape. `mirror`:
    whether varied images are also mirrored, in studies whose labels have no sides. `later_epochs`:
    the epochs of both networks once the study has a model; 0: as before.
    """

    plan: PlanSettings
    segmenter: TrainingSettings
    locator: TrainingSettings
    augmentation: AugmentationSettings | None
    foreground: float = 0.5
    hold_out: bool = True
    warm_start: bool = False
    mirror: bool = True
    later_epochs: int = 0

    def with_epochs(self, epochs: int) -> Preset:
        """The same recipe, both networks trained for so many epochs; 0: for their iterations."""
        return replace(
            self, segmenter=replace(self.segmenter, epochs=epochs),
            locator=replace(self.locator, epochs=epochs),
        )


PRESETS: dict[str, Callable[[bool], Preset]] = {}


def preset(name: str) -> Callable:
    """Register a function (has the machine a GPU?) -> Preset under `name`."""

    def register(function: Callable[[bool], Preset]) -> Callable[[bool], Preset]:
        PRESETS[name] = function
        return function

    return register


def get_preset(name: str, gpu: bool, iterations: int | None = None) -> Preset:
    """The preset called `name`; `iterations` overrides how long its segmenter trains, in any round.

    The locator's training is scaled alike. Raises ModelError for an unknown name.
    """
    if name not in PRESETS:
        raise ModelError(f"There is no preset '{name}'; use one of {', '.join(sorted(PRESETS))}.")
    chosen = PRESETS[name](gpu)
    if iterations is None:
        return chosen
    if iterations < 1:
        raise ModelError(f"A training needs at least 1 iteration, not {iterations}.")
    share = iterations / chosen.segmenter.iterations
    chosen = replace(chosen.with_epochs(0), later_epochs=0)
    return replace(
        chosen,
        segmenter=replace(chosen.segmenter, iterations=iterations),
        locator=replace(
            chosen.locator, iterations=max(1, round(chosen.locator.iterations * share))
        ),
    )


@preset("default")
def default(gpu: bool) -> Preset:
    """The best known recipe; wider and longer where there is a GPU."""
    return Preset(
        plan=PlanSettings(
            base_channels=32 if gpu else 16, patch_voxels=None if gpu else 80_000
        ),
        segmenter=TrainingSettings(
            iterations=5000 if gpu else 1500, batch_voxels=1_600_000 if gpu else 400_000
        ),
        locator=TrainingSettings(
            iterations=2500 if gpu else 1200, batch_voxels=250_000
        ),
        augmentation=AugmentationSettings(),
    )


@preset("fast")
def fast(gpu: bool) -> Preset:
    """A first impression in a few minutes, also without a GPU; each round goes on from the last.

    With so few iterations thin structures are only learned when their voxels weigh more.
    """
    recipe = default(gpu)
    return replace(
        recipe,
        plan=replace(
            recipe.plan, base_channels=12, patch_voxels=110_000, locator_voxels=80_000
        ),
        segmenter=replace(
            recipe.segmenter, iterations=300, batch_voxels=220_000, balance=0.5
        ),
        locator=replace(recipe.locator, iterations=200, batch_voxels=160_000),
        warm_start=True,
    )


@preset("kim2020")
def kim2020(gpu: bool) -> Preset:
    """Kim 2020: soft Dice alone, Adam 1e-5, weight decay 5e-4, batch 1, 3 x 3 x 3 pooling, noise.

    150 epochs in a study's first round, 300 in the later ones: on the paper's 16 to 40 kidneys
    2400 to 12000 iterations.
    """
    training = TrainingSettings(
        epochs=150,
        batch_size=1,
        optimizer="adam",
        learning_rate=1e-5,
        weight_decay=5e-4,
        schedule="constant",
        warm_up=0,
        gradient_norm=0.0,
        cross_entropy=0.0,
        mean_dice=True,
        average=0.0,
        patience=0,
    )
    noise_only = AugmentationSettings(
        spatial=0.0, blur=0.0, brightness=0.0, contrast=0.0, low_resolution=0.0, gamma=0.0,
        noise=1.0,
    )
    return Preset(
        plan=PlanSettings(
            base_channels=32 if gpu else 16, pool=3, dropout_at="none", dropout=0.0, locator=True
        ),
        segmenter=training,
        locator=training,
        augmentation=noise_only,
        mirror=False,
        later_epochs=300,
    )


@preset("rahimi2021")
def rahimi2021(gpu: bool) -> Preset:
    """Rahimi 2021: one 3D U-Net with dropout p = 0.5 after every block, 24 epochs.

    One patch a step: 264 of them on its first 11 volumes. The paper doesn't name loss, optimizer
    and augmentation: they are the default's. No cascade. So much dropout trains badly on few
    volumes: the default has p = 0.1 after the last block.
    """
    recipe = default(gpu)
    training = replace(recipe.segmenter, epochs=24, batch_size=1, patience=0)
    return replace(
        recipe,
        plan=replace(recipe.plan, dropout=0.5, dropout_at="everywhere", locator=False),
        segmenter=training,
        locator=training,
    )


@preset("zhang2020")
def zhang2020(gpu: bool) -> Preset:
    """Zhang 2020: attention, weighted cross-entropy alone, SGD 1e-3, 500 iterations a round.

    Momentum 0.9, weight decay 1e-4, batch 2, every round going on from the last one's weights;
    what isn't labeled weighs nothing. No cascade, no dropout, no augmentation.
    """
    training = TrainingSettings(
        iterations=500,
        batch_size=2,
        optimizer="sgd",
        learning_rate=1e-3,
        weight_decay=1e-4,
        momentum=0.9,
        schedule="constant",
        warm_up=0,
        gradient_norm=0.0,
        dice=0.0,
        cross_entropy=1.0,
        average=0.0,
        patience=0,
    )
    return Preset(
        plan=replace(
            default(gpu).plan, attention=True, dropout_at="none", dropout=0.0, locator=False
        ),
        segmenter=training,
        locator=training,
        augmentation=None,
        warm_start=True,
    )
