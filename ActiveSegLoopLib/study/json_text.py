"""Settings and metrics as JSON text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ActiveSegLoopLib.errors import StudyError


def json_text(data: Mapping[str, Any], what: str) -> str:
    """The JSON of settings or metrics, numpy's values as plain ones; `what` names them."""
    try:
        return json.dumps(data, default=_plain)
    except (TypeError, ValueError) as error:
        raise StudyError(f"These {what} can't be stored: {error}.") from error


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{value!r} isn't a plain value")


def without_nan(value: Any) -> Any:
    """JSON proper has no NaN, which an undefined Dice is: null in the file for other programs."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
