"""Preprocessing for training, kept on disk: memory doesn't grow with the number of cases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.normalization import case_settings, normalize
from ActiveSegLoopLib.images.orientation import to_lps
from ActiveSegLoopLib.images.regions import Box
from ActiveSegLoopLib.images.resampling import resample_image, resample_labels, with_spacing
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.fingerprint import labeled_boxes
from ActiveSegLoopLib.model.plan import Plan
from ActiveSegLoopLib.model.prepared import (
    PreparedCase,
    StoredCase,
    patch_points,
    store_all,
    stored_all,
)
from ActiveSegLoopLib.study.annotation import Annotated
from ActiveSegLoopLib.study.files import STAGING, make_folder, remove_if_left, staging

# Raised whenever preparing a case would give other arrays, so that old ones aren't reused.
_FORMAT = 5
# Of the voxels where only some labels were looked for and none was found, this share counts as
# background for the locator, or as many as are labeled there if that is more. All of them would
# teach it to overlook an organ wherever only others are annotated; with a 20th, one annotated at an
# 80th of its places is still organ with a probability of 0.2, which is enough (see locating). In a
# toy study of 8 cases, a label annotated in one slice was found to 85 % with a 20th of them, to 4 %
# with all; a 50th left the locator finding organs everywhere for hundreds of steps.
_PROBABLY_BACKGROUND = 0.05


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
    """Everything of a case with its axes along LPS, no voxel's place changed.

    Where a label isn't annotated it becomes background: nobody has vouched for it.
    """
    codes = to_lps(Volume(annotated.codes, channels.geometry)).array
    upright = to_lps(channels).array
    vouched = np.pad(annotated.subsets, ((0, 0), (1, 0)))[codes, upright]
    return (
        [to_lps(v) for v in volumes],
        np.where(vouched, upright, 0).astype(np.uint8),
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
    """Prepares cases for the two networks in `folder`, once for the same content and plan.

    What is incomplete or damaged there is prepared again.

    `unlearned`: positions of the labels that no training case is annotated for.
    """

    def __init__(self, folder: Path, plan: Plan, unlearned: Sequence[int] = ()) -> None:
        self.folder = Path(folder)
        self.plan = plan
        self.unlearned = list(unlearned)
        self.used: set[str] = set()

    def segmenter_cases(self, case: LabeledCase) -> list[StoredCase]:
        """One prepared case per organ instance, or one for the whole volume without a locator."""
        cascade = self.plan.locator is not None
        relevant = {"margin_mm": self.plan.margin_mm if cascade else None}
        return self._prepared(case, "segmenter", relevant, self._prepare_segmenter)

    def locator_cases(self, case: LabeledCase) -> list[StoredCase]:
        """The whole volume on the locator's coarse grid, any label against background.

        Its points are those of each label, so that patches are centered on a thin one as often as
        on a large one: alone in its patch, it counts.
        """
        relevant = {"unlearned": self.unlearned} if self.unlearned else {}
        return self._prepared(case, "locator", relevant, self._prepare_whole)

    def forget_unused(self) -> None:
        """Delete what was prepared for other contents or plans, or left unfinished by a kill."""
        for entry in self.folder.iterdir():
            if entry.name.startswith(STAGING):
                remove_if_left(entry)
            elif entry.name not in self.used:
                self._remove(entry)

    def _prepared(
        self,
        case: LabeledCase,
        stage: str,
        relevant: dict,
        prepare: Callable[[LabeledCase], Iterator[PreparedCase]],
    ) -> list[StoredCase]:
        plan = self.plan.to_dict()
        relevant |= {"normalization": plan["normalization"], "spacing": plan[stage]["spacing"]}
        content = json.dumps([_FORMAT, stage, case.key, relevant], sort_keys=True)
        name = hashlib.sha256(content.encode()).hexdigest()[:32]
        self.used.add(name)
        folder = self.folder / name
        parts = stored_all(folder, case.name)
        if parts is None:
            make_folder(self.folder)
            if folder.exists():
                self._remove(folder)
            with staging(self.folder) as temporary:
                unfinished = temporary / name
                unfinished.mkdir()
                store_all(unfinished, prepare(case))
                try:
                    unfinished.rename(folder)
                except OSError:
                    # Another process may have prepared the same meanwhile: the first one wins.
                    if not folder.is_dir():
                        raise
            parts = stored_all(folder, case.name)
        return parts

    def _remove(self, entry: Path) -> None:
        """Delete what was prepared; another process may do so at the same moment."""
        # Moved away first, so that a kill can't leave half of it under its name.
        with staging(self.folder) as bin, suppress(FileNotFoundError):
            entry.rename(bin / entry.name)

    def _prepare_whole(self, case: LabeledCase) -> Iterator[PreparedCase]:
        parts = self._parts(case, *in_lps(*case.load()), [None], self.plan.locator.spacing)
        for part in parts:
            found = part.channels > 0
            # What nobody has drawn anywhere isn't to be located: without it background is known.
            sought = np.delete(part.subsets, self.unlearned, axis=1)
            known = _any_label_known(found, part.codes, sought).astype(np.uint8)
            if known.any():
                everywhere = patch_points(known, known, np.array([[False], [True]]))[0]
                yield replace(
                    part, channels=found.astype(np.uint8), codes=known,
                    subsets=np.array([[False], [True]]), points=(everywhere, *part.points[1:]),
                )

    def _prepare_segmenter(self, case: LabeledCase) -> Iterator[PreparedCase]:
        volumes, channels, annotated = in_lps(*case.load())
        boxes: list[Box | None] = [None]
        if self.plan.locator is not None:
            # Twice the margin: room for the jitter of the patch within the case.
            boxes = labeled_boxes(
                channels, annotated, volumes[0].geometry.spacing, 2 * self.plan.margin_mm
            )
        spacing = self.plan.segmenter.spacing
        return self._parts(case, volumes, channels, annotated, boxes, spacing)

    def _parts(
        self, case, volumes, channels, annotated, boxes, spacing
    ) -> Iterator[PreparedCase]:
        """The part of a case in each box (None: all of it), where something is annotated."""
        settings = normalized_settings(self.plan, volumes)
        for box in boxes:
            image, geometry, original = network_input(volumes, settings, box, spacing)
            inside = np.s_[:] if box is None else box.slices
            part = Annotated(annotated.codes[inside], annotated.subsets)
            if part.any().any():
                label, codes = _on_grid(channels[inside], part, original, geometry)
                yield _prepared_case(case.name, image, label, codes, annotated.subsets)


def _any_label_known(found: np.ndarray, codes: np.ndarray, sought: np.ndarray) -> np.ndarray:
    """Where (z, y, x) the locator learns whether any label is there; `found` is where one is.

    `codes` and `sought` as in Annotated. It is known where one was found and where all were looked
    for. Where only some were, foreground everywhere would be right without any background: a few
    of the voxels count as such, drawn with a fixed seed and from this case alone.
    """
    some, all_labels = sought.any(axis=1), sought.all(axis=1)
    known = all_labels[codes] | found
    partly = (some & ~all_labels)[codes]
    empty = np.flatnonzero(partly & ~found)
    count = max(np.count_nonzero(partly & found), round(_PROBABLY_BACKGROUND * len(empty)))
    if count < len(empty):
        empty = np.random.default_rng(0).choice(empty, count, replace=False)
    known.flat[empty] = True
    return known


def _on_grid(
    channels: np.ndarray, annotated: Annotated, original: Geometry, geometry: Geometry
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and codes on a network's grid with the same edges."""
    codes = annotated.codes
    if codes.min() == codes.max():
        label = resample_labels(Volume(channels, original), geometry).array
        return label, np.full(geometry.shape, codes.flat[0], np.uint8)
    # Between a labeled slice and one that isn't, nothing may be interpolated.
    known = annotated.subsets.sum(axis=1, dtype=np.uint16)[codes]
    slices = np.ix_(
        *(
            _sources(known.sum(tuple(a for a in range(3) if a != axis), np.int64), size)
            for axis, size in enumerate(geometry.shape)
        )
    )
    return channels[slices], codes[slices]


def _sources(known: np.ndarray, target: int) -> np.ndarray:
    """For each slice of a grid of `target` slices along an axis, the slice that it is taken from.

    Of several that lie in it the one of which most is `known` (a number per slice), or else the
    most central one: on a coarser grid, sparsely labeled slices would else mostly be lost.
    """
    step = len(known) / target
    centers = (np.arange(target) + 0.5) * step - 0.5
    sources = np.clip(np.rint(centers), 0, len(known) - 1).astype(int)
    for index, center in enumerate(centers):
        inside = np.arange(
            max(0, int(np.ceil(center - step / 2 - 1e-9))),
            min(len(known), int(np.ceil(center + step / 2 - 1e-9))),
        )
        if len(inside) > 1:
            sources[index] = min(inside, key=lambda i: (-known[i], abs(i - center)))
    return sources


def _prepared_case(name, image, label, codes, subsets) -> PreparedCase:
    label = label.astype(np.uint8)
    return PreparedCase(
        name, image.astype(np.float16), label, codes, subsets, patch_points(label, codes, subsets)
    )
