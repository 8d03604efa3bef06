"""What lies in a model's folder, and whether it is what the training wrote; without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.study.files import sha256_of

DESCRIPTION = "model.json"
FORMAT = 1
WEIGHTS = {"locator": "roi.safetensors", "segmenter": "segment.safetensors"}


def read_description(folder: Path, sha256: str | None = None) -> dict[str, Any]:
    """What model.json says; raises ModelError if it is missing, changed or of a newer version.

    `sha256` is that of the model which a round trained: one of another training is refused too.
    """
    path = folder / DESCRIPTION
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ModelError(
            f"There is no model in {folder} (no {DESCRIPTION}): restore it from a backup, train "
            "one or choose another folder."
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The model description {path} can't be read ({error}): restore it from a backup or "
            "choose another round."
        ) from error
    if not isinstance(content, dict) or content.get("sha256") != description_sha256(content):
        raise ModelError(
            f"The model description {path} was changed after training and isn't used: restore it "
            "from a backup or choose another round."
        )
    if content["format"] > FORMAT:
        raise ModelError(f"The model {path} was made by a newer version; update ActiveSegLoop.")
    if sha256 not in (None, content["sha256"]):
        raise ModelError(
            f"The model in {folder} isn't the one that its round trained: restore it from a backup "
            "or choose another round."
        )
    return content


def description_sha256(content: Mapping[str, Any]) -> str:
    """The SHA-256 that a description bears: that of all it says but for this very hash."""
    signed = {k: v for k, v in content.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(signed, sort_keys=True).encode()).hexdigest()


def verified_weights(folder: Path, content: Mapping[str, Any]) -> dict[str, Path]:
    """The files of weights that a description names, by part.

    Raises ModelError if one is missing or isn't the one that the training wrote.
    """
    files = {part: folder / WEIGHTS[part] for part in content["weights"]}
    for part, path in files.items():
        try:
            same = sha256_of(path) == content["weights"][part]
        except FileNotFoundError as error:
            raise ModelError(
                f"The model file {path} is missing: restore it from a backup or choose another "
                "round."
            ) from error
        except OSError as error:
            raise ModelError(
                f"The model file {path} can't be read: {error.strerror or error}."
            ) from error
        if not same:
            raise ModelError(
                f"The model file {path} was changed after training and isn't used: restore it from "
                "a backup or choose another round."
            )
    return files
