"""The steps of this bundle's segmentation for which MONAI has no transform.

ActiveSegLoop copies this file as it is into each MONAI bundle that it writes, as
scripts/segmenting.py; configs/inference.json calls it with a model's numbers. It needs MONAI, not
ActiveSegLoop. Images are tensors (channel, x, y, z) with axes along left, posterior and superior,
spacings are in mm, and a box is an array of its first voxel and the one after its last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from glob import glob
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer, SlidingWindowInferer
from torch import Tensor, nn
from torch.nn import functional

# Voxels that touch, corners included, are one part.
TOUCHING = np.ones((3, 3, 3), bool)


def find_cases(folder: str, keys: Sequence[str]) -> list[dict[str, str]]:
    """The files of each case in a folder, by key.

    A case of one image is any NIfTI file; files of several are named alike but for _0000, _0001.
    """
    if len(keys) == 1:
        return [{keys[0]: path} for path in sorted(glob(f"{folder}/*.nii*"))]
    names = [path.removesuffix("0000.nii.gz") for path in sorted(glob(f"{folder}/*_0000.nii.gz"))]
    return [{key: f"{name}{n:04d}.nii.gz" for n, key in enumerate(keys)} for name in names]


class Windows(Inferer):
    """A network over an image in windows that overlap by half.

    They are of the patch's size; one holds all of an image up to `one_piece` times that large.
    """

    def __init__(
        self, patch: Sequence[int], divisor: Sequence[int], one_piece: float, device: torch.device
    ) -> None:
        self.patch, self.divisor = patch, divisor
        self.one_piece, self.device = one_piece, device

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor]) -> Tensor:
        """What the network makes of a batch; both lie on the CPU, the windows on `device`."""
        window = [
            math.ceil(n / d) * d if p < n <= self.one_piece * p else p
            for n, p, d in zip(inputs.shape[2:], self.patch, self.divisor)
        ]
        if window == list(self.divisor):
            window[0] *= 2  # instance normalization needs two voxels at the deepest level
        windows = SlidingWindowInferer(
            window, overlap=0.5, mode="gaussian", sw_device=self.device, device="cpu"
        )
        return windows(inputs, network)


class Stage:
    """A network that sees images at a spacing of its own."""

    def __init__(self, network: nn.Module, inferer: Inferer, spacing: Sequence[float]) -> None:
        self.network, self.inferer, self.spacing = network, inferer, spacing

    def __call__(
        self, images: Sequence[Tensor], spacing: Sequence[float], scales: Sequence[Mapping]
    ) -> Tensor:
        """Probabilities (class, x, y, z) for images of this spacing; edges stay where they are."""
        size = [
            max(1, round(n * old / new))
            for n, old, new in zip(images[0].shape[1:], spacing, self.spacing)
        ]
        seen = [scaled(resized(image, size), scale) for image, scale in zip(images, scales)]
        return torch.softmax(self.inferer(torch.cat(seen)[None], self.network), dim=1)[0]


class Locator:
    """Where organs are: boxes around what a stage takes for one, even with little certainty."""

    def __init__(
        self, stage: Stage, threshold: float, margin_mm: float, gap_mm: float, minimum_mm3: float
    ) -> None:
        self.stage, self.threshold = stage, threshold
        self.sizes = {"margin_mm": margin_mm, "gap_mm": gap_mm, "minimum_mm3": minimum_mm3}

    def __call__(
        self, images: Sequence[Tensor], spacing: Sequence[float], scales: Sequence[Mapping]
    ) -> list[np.ndarray]:
        """Boxes in voxels of the images, rounded outward."""
        mask = self.stage(images, spacing, scales)[1].numpy() > self.threshold
        fine, coarse = np.array(images[0].shape[1:]), np.array(mask.shape)
        found = find_boxes(mask, np.array(spacing) * fine / coarse, **self.sizes)
        return [
            np.array([lower * fine // coarse, -(-upper * fine // coarse)]) for lower, upper in found
        ]


class Segmenter:
    """Segments the images of a case, each box that the locator finds on its own.

    Without a locator, or where it finds nothing, that is the whole image. `normalization` has an
    entry for each image; parts of a label below its entry of `island_limits` (mm3) are left out.
    """

    def __init__(
        self,
        stage: Stage,
        keys: Sequence[str],
        normalization: Sequence[Mapping[str, Any]],
        locator: Callable[..., list[np.ndarray]] | None = None,
        island_limits: Sequence[float] = (),
    ) -> None:
        self.stage, self.locator = stage, locator
        self.keys, self.normalization = keys, normalization
        self.island_limits = island_limits

    def run(self, cases: Iterable[dict], postprocessing: Callable[[dict], Any]) -> None:
        """Segment one case after the other as "pred"; none is kept."""
        for case in cases:
            postprocessing({**case, "pred": self([case[key] for key in self.keys])})

    @torch.no_grad()
    def __call__(self, images: Sequence[MetaTensor]) -> MetaTensor:
        """The labels 1, 2, ... (1, x, y, z) of images that share a grid; 0 is background."""
        spacing, meta = images[0].pixdim.tolist(), images[0].meta
        images = [image.as_tensor() for image in images]
        scales = [
            case_scale(image[0].numpy()) if entry["kind"] == "case" else entry
            for image, entry in zip(images, self.normalization)
        ]
        label = torch.zeros(images[0].shape[1:], dtype=torch.uint8)
        boxes = self.locator(images, spacing, scales) if self.locator else []
        for lower, upper in boxes or [np.array([[0, 0, 0], label.shape])]:
            where = tuple(slice(int(a), int(b)) for a, b in zip(lower, upper))
            cut = [image[(slice(None), *where)] for image in images]
            odds = self.stage(cut, spacing, scales)
            size = (upper - lower).tolist()
            found = functional.interpolate(odds[None], size, mode="trilinear")[0].argmax(0)
            label[where] = torch.where(found > 0, found.to(label.dtype), label[where])
        drop_islands(label.numpy(), [mm3 / math.prod(spacing) for mm3 in self.island_limits])
        return MetaTensor(label[None], meta=meta)


def resized(image: Tensor, size: Sequence[int]) -> Tensor:
    """An image with so many voxels from edge to edge: linear, averaged where it gets coarser."""

    def plane(values: Tensor, size: Sequence[int]) -> Tensor:
        # PyTorch averages along two axes at a time.
        return functional.interpolate(values, size, mode="bilinear", antialias=True)

    turned = plane(image, size[1:]).permute(0, 3, 1, 2)
    return plane(turned, size[:2]).permute(0, 2, 3, 1)


def scaled(image: Tensor, scale: Mapping[str, Any]) -> Tensor:
    """An image clipped to low and high, and scaled by mean and standard deviation."""
    clipped = image.clip(scale["low"], scale["high"])
    return (clipped - scale["mean"]) / (scale["std"] or math.inf)


def case_scale(image: np.ndarray) -> dict[str, float]:
    """An image's percentiles, and mean and deviation between them, without what is padding."""
    faces = np.concatenate(
        [image.take(end, axis).ravel() for axis in range(3) for end in {0, image.shape[axis] - 1}]
    )
    # Padding, what lies outside the scan, is one value that fills half of the border or more.
    padding = [v for v in (faces.min(), faces.max()) if np.mean(faces == v) >= 0.5]
    inside = image[image != padding[0]] if padding else image.ravel()
    values = inside if inside.size else image.ravel()
    # A sample tells enough; an odd step visits every column.
    values = values[:: math.ceil(values.size / 4_000_000) | 1].astype(float)
    low, high = np.percentile(values, (0.5, 99.5)).tolist()
    values = values.clip(low, high)
    return {"low": low, "high": high, "mean": float(values.mean()), "std": float(values.std())}


