"""Segmenting a volume with a trained model: locate, segment each region, paste back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn
from torch.nn import functional

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.orientation import from_lps, to_lps
from ActiveSegLoopLib.images.regions import Box, find_boxes
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.device import choose_device, mixed_precision
from ActiveSegLoopLib.model.model_files import Model, load_model
from ActiveSegLoopLib.model.plan import Plan, StagePlan, smaller_patch
from ActiveSegLoopLib.model.preparing import network_input, normalized_settings

# A region up to this much larger than the patch (per axis) is segmented in one piece.
_ONE_PIECE = 1.3
# Class probabilities on the original grid are made in slabs of about this many bytes.
_SLAB_BYTES = 64e6


@dataclass(frozen=True)
class Region:
    """A region of interest in the LPS-oriented volume and the class probabilities in it.

    `box` in voxels of the original spacing; `probabilities` (1 + labels, z, y, x) on the
    network's grid, whose edges are the box's.
    """

    box: Box
    probabilities: Tensor


@dataclass(frozen=True)
class Prediction:
    """A segmentation on the original grid, in the schema's values, and how it came about.

    `boxes` are the regions of interest in voxels of the LPS-oriented volume.
    """

    labelmap: Volume
    boxes: tuple[Box, ...]
    warnings: tuple[str, ...]
    seconds: float


class Predictor:
    """A model in memory, ready for one volume after the other.

        predictor = Predictor.load("study/models/round-002")
        prediction = predictor.segment([read_image("ct.nii.gz")])
    """

    def __init__(self, model: Model, device: torch.device, mirror: bool = False) -> None:
        self.model = model
        self.device = device
        self.mirror = mirror
        for network in (model.segmenter, model.locator):
            if network is not None:
                network.to(device).eval()

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto") -> Predictor:
        """The model of a round's folder, on `device` (auto, cpu or cuda)."""
        model = load_model(Path(folder))
        return cls(model, choose_device(device), mirror=not model.schema.sides_matter)

    def segment(self, volumes: Sequence[Volume]) -> Prediction:
        """Segment one case, given its channels in the order of training.

        The channels share the first one's grid. Raises ModelError if their number is another.
        """
        started = time.perf_counter()
        warnings: list[str] = []
        upright = self._upright(volumes)
        label = np.zeros(upright[0].geometry.shape, np.uint8)
        boxes = []
        for region in self.regions(upright, warnings.append):
            boxes.append(region.box)
            _paste(label, region)
        labelmap = Volume(self.model.schema.to_values(label), upright[0].geometry)
        return Prediction(
            from_lps(labelmap, volumes[0].geometry), tuple(boxes), tuple(warnings),
            time.perf_counter() - started,
        )

    def regions(
        self, upright: Sequence[Volume], warn: Callable[[str], None]
    ) -> Iterator[Region]:
        """The regions of a case whose volumes are oriented along LPS, segmented one by one."""
        plan = self.model.plan
        settings = normalized_settings(plan, upright)
        boxes = self.locate(upright, settings, warn)
        for box in boxes:
            image, _, _ = network_input(upright, settings, box, plan.segmenter.spacing)
            yield Region(
                box,
                self._predict(self.model.segmenter, plan.segmenter, image, warn),
            )

    def locate(
        self, upright: Sequence[Volume], settings: Sequence[dict], warn: Callable[[str], None]
    ) -> list[Box]:
        """Boxes in voxels around each organ instance; the whole volume if none is found."""
        geometry = upright[0].geometry
        whole = [Box((0, 0, 0), geometry.shape)]
        plan = self.model.plan
        if self.model.locator is None:
            return whole
        image, coarse, _ = network_input(upright, settings, None, plan.locator.spacing)
        probabilities = self._predict(self.model.locator, plan.locator, image, warn)
        found = find_boxes(
            (probabilities[1] > 0.5).cpu().numpy(), coarse.spacing, plan.margin_mm,
            plan.minimum_mm3, plan.gap_mm,
        )
        if not found:
            warn("The locator found nothing; the whole volume is segmented instead (slower).")
            return whole
        return [_onto(box, coarse, geometry) for box in found]

    def _upright(self, volumes: Sequence[Volume]) -> list[Volume]:
        expected = self.model.plan.segmenter.network.in_channels
        if len(volumes) != expected:
            raise ModelError(
                f"This model needs {expected} image(s) per case and got {len(volumes)}; give "
                "them in the order of training."
            )
        return [to_lps(v) for v in volumes]

    def _predict(
        self, network: nn.Module, stage: StagePlan, image: np.ndarray, warn: Callable[[str], None]
    ) -> Tensor:
        """Class probabilities (channels, z, y, x); smaller pieces if the GPU's memory is short."""
        while True:
            try:
                return predict(network, stage, image, self.device, self.mirror)
            except torch.OutOfMemoryError:
                smaller = smaller_patch(stage)
                if smaller is None:
                    raise ModelError(
                        "The GPU's memory is too small for this model; use --device cpu."
                    ) from None
                torch.cuda.empty_cache()
                stage = smaller
                warn(f"The GPU's memory was short; going on with patches of {stage.patch} voxels.")


