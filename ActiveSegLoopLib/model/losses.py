"""Dice and cross-entropy that look only at what was annotated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from monai.losses import DiceLoss
from torch import Tensor

from ActiveSegLoopLib.model.distribution import sum_over_processes

_MOST_WEIGHT = 30.0


@dataclass(frozen=True)
class Target:
    """What a batch should be: the foreground classes and where each is annotated.

    `classes` (batch, labels, z, y, x) float, one where the class is, zero where it isn't
    annotated; `annotated` (batch, labels, z, y, x) bool: the class was looked for at this voxel.
    """

    classes: Tensor
    annotated: Tensor

    @classmethod
    def from_channels(cls, channels: Tensor, annotated: Tensor) -> Target:
        """From a map of channels (batch, z, y, x), 0 = background, and its annotated mask."""
        # Not by one_hot: its numbers are 8 bytes each, and it makes a GPU's host wait for a check.
        labels = torch.arange(1, annotated.shape[1] + 1, device=channels.device)
        classes = (channels[:, None] == labels.view(-1, 1, 1, 1)) & annotated
        return cls(classes.float(), annotated)


class AnnotatedLoss:
    """Dice plus cross-entropy over the annotated voxels (either part can be left out).

    A class that wasn't annotated at a voxel is merged with the background there: the network
    may call the voxel either without penalty. Voxels where nothing was annotated weigh nothing.
    Dice (MONAI's DiceLoss) is taken of the labels that are present in a sample: for an absent
    one it would be 1 whatever the network says, and push a rare label to nothing everywhere. It is
    their sum, not their mean (`mean_dice`): with five small organs, a mean left the cross-entropy
    of the background so much weight that nothing was learned for hundreds of steps.
    With `batch_dice` (as nnU-Net, for patches much smaller than the image) a label has one Dice
    for all samples together: what is drawn in a sample without it counts against it, too.
    In the cross-entropy a voxel of a label weighs (annotated voxels / voxels of the label in the
    sample) ** `balance`, at most _MOST_WEIGHT: 0 weighs all voxels alike, 1 all labels.
    """

    def __init__(
        self,
        dice: float = 1.0,
        cross_entropy: float = 1.0,
        mean_dice: bool = False,
        smooth: float = 1e-5,
        balance: float = 0.0,
        batch_dice: bool = False,
    ) -> None:
        self.dice_weight = dice
        self.cross_entropy_weight = cross_entropy
        self.mean_dice = mean_dice
        self.balance = balance
        self.batch_dice = batch_dice
        self.smooth = smooth
        self.dice = DiceLoss(
            include_background=True, reduction="none", smooth_nr=smooth, smooth_dr=smooth
        )

    def __call__(self, logits: Tensor, target: Target) -> Tensor:
        """The mean loss over the batch; logits (batch, 1 + labels, z, y, x), background first."""
        logits = logits.float()
        loss = logits.new_zeros(())
        if self.cross_entropy_weight:
            loss = loss + self.cross_entropy_weight * _cross_entropy(logits, target, self.balance)
        if self.dice_weight:
            loss = loss + self.dice_weight * self._dice(logits, target)
        return loss

    def _dice(self, logits: Tensor, target: Target) -> Tensor:
        probabilities = torch.softmax(logits, dim=1)[:, 1:] * target.annotated
        if self.batch_dice:
            per_class, present = self._dice_of_batch(probabilities, target.classes)
        else:
            per_class = self.dice(probabilities, target.classes).flatten(1)
            present = target.classes.flatten(2).any(dim=2)
        total = (per_class * present).sum(-1)
        return (total / present.sum(-1).clamp_min(1) if self.mean_dice else total).mean()

    def _dice_of_batch(self, probabilities: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Per label, over all samples of all processes: 1 - Dice, and whether it is anywhere."""
        sums = [x.sum(dim=(0, 2, 3, 4)) for x in (probabilities * classes, probabilities, classes)]
        inside, predicted, true = sum_over_processes(torch.stack(sums))
        dice = (2 * inside + self.smooth) / (predicted + true + self.smooth)
        return 1 - dice, true > 0


def _cross_entropy(logits: Tensor, target: Target, balance: float) -> Tensor:
    logs = torch.log_softmax(logits, dim=1)
    # log of the background's probability and that of every class that wasn't annotated.
    merged = torch.cat(
        (logs[:, :1], logs[:, 1:].masked_fill(target.annotated, -torch.inf)), dim=1
    ).logsumexp(dim=1)
    background = 1 - target.classes.sum(dim=1)
    per_voxel = -(target.classes * logs[:, 1:]).sum(dim=1) - background * merged
    weight = target.annotated.any(dim=1).float()
    if balance:
        known = weight.flatten(1).sum(1, keepdim=True)
        per_label = (known / target.classes.flatten(2).sum(2).clamp_min(1)) ** balance
        per_label = per_label.clamp_max(_MOST_WEIGHT)[:, :, None, None, None]
        weight = weight * (background + (target.classes * per_label).sum(dim=1))
    per_sample = (per_voxel * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp_min(1)
    return per_sample.mean()
