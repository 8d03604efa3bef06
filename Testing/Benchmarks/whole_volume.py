"""The baseline of the cascade's benchmarks: its segmenter over a whole volume, by MONAI's means."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor

from ActiveSegLoopLib.images.orientation import from_lps, to_lps
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.device import mixed_precision
from ActiveSegLoopLib.model.inference import original_grid
from ActiveSegLoopLib.model.model_files import Model
from ActiveSegLoopLib.model.preparing import network_input, normalized_settings


@dataclass(frozen=True)
class WholeVolume:
    """A segmentation by sliding windows. `seconds` is an estimate if not all windows were run."""

    labelmap: Volume
    windows: int
    seconds: float
    seconds_per_window: float


def segment_whole(
    model: Model,
    volumes: Sequence[Volume],
    device: torch.device,
    half: bool = True,
    windows: int | None = None,
) -> WholeVolume:
    """Segment by SlidingWindowInferer: the segmenter's spacing and patch, overlap 0.5, Gaussian.

    half: in the product's number format, else float32. windows: run the network in so many
    only and once more before, which isn't counted; the other windows get the same output again,
    so that stitching and memory are real, and the time of a window is added for each of them.
    """
    network, stage = model.segmenter.to(device).eval(), model.plan.segmenter
    window_seconds: list[float] = []
    outputs: list[Tensor] = []
    count = 0

    def segmenter(patch: Tensor) -> Tensor:
        nonlocal count
        count += 1
        if windows is not None and count > windows + 1:
            return outputs[-1].clone()  # the inferer weights what it gets in place
        started = time.perf_counter()
        with mixed_precision(device, half):
            found = torch.softmax(network(patch).float(), dim=1)
        found[0, 0, 0, 0, 0].item()  # waits for the GPU
        window_seconds.append(time.perf_counter() - started)
        outputs[:] = [found.clone()]
        return found

    started = time.perf_counter()
    upright = [to_lps(volume) for volume in volumes]
    image, _, _ = network_input(upright, normalized_settings(model.plan, upright), None,
                                stage.spacing)
    inferer = SlidingWindowInferer(stage.patch, sw_batch_size=1, overlap=0.5, mode="gaussian")
    with torch.inference_mode():
        classes = inferer(torch.from_numpy(image)[None].to(device), segmenter)[0]
        label = np.zeros(upright[0].geometry.shape, np.uint8)
        for slab, values in original_grid(classes, label.shape):
            label[slab] = values.argmax(dim=0).to(torch.uint8).cpu().numpy()
    labels = Volume(model.schema.to_values(label), upright[0].geometry)
    labels = from_lps(labels, volumes[0].geometry)
    seconds = time.perf_counter() - started
    per_window = float(np.median(window_seconds[1:] or window_seconds))
    seconds += (count - len(window_seconds)) * per_window
    return WholeVolume(labels, count, seconds, per_window)
