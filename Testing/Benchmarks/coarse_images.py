"""Images and labels on a coarser grid, cut to the body: for experiments with many trainings."""

from __future__ import annotations

from pathlib import Path

from ActiveSegLoopLib.images.label_resampling import resample_labels
from ActiveSegLoopLib.images.reading import read_image, read_labelmap
from ActiveSegLoopLib.images.regions import box_of
from ActiveSegLoopLib.images.resampling import resample_image, with_spacing
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.model.preparing import crop


def make_coarse(source: Path, folder: Path, spacing_mm: float, body: float) -> None:
    """Bring every case of source/images and source/labels to cubes of `spacing_mm` in a folder.

    Each is cut to the box around what is brighter than `body`. What is there already stays.
    """
    for path in sorted((source / "images").iterdir()):
        image_path, label_path = folder / "images" / path.name, folder / "labels" / path.name
        if image_path.exists() and label_path.exists():
            continue
        image, labels = read_image(path), read_labelmap(source / "labels" / path.name)
        grid = with_spacing(image.geometry, (spacing_mm,) * 3)
        coarse = resample_image(image, grid)
        box = box_of(coarse.array > body)
        for target, volume in (
            (label_path, resample_labels(labels, grid)), (image_path, coarse),
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            write_volume(target, crop(volume, box))
