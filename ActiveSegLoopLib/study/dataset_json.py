"""The labels of a dataset.json, as the Medical Segmentation Decathlon and nnU-Net v2 write it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from ActiveSegLoopLib.errors import StudyError

_BACKGROUND = ("background", "bg", "unlabeled", "unlabelled", "none", "other", "clear label", "")


def read_dataset_labels(path: str | os.PathLike) -> list[tuple[int, str]]:
    """Value and name of each label but the background, by value.

    "labels" is {"0": "background", "1": "artery"} or {"background": 0, "artery": 1}. Raises
    StudyError when the file can't be read, or has regions or an ignore label.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        raise StudyError(f"{path} can't be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise StudyError(f"{path} isn't a JSON file: {error}.") from error
    entries = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise StudyError(f'{path} has no "labels" such as {{"0": "background", "1": "artery"}}.')
    return sorted(_pairs(entries, path))


def _pairs(entries: Mapping[str, Any], path: str | os.PathLike) -> list[tuple[int, str]]:
    pairs = []
    for key, content in entries.items():
        if isinstance(content, (list, tuple)):
            raise StudyError(
                f"{path} has the region '{key}' made of several labels, which overlap: give each "
                "voxel one label of its own instead."
            )
        if isinstance(content, str) and re.fullmatch(r"\d+", key):  # Decathlon: value, name
            value, name = int(key), content
        elif isinstance(content, int) and not isinstance(content, bool):  # nnU-Net: name, value
            value, name = content, key
        else:
            raise StudyError(f"{path} has the label {key!r}: {content!r}, which isn't a value "
                             "and a name.")
        if name.strip().casefold() == "ignore":
            raise StudyError(
                f"{path} has an 'ignore' label, which isn't a structure: leave it out, and say "
                "with each label map which slices and labels are annotated."
            )
        if value != 0:
            pairs.append((value, name))
        elif name.strip().casefold() not in _BACKGROUND:
            raise StudyError(f"{path} names the value 0, which is the background, '{name}'.")
    return pairs
