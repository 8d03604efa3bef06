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
    """Put the phantom in a folder if it isn't there, and a new untrained model beside it.

    Also where the phantom has any label, on the grid of the model's locator.
    """
    if not (folder / "geometry.json").exists():
        case = make_case(0, SPACING, SHAPE)
        np.save(folder / "image.npy", case.image.array)
        np.save(folder / "labels.npy", case.labels.array)
        # Last, because it says that all is there.
        (folder / "geometry.json").write_text(json.dumps(case.image.geometry.to_dict()))
    image = read_phantom(folder)
    truth = image.with_array(np.load(folder / "labels.npy"))
    labels = len(KIDNEY_LABELS.labels)
    known = Annotated(np.ones(SHAPE, np.uint8), np.array([[False] * labels, [True] * labels]))
    recipe = get_preset("default", device.type == "cuda")
    fingerprint = fingerprint_case([image], truth.array, known)
    plan = make_plan([fingerprint], labels, recipe.plan, memory_gb(device))
    networks = UNet(plan.segmenter.network), UNet(plan.locator.network)
    save_model(folder / "model", Model(KIDNEY_LABELS, plan, *networks))
    coarse = with_spacing(image.geometry, plan.locator.spacing)
    np.save(folder / "organs.npy", resample_labels(truth, coarse).array > 0)


def read_phantom(folder: Path) -> Volume:
    """The image; its true labels are the array in labels.npy."""
    described = json.loads((folder / "geometry.json").read_text(encoding="utf-8"))
    geometry = Geometry.from_dict(described)
    return Volume(np.load(folder / "image.npy"), geometry)


class TrueBoxes(Predictor):
    """Runs the locator's network as always, and then goes by the true labels."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        super().__init__(load_model(folder / "model"), device)
        organs = torch.from_numpy(np.load(folder / "organs.npy"))
        self.found = torch.stack((~organs, organs)).float()

    def locate(self, upright, settings, warn):
        """See Predictor.locate."""

        def run_locator(image):
            self._predict(self.model.locator, self.model.plan.locator, image, warn)
            return self.found

        return organ_boxes(run_locator, self.model.plan, upright, settings)
