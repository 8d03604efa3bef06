"""Monte Carlo dropout: many passes of one network over one array, at little more than one's cost.

Dropout stays on at prediction (Gal and Ghahramani 2016; Rahimi 2021), drawn here as explicit masks
of channels: nothing else becomes random, normalization stays as it is in prediction, and the
answer depends on the seed alone. What comes before the first dropout is computed once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ActiveSegLoopLib.model.device import mixed_precision
from ActiveSegLoopLib.model.inference import Where, in_windows
from ActiveSegLoopLib.model.network import Masks, UNet
from ActiveSegLoopLib.model.plan import StagePlan
from ActiveSegLoopLib.model.pooling import FeaturePool

# Voxels times passes that a GPU takes at once; a CPU gains nothing from more than one pass.
_GPU_VOXELS = 4_000_000
# Values (passes x classes x voxels) of the head's passes that stay in a processor's cache.
_CHUNK_VALUES = 250_000


@dataclass(frozen=True)
class SampleSettings:
    """What to sample. `passes` 1, or a network without dropout: one prediction without dropout.

    `plain` also keeps the prediction without dropout, `features` what the network makes of the
    foreground; `mixed` allows half precision where it is faster.
    """

    passes: int = 10
    seed: int = 0
    plain: bool = False
    features: bool = False
    mixed: bool = True


@dataclass(frozen=True)
class Samples:
    """Statistics of the passes on the network's grid.

    `mean` (classes, z, y, x): the mean class probabilities, background first. `variance`
    (z, y, x): the population variance over the passes averaged over the classes, background
    included (Rahimi 2021, equation 1); `mutual_information` (z, y, x) in nats: the entropy of the
    mean less the mean entropy (BALD, Houlsby 2011); both None for a single prediction.
    `plain` (classes, z, y, x): the probabilities without dropout, and `attention` likewise the
    attention maps (Zhang 2020), None where there are none. `pool`: the features, if asked for.
    """

    mean: Tensor
    variance: Tensor | None
    mutual_information: Tensor | None
    plain: Tensor | None
    attention: Tensor | None
    pool: FeaturePool | None

    def cpu(self) -> Samples:
        """The same in the processor's memory."""
        moved = {k: v.cpu() for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **moved)


def sample(
    network: UNet,
    stage: StagePlan,
    image: np.ndarray,
    device: torch.device,
    settings: SampleSettings,
    stitched: torch.device | None = None,
) -> Samples:
    """Sample a network's predictions of an input (channels, z, y, x); `stitched`: see in_windows.

    Where an input needs several windows, every pass has one mask for all of them, and the
    statistics of the windows are blended like probabilities: memory doesn't grow with the passes,
    but next to a window's edge the variance is that of its own passes, not of the blended ones.
    """
    sampler = _Sampler(network, image.shape[1:], device, settings)
    found = in_windows(stage, image, device, sampler, stitched)
    return sampler.split(found)


def entropy(probabilities: Tensor) -> Tensor:
    """The entropy in nats over the classes, the first axis."""
    return torch.special.entr(probabilities).sum(dim=0)


