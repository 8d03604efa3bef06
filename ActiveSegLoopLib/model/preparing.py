"""Preprocessing for training, kept on disk: memory doesn't grow with the number of cases."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.normalization import case_settings, normalize
from ActiveSegLoopLib.images.orientation import to_lps
from ActiveSegLoopLib.images.regions import Box, find_boxes
from ActiveSegLoopLib.images.resampling import resample_image, resample_labels, with_spacing
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.batches import PreparedCase, patch_points
from ActiveSegLoopLib.model.fingerprint import region_gap_mm
from ActiveSegLoopLib.model.plan import Plan
from ActiveSegLoopLib.study.annotation import Annotated

# Raised whenever preparing a case would give other arrays, so that old ones aren't reused.
_FORMAT = 1


@dataclass(frozen=True)
class LabeledCase:
    """A case as training sees it: how to load it, and a key that changes when its content does.

    `load()` gives its channels' volumes, the label map as network channels (0 = background, c =
    the schema's c-th label) on the first volume's grid, and what of it is annotated.
    """

    name: str
    key: str
    load: Callable[[], tuple[Sequence[Volume], Volume, Annotated]]


def in_lps(
    volumes: Sequence[Volume], channels: Volume, annotated: Annotated
) -> tuple[list[Volume], np.ndarray, Annotated]:
    """Everything of a case with its axes along LPS, no voxel changed."""
    codes = to_lps(Volume(annotated.codes, channels.geometry)).array
    return (
        [to_lps(v) for v in volumes],
        to_lps(channels).array,
        Annotated(codes, annotated.subsets),
    )


def normalized_settings(plan: Plan, volumes: Sequence[Volume]) -> list[dict]:
    """Per channel the fixed normalization of this case, so that its parts get the same one."""
    return [
        dict(entry) if entry["kind"] == "fixed" else case_settings(volume.array)
        for entry, volume in zip(plan.normalization, volumes, strict=True)
    ]


def network_input(
    volumes: Sequence[Volume], settings: Sequence[dict], box: Box | None, spacing
) -> tuple[np.ndarray, Geometry, Geometry]:
    """A network's input (channels, z, y, x) float32 from a box of LPS volumes, at `spacing`.

    Returns it with its own geometry and that of the box on the original grid; both have the
    same edges.
    """
    parts = [v if box is None else crop(v, box) for v in volumes]
    geometry = with_spacing(parts[0].geometry, spacing)
    arrays = [
        normalize(resample_image(part, geometry).array, entry)
        for part, entry in zip(parts, settings, strict=True)
    ]
    return np.stack(arrays), geometry, parts[0].geometry


def crop(volume: Volume, box: Box) -> Volume:
    """The part of a volume inside a box, at its place in the world."""
    geometry = volume.geometry
    origin = tuple(float(v) for v in geometry.index_to_world(box.lower))
    return Volume(
        volume.array[box.slices], replace(geometry, shape=box.shape, origin=origin)
    )


class Preparation:
    """Prepares cases for the two networks in `folder`, once for the same content and plan."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = Path(folder)
        self.plan = plan
        self.used: set[str] = set()

    def segmenter_cases(self, case: LabeledCase) -> list[PreparedCase]:
        """One prepared case per organ instance, or one for the whole volume without a locator."""
        return self._prepared(case, "segmenter", self._prepare_segmenter)

    def locator_cases(self, case: LabeledCase) -> list[PreparedCase]:
        """The whole volume on the coarse grid, any label against background."""
        return self._prepared(case, "locator", self._prepare_locator)

    def forget_unused(self) -> None:
        """Delete what was prepared for other contents or plans."""
        for entry in self.folder.iterdir():
            if entry.name not in self.used:
                shutil.rmtree(entry)

    def _prepared(self, case: LabeledCase, stage: str, prepare) -> list[PreparedCase]:
        plan = self.plan.to_dict()
        relevant = {k: plan[k] for k in ("normalization", "margin_mm", "gap_mm", "minimum_mm3")}
        relevant |= {"spacing": plan[stage]["spacing"], "cascade": plan["locator"] is not None}
        content = json.dumps([_FORMAT, stage, case.key, relevant], sort_keys=True)
        name = hashlib.sha256(content.encode()).hexdigest()[:32]
        self.used.add(name)
        folder = self.folder / name
        if not folder.is_dir():
            # Another process may prepare the same: each writes its own, the first rename wins.
            temporary = self.folder / f"{name}.{os.getpid()}.tmp"
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            for index, part in enumerate(prepare(case)):
                _write(temporary / str(index), part)
            try:
                temporary.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
                shutil.rmtree(temporary)
        parts = sorted(folder.iterdir(), key=lambda path: int(path.name))
        return [_read(path, case.name) for path in parts]

    def _prepare_segmenter(self, case: LabeledCase) -> list[PreparedCase]:
        volumes, channels, annotated = in_lps(*case.load())
        settings = normalized_settings(self.plan, volumes)
        boxes: list[Box | None] = [None]
        if self.plan.locator is not None:
            geometry = volumes[0].geometry
            # Twice the margin: room for the jitter of the patch within the case.
            boxes = find_boxes(
                channels > 0, geometry.spacing, 2 * self.plan.margin_mm, 0.0,
                region_gap_mm(geometry, annotated),
            )
        parts = []
        for box in boxes:
            image, geometry, original = network_input(
                volumes, settings, box, self.plan.segmenter.spacing
            )
            inside = np.s_[:] if box is None else box.slices
            label, codes = _on_grid(
                channels[inside], annotated.codes[inside], annotated.subsets, original, geometry
            )
            if annotated.subsets.any(axis=1)[codes].any():
                parts.append(_prepared_case(case.name, image, label, codes, annotated.subsets))
        return parts

    def _prepare_locator(self, case: LabeledCase) -> list[PreparedCase]:
        volumes, channels, annotated = in_lps(*case.load())
        settings = normalized_settings(self.plan, volumes)
        image, geometry, original = network_input(
            volumes, settings, None, self.plan.locator.spacing
        )
        label, codes = _on_grid(
            channels, annotated.codes, annotated.subsets, original, geometry
        )
        # "Any label" is known where all labels were looked for, or where one was found.
        codes = (annotated.subsets.all(axis=1)[codes] | (label > 0)).astype(np.uint8)
        subsets = np.array([[False], [True]])
        label = (label > 0).astype(np.uint8)
        return [_prepared_case(case.name, image, label, codes, subsets)]


