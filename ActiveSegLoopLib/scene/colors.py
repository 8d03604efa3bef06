"""Our color tables: uncertainty, and distances of one sign or of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ActiveSegLoopLib.scene.ownership import named

_COUNT = 256
# From low to high, at equal steps; told apart also by people who confuse red and green.
UNCERTAINTY = ((0.0, 0.0, 0.0), (0.45, 0.0, 0.45), (0.9, 0.25, 0.1), (1.0, 0.75, 0.1), (1, 1, 0.8))
SIGNED = ((0.1, 0.2, 0.7), (0.45, 0.65, 0.95), (0.95, 0.95, 0.95), (0.98, 0.65, 0.4), (0.7, 0, 0.1))
UNSIGNED = ((0.95, 0.95, 0.95), (1.0, 0.85, 0.5), (0.95, 0.5, 0.25), (0.7, 0.0, 0.1))


def color_node(name: str, stops: Sequence[Sequence[float]]) -> Any:
    """Our color table of this name, blended through `stops` (r, g, b from 0 to 1)."""
    node = named("color", name, "vtkMRMLColorTableNode")
    if node.GetNumberOfColors() != _COUNT:
        node.SetTypeToUser()
        node.SetNumberOfColors(_COUNT)
        place = np.linspace(0, len(stops) - 1, _COUNT)
        columns = [np.interp(place, range(len(stops)), channel) for channel in zip(*stops)]
        for i, color in enumerate(zip(*columns)):
            node.SetColor(i, f"{i}", *map(float, color), 1.0)
        node.SetHideFromEditors(False)
    return node