class _Sampler:
    """All that is wanted of one window, as channels of one tensor, so that it can be blended."""

    def __init__(
        self,
        network: UNet,
        shape: tuple[int, ...],
        device: torch.device,
        settings: SampleSettings,
    ) -> None:
        self.network = network
        self.device = device
        self.passes = settings.passes
        self.mixed = settings.mixed
        self.attends = network.attention is not None
        self.pool = FeaturePool(shape) if settings.features else None
        self.masks: Masks | None = None
        if network.first_dropout is not None and settings.passes > 1:
            masks = network.draw_masks(settings.passes, settings.seed)
            self.masks = [None if mask is None else mask.to(device) for mask in masks]
        self.plain = self.masks is None or settings.plain or self.attends

    def __call__(self, patch: Tensor, where: Where) -> Tensor:
        """Channels: mean, then variance and information, then plain and attention maps."""
        found = []
        with self._deepest() as deepest, mixed_precision(self.device, self.mixed):
            shared, skips = self.network.to_dropout(patch)
            if self.masks is not None:
                found += self._statistics(shared, skips)
            if self.plain or self.pool is not None:
                features = self.network.from_dropout(shared, skips)
                logits, attention = self.network.head(features), []
                if self.attends:
                    logits, maps = self.network.attention(logits)
                    attention = [maps[0].float()]
                plain = torch.softmax(logits[0].float(), dim=0)
                if self.plain:
                    found += [plain, *attention]
                if self.pool is not None:
                    self.pool.add(features[0], deepest[-1][0], 1 - plain[0], where)
        return torch.cat(found)[None]

    @contextmanager
    def _deepest(self) -> Iterator[deque[Tensor]]:
        """The newest output of the deepest block, if features are asked for."""
        newest: deque[Tensor] = deque(maxlen=1)
        if self.pool is None:
            yield newest
            return
        hook = self.network.encoder[-1].register_forward_hook(lambda *run: newest.append(run[2]))
        try:
            yield newest
        finally:
            hook.remove()

    def split(self, found: Tensor) -> Samples:
        """The channels' meaning."""
        random = 2 if self.masks is not None else 0
        blocks = self.plain + self.attends + (self.masks is not None)
        classes = (len(found) - random) // blocks
        mean, rest = found[:classes], found[classes:]
        variance = information = None
        plain, attention = (mean if self.plain else None), rest
        if self.masks is not None:
            variance, information, rest = rest[0], rest[1], rest[2:]
            plain, attention = (rest[:classes] if self.plain else None), rest[classes:]
        return Samples(
            mean, variance, information, plain, attention if self.attends else None, self.pool
        )

    def _statistics(self, shared: Tensor, skips: list[Tensor]) -> list[Tensor]:
        last = self.network.first_dropout == len(self.masks) - 1
        if last and not self.attends:
            return _of_the_head(self.network, shared[0], self.masks[-1])
        return _streamed(self._passes(shared, skips))

    def _passes(self, shared: Tensor, skips: list[Tensor]) -> Iterator[Tensor]:
        """The logits of every pass, (classes, z, y, x), several computed at a time on a GPU."""
        passes = self.passes
        at_once = 1
        if self.device.type == "cuda":
            at_once = max(1, min(passes, _GPU_VOXELS // shared[0, 0].numel()))
        for start in range(0, passes, at_once):
            masks = [None if m is None else m[start : start + at_once] for m in self.masks]
            features = self.network.from_dropout(shared, list(skips), masks)
            logits = self.network.head(features)
            del features
            if self.attends:
                logits = self.network.attention(logits)[0]
            yield from logits.float()


def _streamed(passes: Iterator[Tensor]) -> list[Tensor]:
    """Mean, variance and mutual information of logits (classes, ...) one by one (Welford 1962)."""
    mean = squares = uncertainty = None
    for count, logits in enumerate(passes, start=1):
        logs = torch.log_softmax(logits, dim=0)
        probabilities = logs.exp()
        own = -(probabilities * logs).sum(dim=0)
        if mean is None:
            mean, uncertainty = probabilities, own
            squares = torch.zeros_like(own)
            continue
        change = probabilities - mean
        mean += change / count
        squares += (change * (probabilities - mean)).mean(dim=0)
        uncertainty += own
    information = entropy(mean) - uncertainty / count
    return [mean, (squares / count)[None], information.clamp_min(0)[None]]


def _of_the_head(network: UNet, features: Tensor, masks: Tensor) -> list[Tensor]:
    """The same where only the head follows the dropout.

    The head is a matrix (classes, channels); dropping channels before it is dropping columns of
    it, so all passes are one product, taken of as many voxels at a time as the cache holds.
    """
    convolution = network.head.conv.conv
    weight = convolution.weight.float().flatten(1)
    classes, passes = len(weight), len(masks)
    weights = (weight * masks[:, None]).flatten(0, 1)
    bias = convolution.bias.float().repeat(passes)[:, None]
    flat = features.flatten(1)
    found = flat.new_empty((classes + 2, flat.shape[1]), dtype=torch.float32)
    if features.device.type == "cuda":
        step = max(1, _GPU_VOXELS // passes)
    else:
        step = max(1, _CHUNK_VALUES // len(weights))
    for start in range(0, flat.shape[1], step):
        part = flat[:, start : start + step].float()
        with torch.autocast(features.device.type, enabled=False):
            logits = torch.addmm(bias, weights, part).unflatten(0, (passes, classes))
        logs = functional.log_softmax(logits, dim=1)
        probabilities = logs.exp()
        mean = probabilities.mean(dim=0)
        out = found[:, start : start + step]
        out[:classes] = mean
        out[classes] = (probabilities - mean).square_().mean(dim=(0, 1))
        own = -(probabilities * logs).sum(dim=1).mean(dim=0)
        out[classes + 1] = (entropy(mean) - own).clamp_min_(0)
    return [found.unflatten(1, features.shape[1:])]