def _on_grid(
    channels: np.ndarray,
    codes: np.ndarray,
    subsets: np.ndarray,
    original: Geometry,
    geometry: Geometry,
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and codes on a network's grid; labels only where they're annotated."""
    annotated = np.concatenate([np.zeros((len(subsets), 1), bool), subsets], axis=1)
    channels = np.where(annotated[codes, channels], channels, 0).astype(np.uint8)
    if codes.size and codes.min() == codes.max():
        label = resample_labels(Volume(channels, original), geometry).array
        return label, np.full(geometry.shape, codes.flat[0], np.uint8)
    # Between a labeled slice and one that isn't, nothing may be interpolated.
    nearest = np.ix_(*(_nearest(n, m) for n, m in zip(original.shape, geometry.shape, strict=True)))
    return channels[nearest], codes[nearest]


def _nearest(size: int, target: int) -> np.ndarray:
    return np.minimum(((np.arange(target) + 0.5) * size / target).astype(int), size - 1)


def _prepared_case(name, image, label, codes, subsets) -> PreparedCase:
    label = label.astype(np.uint8)
    return PreparedCase(
        name, image.astype(np.float16), label, codes, subsets, patch_points(label, codes, subsets)
    )


def _write(folder: Path, case: PreparedCase) -> None:
    folder.mkdir()
    for name in ("image", "channels", "codes", "subsets"):
        np.save(folder / f"{name}.npy", getattr(case, name))
    for index, points in enumerate(case.points):
        np.save(folder / f"points{index}.npy", points)


def _read(folder: Path, name: str) -> PreparedCase:
    def load(part: str) -> np.ndarray:
        return np.load(folder / f"{part}.npy", mmap_mode="r", allow_pickle=False)

    subsets = np.array(load("subsets"))
    points = tuple(np.array(load(f"points{i}")) for i in range(subsets.shape[1] + 1))
    return PreparedCase(name, load("image"), load("channels"), load("codes"), subsets, points)
