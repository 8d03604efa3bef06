"""Model folders: safetensors weights beside a JSON description. Loading one runs no code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ActiveSegLoopLib.model.checkpoint import load_tensors, save_tensors
from ActiveSegLoopLib.model.network import UNet
from ActiveSegLoopLib.model.plan import Plan
from ActiveSegLoopLib.study.files import atomic_write
from ActiveSegLoopLib.study.model_folder import (
    DESCRIPTION,
    FORMAT,
    WEIGHTS,
    description_sha256,
    read_description,
    verified_weights,
)
from ActiveSegLoopLib.study.schema import LabelSchema


@dataclass(frozen=True)
class Model:
    """A trained model: what it labels, how it works, and its networks (locator may be None)."""

    schema: LabelSchema
    plan: Plan
    segmenter: nn.Module
    locator: nn.Module | None


def save_model(folder: Path, model: Model) -> str:
    """Write `model.json` and the weights into `folder`; the JSON last, so that it vouches.

    Returns the SHA-256 of the description, which names those of the weights.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {}
    for part, name in WEIGHTS.items():
        network = getattr(model, part)
        if network is not None:
            weights[part] = save_tensors(folder / name, network.state_dict())
    content = {
        "format": FORMAT,
        "schema": model.schema.to_dict(),
        "plan": model.plan.to_dict(),
        "weights": weights,
    }
    content["sha256"] = description_sha256(content)
    with atomic_write(folder / DESCRIPTION) as temporary:
        Path(temporary).write_text(json.dumps(content, indent=1))
    return content["sha256"]


def load_model(folder: Path, sha256: str | None = None) -> Model:
    """The model in `folder`; where `sha256` is given, only the one that has it (see save_model).

    Raises ModelError if it is incomplete, changed, from a newer version or another one.
    """
    folder = Path(folder)
    content = read_description(folder, sha256)
    plan = Plan.from_dict(content["plan"])
    networks = {}
    for part, weights in verified_weights(folder, content).items():
        networks[part] = UNet(getattr(plan, part).network)
        networks[part].load_state_dict(load_tensors(weights))
        networks[part].eval()
    return Model(
        LabelSchema.from_dict(content["schema"]), plan, networks["segmenter"],
        networks.get("locator"),
    )
