"""Training batches: patches drawn from preprocessed cases, the same for the same seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ActiveSegLoopLib.model.augmentation import (
    AugmentationSettings,
    draw_variation,
    vary_grid,
    vary_intensities,
)
from ActiveSegLoopLib.model.losses import Target
from ActiveSegLoopLib.model.prepared import Openable, PreparedCase

# The source of a patch is this much larger, so that a rotated or shrunken patch finds real voxels.
_SOURCE_MARGIN = 1.25


class PatchBatches:
    """Batches of patches; `batch(step)` depends on nothing but the seed and the step.

    While a batch is learned from, a thread reads the patches of the next one: a GPU would wait.
    Of a batch's patches, the share `foreground` is centered on a voxel of a label, the label
    drawn evenly among those that the case has; the others anywhere that something was annotated.
    `jitter_mm` moves a patch that holds the whole region, as the locator's box would be moved; it
    is moved by half of `divisor` (the network's strides multiplied) at least. Else, with every 8th
    slice labeled and 8 voxels between the deepest level's, each labeled slice fell on the same of
    its 8 places, the weights for the others were never trained, and Dice was 0.74 instead of 0.88.
    `part` and `parts` split one global batch among the processes of a distributed training.
    """

    def __init__(
        self,
        cases: Sequence[Openable],
        patch: tuple[int, int, int],
        spacing: tuple[float, float, float],
        batch_size: int,
        seed: int,
        augmentation: AugmentationSettings | None,
        foreground: float = 0.5,
        jitter_mm: float = 0.0,
        divisor: tuple[int, int, int] = (1, 1, 1),
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self.cases = list(cases)
        self.patch = patch
        self.spacing = spacing
        self.batch_size = batch_size
        self.seed = seed
        self.augmentation = augmentation
        self.foreground = foreground
        self.divisor = np.asarray(divisor)
        self.jitter = np.maximum(jitter_mm / np.asarray(spacing), self.divisor // 2)
        self.unknown_edges = _unknown_edges(self.cases)
        self.part = part
        self.parts = parts
        margin = _SOURCE_MARGIN if augmentation is not None else 1.0
        # As much on both sides: else the patch would be sampled between the source's voxels.
        self.source = tuple(n + 2 * int(np.ceil(n * (margin - 1) / 2)) for n in patch)
        self._reader = ThreadPoolExecutor(1, "reading patches")
        self._ahead: tuple[int, Future] | None = None

    def batch(self, step: int, device: torch.device) -> tuple[Tensor, Target]:
        """Images (batch, channels, z, y, x) and the target, on `device`."""
        if self._ahead is None or self._ahead[0] != step:
            self._ahead = step, self._reader.submit(self._draws, step)
        draws = self._ahead[1].result()
        self._ahead = step + 1, self._reader.submit(self._draws, step + 1)
        images = torch.stack([torch.from_numpy(d[0]) for d in draws]).to(device).float()
        channels = torch.stack([torch.from_numpy(d[1]) for d in draws]).to(device)
        codes = torch.stack([torch.from_numpy(d[2]) for d in draws]).to(device)
        variations = [d[4] for d in draws]
        if self.augmentation is not None:
            grid = vary_grid(variations, self.source, self.patch, self.spacing, device)
            images = functional.grid_sample(
                images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
            )
            both = torch.stack((channels, codes), dim=1).float()
            both = functional.grid_sample(
                both, grid, mode="nearest", padding_mode="zeros", align_corners=False
            )
            channels, codes = both.round().to(torch.uint8).unbind(1)
            images = torch.stack(
                [vary_intensities(i, v) for i, v in zip(images, variations, strict=True)]
            )
        annotated = torch.stack(
            [
                torch.from_numpy(d[3].T).to(device)[:, code.long()]
                for d, code in zip(draws, codes, strict=True)
            ]
        )
        return images, Target.from_channels(channels, annotated)

    def close(self) -> None:
        """Wait for what is being read: then no file of the cases is open, and they may go."""
        if self._ahead is not None:
            wait([self._ahead[1]])
            self._ahead = None

    def step_seed(self, step: int) -> int:
        """A seed of this process's own for whatever else is drawn at `step` (dropout)."""
        return int(np.random.SeedSequence((self.seed, 3, step, self.part)).generate_state(1)[0])

    def case_of(self, step: int, index: int) -> Openable:
        """The case of one patch of the global batch: each is seen before any is seen twice."""
        position = step * self.parts * self.batch_size + index
        lap, place = divmod(position, len(self.cases))
        order = np.random.default_rng((self.seed, 1, lap)).permutation(len(self.cases))
        return self.cases[order[place]]

    def _draws(self, step: int) -> list[tuple]:
        first = self.part * self.batch_size
        return [self._draw(step, first + i) for i in range(self.batch_size)]

    def _draw(self, step: int, index: int) -> tuple:
        case = self.case_of(step, index).open()
        random = np.random.default_rng((self.seed, 2, step, index))
        anchor = self._anchor(case, random)
        first, last = self._part(case, anchor, random)
        center = self._center(anchor - first, last - first, random)
        part = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        image = _crop(case.image[(slice(None), *part)], center, self.source)
        channels = _crop(case.channels[part][None], center, self.source)[0]
        codes = _crop(case.codes[part][None], center, self.source)[0]
        variation = (
            draw_variation(self.augmentation, self.spacing, random)
            if self.augmentation is not None
            else None
        )
        return image, channels, codes, case.subsets, variation

    def _anchor(self, case: PreparedCase, random: np.random.Generator) -> np.ndarray:
        """The voxel (z, y, x) that a patch is for."""
        kind = 0
        labels = [c for c in range(1, len(case.points)) if len(case.points[c])]
        if labels and random.random() < self.foreground:
            kind = labels[random.integers(len(labels))]
        points = case.points[kind]
        return points[random.integers(len(points))].astype(np.int64)

    def _part(
        self, case: PreparedCase, anchor: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the case begins and ends for one patch, voxels (z, y, x).

        Where no case is annotated up to its edge, the network never sees an edge that counts and
        invents structures there. So every other patch ends as near to an annotated voxel.
        """
        first, last = np.zeros(3, np.int64), np.array(case.channels.shape, np.int64)
        before, behind = self.unknown_edges
        for axis in range(3):
            if before[axis] and random.random() < 0.5:
                first[axis] = max(0, anchor[axis] - random.integers(before[axis] + 1))
            if behind[axis] and random.random() < 0.5:
                last[axis] = min(last[axis], anchor[axis] + random.integers(behind[axis] + 1) + 1)
        return first, last

    def _center(
        self, anchor: np.ndarray, shape: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """The middle of a patch in a case of this shape.

        Patches stay inside the case where it is large enough, and near its middle where not.
        """
        patch = np.array(self.patch)
        low, high = patch // 2, shape - (patch - patch // 2)
        inside = np.where(shape <= patch, shape // 2, np.clip(anchor, low, np.maximum(low, high)))
        moved = np.round(random.uniform(-1, 1, 3) * self.jitter).astype(np.int64)
        return inside + np.where(shape - patch < self.divisor, moved, 0)


def _unknown_edges(cases: Sequence[Openable]) -> tuple[np.ndarray, np.ndarray]:
    """How many voxels (z, y, x) before and behind what is annotated are so in no case at all."""
    gaps = []
    for case in (stored.open() for stored in cases):
        annotated = case.points[0]
        shape = np.array(case.channels.shape)
        gaps.append((annotated.min(axis=0), shape - 1 - annotated.max(axis=0)))
    before, behind = np.min(gaps, axis=0)
    return before, behind


def _crop(array: np.ndarray, center: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """A copy (channels, *shape) around `center`, zeros beyond the array."""
    out = np.zeros((array.shape[0], *shape), dtype=array.dtype)
    source, destination = [slice(None)], [slice(None)]
    for c, n, size in zip(center, shape, array.shape[1:], strict=True):
        start = int(c) - n // 2
        low, high = max(0, start), min(size, start + n)
        source.append(slice(low, max(low, high)))
        destination.append(slice(low - start, max(low, high) - start))
    out[tuple(destination)] = array[tuple(source)]
    return out