def find_boxes(
    mask: np.ndarray, spacing: Sequence[float], margin_mm: float, gap_mm: float, minimum_mm3: float
) -> list[np.ndarray]:
    """Boxes with a margin around each organ in a mask (x, y, z).

    Parts that lie about gap_mm apart are one organ, smaller ones than minimum_mm3 are none, and
    boxes that overlap become one if that holds no more voxels than they do together.
    """
    from scipy import ndimage

    if not mask.any():
        return []
    near = ndimage.distance_transform_edt(~mask, spacing) <= (gap_mm + max(spacing)) / 2
    organs = ndimage.label(near, TOUCHING)[0] * mask
    sizes = np.bincount(organs.ravel())[1:] * math.prod(spacing)
    margin = np.ceil(margin_mm / np.array(spacing) - 1e-6).astype(int)
    waiting, found = [], []
    for where, size in zip(ndimage.find_objects(organs), sizes):
        if where is not None and size >= minimum_mm3:
            box = np.array([[s.start for s in where] - margin, [s.stop for s in where] + margin])
            waiting.append(box.clip(0, mask.shape))
    while waiting:
        box = waiting.pop()
        for number, other in enumerate(found):
            both = np.array([np.minimum(box[0], other[0]), np.maximum(box[1], other[1])])
            overlap = (np.minimum(box[1], other[1]) > np.maximum(box[0], other[0])).all()
            if overlap and _voxels(both) <= _voxels(box) + _voxels(other):
                waiting.append(both)
                del found[number]
                break
        else:
            found.append(box)
    return found


def _voxels(box: np.ndarray) -> int:
    return int(np.prod(box[1] - box[0]))


def drop_islands(label: np.ndarray, limits: Sequence[float]) -> None:
    """Make background of each label's parts of fewer voxels than its limit, but the largest."""
    if not any(limits):
        return
    from scipy import ndimage

    for channel, limit in enumerate(limits, start=1):
        parts, count = ndimage.label(label == channel, TOUCHING)
        if count:
            sizes = np.bincount(parts.ravel())
            small = sizes < min(limit, sizes[1:].max())
            small[0] = False
            label[small[parts]] = 0
