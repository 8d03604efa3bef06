"""Segmenting a volume with a trained model: locate, segment each region, paste back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.images.orientation import from_lps, to_lps
from ActiveSegLoopLib.images.regions import Box
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.device import choose_device, is_out_of_memory, move
from ActiveSegLoopLib.model.inference import original_grid, predict
from ActiveSegLoopLib.model.islands import drop_islands
from ActiveSegLoopLib.model.locating import organ_boxes
from ActiveSegLoopLib.model.model_files import Model, load_model
from ActiveSegLoopLib.model.plan import StagePlan, smaller_patch
from ActiveSegLoopLib.model.preparing import network_input, normalized_settings

Result = TypeVar("Result")


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

    def __init__(self, model: Model, device: torch.device) -> None:
        self.model = model
        self._move(device)

    @classmethod
    def load(
        cls, folder: Path | str, device: str = "auto", sha256: str | None = None
    ) -> Predictor:
        """The model of a round's folder, on `device` (auto, cpu or cuda).

        `sha256`: see load_model.
        """
        model = load_model(Path(folder), sha256)
        return cls(model, choose_device(device))

    def segment(self, volumes: Sequence[Volume]) -> Prediction:
        """Segment one case, given its channels in the order of training.

        Raises ModelError if their number is another or they don't share the first one's grid.
        """
        started = time.perf_counter()
        warnings: list[str] = []
        upright = self.upright(volumes)
        label = np.zeros(upright[0].geometry.shape, np.uint8)
        boxes = []
        for region in self.regions(upright, warnings.append):
            boxes.append(region.box)
            paste(label, region)
        geometry = upright[0].geometry
        drop_islands(label, self.model.plan.island_limits, geometry.voxel_volume)
        labelmap = Volume(self.model.schema.to_values(label), geometry)
        return Prediction(
            from_lps(labelmap, volumes[0].geometry), tuple(boxes), tuple(warnings),
            time.perf_counter() - started,
        )

    def regions(
        self, upright: Sequence[Volume], warn: Callable[[str], None]
    ) -> Iterator[Region]:
        """The regions of a case whose volumes are oriented along LPS, segmented one by one."""
        plan = self.model.plan
        for box, image in self.inputs(upright, warn):
            yield Region(box, self._predict(self.model.segmenter, plan.segmenter, image, warn))

    def inputs(
        self, upright: Sequence[Volume], warn: Callable[[str], None]
    ) -> Iterator[tuple[Box, np.ndarray]]:
        """The box of each region and the segmenter's input (channels, z, y, x) for it."""
        plan = self.model.plan
        settings = normalized_settings(plan, upright)
        for box in self.locate(upright, settings, warn):
            yield box, network_input(upright, settings, box, plan.segmenter.spacing)[0]

    def locate(
        self, upright: Sequence[Volume], settings: Sequence[dict], warn: Callable[[str], None]
    ) -> list[Box]:
        """Boxes in voxels around each organ instance; the whole volume if none is found."""
        whole = [Box((0, 0, 0), upright[0].geometry.shape)]
        if self.model.locator is None:
            return whole
        plan = self.model.plan

        def run_locator(image: np.ndarray) -> Tensor:
            return self._predict(self.model.locator, plan.locator, image, warn)

        found = organ_boxes(run_locator, plan, upright, settings)
        if not found:
            warn("The locator found nothing; the whole volume is segmented instead (slower).")
        return found or whole

    def upright(self, volumes: Sequence[Volume]) -> list[Volume]:
        """The channels of a case along LPS; raises ModelError if they don't fit the model."""
        expected = self.model.plan.segmenter.network.in_channels
        if len(volumes) != expected:
            raise ModelError(
                f"This model needs {expected} image(s) per case and got {len(volumes)}; give "
                "them in the order of training."
            )
        for volume in volumes[1:]:
            difference = volumes[0].geometry.difference(volume.geometry)
            if difference is not None:
                raise ModelError(
                    f"The images of a case don't lie on one grid ({difference}); resample them "
                    "onto the first one's."
                )
        return [to_lps(v) for v in volumes]

    def _predict(
        self, network: nn.Module, stage: StagePlan, image: np.ndarray, warn: Callable[[str], None]
    ) -> Tensor:
        """Class probabilities (channels, z, y, x)."""
        found = self.within_memory(
            stage, warn,
            lambda patch, stitched: predict(network, patch, image, self.device, stitched),
        )
        require_numbers(found)
        return found

    def within_memory(
        self,
        stage: StagePlan,
        warn: Callable[[str], None],
        work: Callable[[StagePlan, torch.device], Result],
    ) -> Result:
        """`work(stage, device of the stitched result)`, with less where the memory is short.

        First the result is stitched in the processor's memory, then the patches get smaller, and
        at last the model moves to the CPU.
        """
        patch, stitched = stage, self.device
        while True:
            try:
                return work(patch, stitched)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                smaller = smaller_patch(patch)
                if stitched.type == "cuda":
                    # It grows with the volume, so that smaller patches alone wouldn't help.
                    warn(
                        f"The memory of {self.device} was short; the result is put together in "
                        "the processor's (slower)."
                    )
                    stitched = torch.device("cpu")
                elif smaller is not None:
                    warn(
                        f"The memory of {self.device} was short; going on with patches of "
                        f"{smaller.patch} voxels."
                    )
                    patch = smaller
                elif self.device.type == "cuda":
                    warn("The GPU's memory is too small for this model; the CPU goes on (slower).")
                    self._move(torch.device("cpu"))
                    patch = stage
                else:
                    raise ModelError(
                        "This machine's memory is too small to run the model."
                    ) from None

    def _move(self, device: torch.device) -> None:
        if device.type == "cpu" and torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.device = device
        for network in (self.model.segmenter, self.model.locator):
            if network is not None:
                move(network, device).eval()


def require_numbers(probabilities: Tensor) -> None:
    """Raise ModelError if any isn't a number: the likeliest class would be the background."""
    if not math.isfinite(probabilities.sum(dtype=torch.float32)):  # needs no second map
        raise ModelError(
            "The model's answer for this image isn't a number (NaN) everywhere; check the "
            "image's values, or train the model again."
        )


def paste(label: np.ndarray, region: Region) -> None:
    """Write the likeliest class of each voxel of a region into a map of channels (z, y, x)."""
    target = label[region.box.slices]
    for slab, values in original_grid(region.probabilities, region.box.shape):
        found = values.argmax(dim=0).to(torch.uint8).cpu().numpy()
        # Where regions overlap, what one of them found stays.
        np.copyto(target[slab], found, where=found > 0)
