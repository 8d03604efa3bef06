"""Model folders: safetensors weights beside a JSON description. Loading one runs no code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model.checkpoint import file_sha256, load_tensors, save_tensors
from ActiveSegLoopLib.model.network import UNet
from ActiveSegLoopLib.model.plan import Plan
from ActiveSegLoopLib.study.files import atomic_write
from ActiveSegLoopLib.study.schema import LabelSchema

_FORMAT = 1
_WEIGHTS = {"locator": "roi.safetensors", "segmenter": "segment.safetensors"}


@dataclass(frozen=True)
class Model:
    """A trained model: what it labels, how it works, and its networks (locator may be None)."""

    schema: LabelSchema
    plan: Plan
    segmenter: nn.Module
    locator: nn.Module | None


def save_model(folder: Path, model: Model) -> None:
    """Write `model.json` and the weights into `folder`; the JSON last, so that it vouches."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {}
    for part, name in _WEIGHTS.items():
        network = getattr(model, part)
        if network is not None:
            weights[part] = save_tensors(folder / name, network.state_dict())
    content = {
        "format": _FORMAT,
        "schema": model.schema.to_dict(),
        "plan": model.plan.to_dict(),
        "weights": weights,
    }
    content["sha256"] = _digest(content)
    with atomic_write(folder / "model.json") as temporary:
        Path(temporary).write_text(json.dumps(content, indent=1))


def load_model(folder: Path) -> Model:
    """The model in `folder`.

    Raises ModelError if it is incomplete, changed or from a newer version.
    """
    folder = Path(folder)
    path = folder / "model.json"
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ModelError(
            f"There is no model in {folder} (no model.json); train one or choose another folder."
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"The model description {path} can't be read ({error}).") from error
    if not isinstance(content, dict) or content.get("sha256") != _digest(content):
        raise ModelError(f"The model description {path} was changed after training; it isn't used.")
    if content["format"] > _FORMAT:
        raise ModelError(f"The model {path} was made by a newer version; update ActiveSegLoop.")
    plan = Plan.from_dict(content["plan"])
    networks = {}
    for part, digest in content["weights"].items():
        weights = folder / _WEIGHTS[part]
        if not weights.exists():
            raise ModelError(f"The model file {weights} is missing; choose another round.")
        if file_sha256(weights) != digest:
            raise ModelError(f"The model file {weights} was changed after training; it isn't used.")
        networks[part] = UNet(getattr(plan, part).network)
        networks[part].load_state_dict(load_tensors(weights))
        networks[part].eval()
    return Model(
        LabelSchema.from_dict(content["schema"]), plan, networks["segmenter"],
        networks.get("locator"),
    )


def _digest(content: dict) -> str:
    signed = {k: v for k, v in content.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(signed, sort_keys=True).encode()).hexdigest()
