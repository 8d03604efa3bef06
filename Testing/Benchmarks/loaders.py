"""The two sides of data_loading.py: from files on disk to batches of varied patches."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai import transforms as mt
from monai.data import CacheDataset, DataLoader, Dataset, PersistentDataset
from monai.networks import one_hot

from ActiveSegLoopLib.images.reading import read_image, read_labelmap
from ActiveSegLoopLib.model.augmentation import AugmentationSettings
from ActiveSegLoopLib.model.batches import PatchBatches
from ActiveSegLoopLib.model.network import NetworkSettings
from ActiveSegLoopLib.model.plan import Plan, StagePlan
from ActiveSegLoopLib.model.preparing import LabeledCase, Preparation
from ActiveSegLoopLib.study.annotation import Annotated

SPACING, PATCH, SOURCE, BATCH_SIZE, LABELS = (2.0,) * 3, (64,) * 3, (80,) * 3, 2, 5
LOW, HIGH = -200.0, 300.0  # HU


def ours(cases: list[tuple[Path, Path]], cache: Path) -> Callable[[], object]:
    """Prepare the cases (image, labels) in a folder, then give a function that draws a batch."""
    network = NetworkSettings(1, 1 + LABELS, (8,), ((3, 3, 3),), ())
    normalization = {"kind": "fixed", "low": LOW, "high": HIGH, "mean": 50.0, "std": 250.0}
    stage = StagePlan(SPACING, PATCH, network)
    plan = Plan((normalization,), stage, None, margin_mm=0.0, gap_mm=0.0, minimum_mm3=0.0)
    preparation, prepared = Preparation(cache, plan), []
    for image, labels in cases:

        def load(image=image, labels=labels):
            label = read_labelmap(labels)
            subsets = np.array([[False] * LABELS, [True] * LABELS])
            known = Annotated(np.ones(label.array.shape, np.uint8), subsets)
            return [read_image(image)], label, known

        prepared += preparation.segmenter_cases(LabeledCase(image.name, image.name, load))
    batches = PatchBatches(prepared, PATCH, SPACING, BATCH_SIZE, 0, AugmentationSettings())
    steps = itertools.count()
    return lambda: batches.batch(next(steps), torch.device("cpu"))


def monais(cases: list[tuple[Path, Path]], cache: Path | None) -> Callable[[], object]:
    """The same by MONAI's transforms, as probable and as strong; without a folder in memory.

    Orientationd is left out: it needs nibabel, and the phantoms are upright.
    """
    both, image, modes = ["image", "label"], ["image"], ("bilinear", "nearest")
    fixed = [
        mt.LoadImaged(both, ensure_channel_first=True),
        mt.Spacingd(both, pixdim=SPACING, mode=modes),
        mt.ScaleIntensityRanged(image, LOW, HIGH, -1.0, 1.0, clip=True),
        mt.CastToTyped(["label"], torch.uint8),
    ]
    angle, recipe = np.deg2rad(20), AugmentationSettings()
    varied = [
        mt.RandCropByPosNegLabeld(both, "label", SOURCE, pos=1, neg=1),
        mt.RandAffined(both, PATCH, 1 - (1 - recipe.spatial) ** 2, (angle,) * 3,
                       scale_range=((-0.2, 0.25),) * 3, mode=modes, padding_mode="zeros"),
        mt.RandGaussianNoised(image, recipe.noise, std=recipe.noise_sd),
        mt.RandGaussianSmoothd(image, *(recipe.blur_sd,) * 3, prob=recipe.blur),
        mt.RandScaleIntensityd(image, (-0.3, 0.35), recipe.contrast),
        mt.RandShiftIntensityd(image, 0.2, prob=recipe.brightness),
        mt.RandSimulateLowResolutiond(image, recipe.low_resolution, zoom_range=(0.5, 0.83)),
        mt.RandAdjustContrastd(image, recipe.gamma, recipe.gamma_range),
    ]
    items = [{"image": str(i), "label": str(label)} for i, label in cases]
    if cache is None:
        prepared = CacheDataset(items, mt.Compose(fixed), progress=False)
    else:
        prepared = PersistentDataset(items, mt.Compose(fixed), cache)
        for number in range(len(items)):
            prepared[number]  # this is what fills it
    dataset = Dataset(prepared, mt.Compose(varied))
    loader = DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True, drop_last=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))

    def draw():
        batch = next(batches)
        return batch["image"], one_hot(batch["label"], 1 + LABELS)

    return draw
