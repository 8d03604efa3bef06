"""The CT that segment_ct.py segments, and a cascade for it that needs no training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.resampling import resample_labels, with_spacing
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.device import memory_gb
from ActiveSegLoopLib.model.fingerprint import fingerprint_case
from ActiveSegLoopLib.model.locating import organ_boxes
from ActiveSegLoopLib.model.model_files import Model, load_model, save_model
from ActiveSegLoopLib.model.network import UNet
from ActiveSegLoopLib.model.plan import make_plan
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.presets import get_preset
from ActiveSegLoopLib.simulation.phantom import KIDNEY_LABELS, make_case
from ActiveSegLoopLib.study.annotation import Annotated

SPACING, SHAPE = (1.0, 0.7, 0.7), (300, 512, 512)


def make(folder: Path, device: torch.device) -> None:
    """Put the phantom, its background on the locator's grid and an untrained model in a folder."""
    case = make_case(0, SPACING, SHAPE)
    labels = len(KIDNEY_LABELS.labels)
    known = Annotated(np.ones(SHAPE, np.uint8), np.array([[False] * labels, [True] * labels]))
    fingerprint = fingerprint_case([case.image], case.labels.array, known)
    recipe = get_preset("default", device.type == "cuda")
    plan = make_plan([fingerprint], labels, recipe.plan, memory_gb(device))
    networks = UNet(plan.segmenter.network), UNet(plan.locator.network)
    save_model(folder / "model", Model(KIDNEY_LABELS, plan, *networks))
    coarse = with_spacing(case.image.geometry, plan.locator.spacing)
    np.save(folder / "background.npy", resample_labels(case.labels, coarse).array == 0)
    np.save(folder / "labels.npy", case.labels.array)
    np.save(folder / "image.npy", case.image.array)
    # Last, because it says that all is there.
    (folder / "geometry.json").write_text(json.dumps(case.image.geometry.to_dict()))


def is_made(folder: Path) -> bool:
    """Whether `make` did all of it."""
    return (folder / "geometry.json").exists()


def read_phantom(folder: Path) -> Volume:
    """The image; its true labels are the array in labels.npy."""
    geometry = Geometry.from_dict(json.loads((folder / "geometry.json").read_text()))
    return Volume(np.load(folder / "image.npy"), geometry)


class TrueBoxes(Predictor):
    """Runs the locator's network as always, and then goes by the true labels."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        super().__init__(load_model(folder / "model"), device)
        background = np.load(folder / "background.npy")
        self.found = torch.from_numpy(background)[None].float()

    def locate(self, upright, settings, warn):
        """See Predictor.locate."""

        def run_locator(image):
            self._predict(self.model.locator, self.model.plan.locator, image, warn)
            return self.found

        return organ_boxes(run_locator, self.model.plan, upright, settings)
