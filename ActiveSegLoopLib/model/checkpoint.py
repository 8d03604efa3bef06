"""Saving tensors and settings so that a kill at any moment leaves the old or the new file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.study.files import atomic_write


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping | None = None) -> str:
    """Write a safetensors file in one step; `metadata` is kept as JSON inside. Returns SHA-256."""
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = save(content, metadata={"json": json.dumps(metadata or {})})
    with atomic_write(path) as temporary:
        Path(temporary).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU; ModelError if it can't be read."""
    try:
        return load_file(str(path))
    except FileNotFoundError as error:
        raise ModelError(f"The model file {path} is missing; choose another round.") from error
    except (SafetensorError, OSError) as error:
        raise ModelError(f"The model file {path} can't be read ({error}).") from error


def load_metadata(path: Path) -> dict:
    """What was given to `save_tensors` as metadata; ModelError if it can't be read."""
    from safetensors import safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return json.loads(file.metadata()["json"])
    except (SafetensorError, OSError) as error:
        raise ModelError(f"The model file {path} can't be read ({error}).") from error
