"""Images and labels on a coarser grid, cut to a region: for experiments with many trainings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.images.label_resampling import resample_labels
from ActiveSegLoopLib.images.reading import read_image, read_labelmap
from ActiveSegLoopLib.images.regions import box_of
from ActiveSegLoopLib.images.resampling import resample_image, with_spacing
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.model.preparing import crop


def make_coarse(
    source: Path, folder: Path, spacing_mm: float, values: Sequence[int], margin_mm: float
) -> None:
    """Bring every case of source/images and source/labels to cubes of `spacing_mm` in a folder.

    Each is cut to the box around its labels of these values, wider by a margin: the region of
    interest that a faultless locator would find. What is there already stays.
    """
    for path in sorted((source / "images").iterdir()):
        image_path, label_path = folder / "images" / path.name, folder / "labels" / path.name
        if image_path.exists() and label_path.exists():
            continue
        image, labels = read_image(path), read_labelmap(source / "labels" / path.name)
        grid = with_spacing(image.geometry, (spacing_mm,) * 3)
        coarse = resample_labels(labels, grid)
        margin = round(margin_mm / spacing_mm)
        box = box_of(np.isin(coarse.array, values)).dilated((margin,) * 3).clipped(grid.shape)
        for target, volume in ((label_path, coarse), (image_path, resample_image(image, grid))):
            target.parent.mkdir(parents=True, exist_ok=True)
            write_volume(target, crop(volume, box))
