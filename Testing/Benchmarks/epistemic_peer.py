"""MONAI Label's epistemic scoring, step for step, on a network of ours: the peer of mc_dropout.py.

After Project-MONAI/MONAILabel: monailabel/tasks/scoring/epistemic_v2.py (run_scoring and
entropy_volume of EpistemicScoring, commit 006228a) and monailabel/tasks/infer/basic_infer.py
(BasicInferTask with train_mode). For every simulation the whole inference task runs anew, from
reading the file (cache_transforms is off) through the transforms to a sliding window (overlap 0.25)
over the whole volume in float32; the probabilities of all simulations are stacked, and the score is
the mean entropy of their mean over the foreground channels. Only reading the file and turning it
upright is ours (MONAI's would need nibabel).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from monai.transforms import (
    Activationsd,
    Compose,
    EnsureChannelFirstd,
    EnsureTyped,
    NormalizeIntensityd,
    Spacingd,
)

from ActiveSegLoopLib.images.orientation import to_lps
from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.model.model_files import Model

_THRESHOLD = 0.00005


class EpistemicScoring:
    """Scores the images of a model with one channel; MONAI Label's default is 5 simulations."""

    def __init__(self, model: Model, device: torch.device) -> None:
        spacing = model.plan.segmenter.spacing[::-1]  # MONAI's axes are x, y, z
        self.network = model.segmenter.to(device)
        self.device = device
        self.before = Compose(
            [
                EnsureTyped(keys="image", device=device),
                EnsureChannelFirstd(keys="image", channel_dim="no_channel"),
                Spacingd(keys="image", pixdim=spacing),
                NormalizeIntensityd(keys="image"),
            ]
        )
        self.after = Compose(
            [EnsureTyped(keys="pred", device=device), Activationsd(keys="pred", softmax=True)]
        )
        self.inferer = SlidingWindowInferer(
            roi_size=model.plan.segmenter.patch[::-1], sw_batch_size=1, overlap=0.25
        )

    def score(self, path: Path, simulations: int) -> float:
        """The score of one image."""
        self.network.train()
        try:
            found = torch.squeeze(torch.stack([self._infer(path) for _ in range(simulations)]))
        finally:
            self.network.eval()
        found = found[:, 1:] if found.ndim > 4 else found
        return float(np.nanmean(_entropy(found)))

    def _infer(self, path: Path) -> torch.Tensor:
        data = self.before({"image": _read(path)})
        inputs = data["image"][None].to(self.device)
        with torch.no_grad():
            data["pred"] = self.inferer(inputs, self._run)[0]
        return self.after(data)["pred"]

    def _run(self, patch: torch.Tensor) -> torch.Tensor:
        # Ours was trained on axes z, y, x.
        return self.network(patch.transpose(2, 4)).transpose(2, 4)


def _read(path: Path) -> MetaTensor:
    """An image as MONAI has it: axes x, y, z."""
    image = to_lps(read_image(path))
    affine = np.diag([*image.geometry.spacing[::-1], 1.0])
    return MetaTensor(torch.from_numpy(image.array.T.copy()), affine=affine)


def _entropy(found: torch.Tensor) -> np.ndarray:
    volume = found.cpu().detach().numpy().astype("float32")
    volume[volume <= 0] = _THRESHOLD
    entropy = np.zeros(volume.shape[2:], "float32")
    for channel in range(volume.shape[1]):
        average = np.divide(np.sum(np.squeeze(volume[:, channel]), axis=0), len(volume))
        entropy = entropy + -np.multiply(average, np.log(average))
    return entropy
