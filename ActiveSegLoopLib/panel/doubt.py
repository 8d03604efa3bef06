"""Where the model is unsure: a colored layer over the image, and a strip along the slices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ActiveSegLoopLib.images.volume import Volume
    from ActiveSegLoopLib.study.cases import Case
    from ActiveSegLoopLib.study.study import Study


def doubt_file(study: Study, case: Case) -> Path | None:
    """The newest map of how unsure a model was of a case, None when there is none."""
    current = study.current_round()
    return None if current is None else study.uncertainty(current, case)


def reading(path: Path) -> Callable[[], Volume]:
    """What reads a map of whole percents; for a thread."""

    def read() -> Volume:
        from ActiveSegLoopLib.images.reading import read_image

        return read_image(path)

    return read


def slice_means(volume: Volume, plane: str) -> list[tuple[float, float]]:
    """The mean uncertainty in percent of every slice (index, mean) of a plane."""
    axis = volume.geometry.axis_of(plane)
    others = tuple(other for other in range(3) if other != axis)
    means = volume.array.mean(axis=others, dtype=np.float64)
    return [(float(index), float(mean)) for index, mean in enumerate(means)]


def overlay(study: Study, case: Case, volume: Volume, volume_node: Any, opacity: float) -> Any:
    """Show a map over the case's image in the slice views; a former one of the case is replaced."""
    from ActiveSegLoopLib.scene.hierarchy import place_under
    from ActiveSegLoopLib.scene.overlay import show, uncertainty_node
    from ActiveSegLoopLib.scene.ownership import remove

    remove("uncertainty", case.name, study.folder)
    node = uncertainty_node(volume, f"{case.name} uncertainty", case.name, study.folder)
    place_under(node, volume_node)
    show(volume_node, node, opacity)
    return node