def predict(
    network: nn.Module, stage: StagePlan, image: np.ndarray, device: torch.device, mirror: bool
) -> Tensor:
    """Class probabilities (channels, z, y, x) of an input (channels, z, y, x).

    In one piece where it is little larger than the patch, else in overlapping windows blended
    with Gaussian weights (MONAI). `mirror` also segments the image mirrored left-right and averages.
    """
    divisor = np.array(stage.network.divisor)
    size = np.array(image.shape[1:])
    fits = size <= _ONE_PIECE * np.array(stage.patch)
    window = np.where(fits, np.ceil(size / divisor) * divisor, stage.patch).astype(int)
    tensor = torch.from_numpy(image)[None].to(device)

    def probabilities(patch: Tensor) -> Tensor:
        with mixed_precision(device):
            return torch.softmax(network(patch).float(), dim=1)

    with torch.inference_mode():
        both = [tensor, tensor.flip(-1)] if mirror else [tensor]
        outputs = [
            sliding_window_inference(
                t, tuple(int(n) for n in window), 1, probabilities, overlap=0.5, mode="gaussian"
            )
            for t in both
        ]
        result = outputs[0] if not mirror else (outputs[0] + outputs[1].flip(-1)) / 2
        return result[0]


def _onto(box: Box, coarse: Geometry, geometry: Geometry) -> Box:
    """A box of the coarse grid in voxels of the grid with the same edges, rounded outward."""
    scale = np.array(geometry.shape) / np.array(coarse.shape)
    lower = np.floor(np.array(box.lower) * scale).astype(int)
    upper = np.ceil(np.array(box.upper) * scale).astype(int)
    return Box(tuple(lower), tuple(np.minimum(upper, geometry.shape)))


def original_grid(probabilities: Tensor, shape: tuple[int, int, int]) -> Iterator[tuple[slice, Tensor]]:
    """Probabilities (C, z, y, x) resampled linearly to `shape` (same edges), slab by slab.

    Yields the slab's slice along z and its values (C, slab, y, x): never the whole at once.
    """
    classes, depth = probabilities.shape[:2]
    slab = max(1, int(_SLAB_BYTES / (4 * classes * shape[1] * shape[2])))
    for start in range(0, shape[0], slab):
        stop = min(shape[0], start + slab)
        position = (torch.arange(start, stop, device=probabilities.device) + 0.5) * depth
        position = (position / shape[0] - 0.5).clamp(0, depth - 1)
        below = position.floor().long()
        above = (below + 1).clamp_max(depth - 1)
        weight = (position - below)[:, None, None]
        part = torch.lerp(probabilities[:, below], probabilities[:, above], weight)
        if part.shape[2:] != tuple(shape[1:]):
            part = functional.interpolate(
                part, shape[1:], mode="bilinear", align_corners=False
            )
        yield slice(start, stop), part


def _paste(label: np.ndarray, region: Region) -> None:
    target = label[region.box.slices]
    for slab, values in original_grid(region.probabilities, region.box.shape):
        found = values.argmax(dim=0).to(torch.uint8).cpu().numpy()
        # Where regions overlap, what one of them found stays.
        np.copyto(target[slab], found, where=found > 0)
