"""Label maps on another grid, with thin structures in one piece and volumes about kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy import ndimage

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.footprints import ScaledFootprints, TurnedFootprints
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.grids import axis_maps
from ActiveSegLoopLib.images.labels import LARGEST_VALUE, present_values
from ActiveSegLoopLib.images.orientation import from_lps, lps_geometry, to_lps
from ActiveSegLoopLib.images.regions import Box
from ActiveSegLoopLib.images.thin import bridges, dilated, one_voxel_thin, parts, rescued
from ActiveSegLoopLib.images.volume import Volume

_WORTH_FILLING = 0.3  # share of a voxel


@dataclass
class _Label:
    """One label on its way: where it is in the source, and how much of it each target voxel has."""

    value: int
    box: Box
    window: Box
    fractions: np.ndarray
    volume: float


def resample_labels(volume: Volume, geometry: Geometry) -> Volume:
    """A label map (unsigned or nonnegative whole values) on another grid, in the same type.

    Each voxel of the target takes the label that fills most of it, where labels together fill more
    than half (finer grids interpolate linearly): compact structures keep their volume. What is too
    thin for that is rescued: every connected piece of a label stays, and stays connected (26
    neighbors), along its fullest voxels, unless two thin structures fight for the same voxel;
    then the smaller one wins. Outside the source is background. No label is invented; on the same
    grid nothing changes. Raises ImageError for values that aren't labels.
    """
    array = volume.array
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > LARGEST_VALUE:
        raise ImageError(f"Only whole values from 0 to {LARGEST_VALUE} can be resampled as labels.")
    if volume.geometry.difference(geometry) is None:
        return Volume(volume.array.copy(), geometry)
    source, target = to_lps(volume), lps_geometry(geometry)
    maps = axis_maps(source.geometry, target)
    footprints = ScaledFootprints(maps) if maps else TurnedFootprints(source.geometry, target)
    labels = _labels(source.array, footprints)
    result = _most(labels, target.shape, volume.array.dtype)
    settled = np.zeros(target.shape, bool)
    for label in sorted(labels, key=lambda label: label.volume):
        _keep_thin(source.array, label, footprints, result, settled)
    _keep_every_label(labels, result)
    return from_lps(Volume(result, target), geometry)


def _labels(array: np.ndarray, footprints: ScaledFootprints | TurnedFootprints) -> list[_Label]:
    labels = []
    for value, slices in enumerate(ndimage.find_objects(array), start=1):
        if slices is None:
            continue
        box = Box.of(slices)
        window = footprints.window(box)
        if window.volume == 0:
            continue
        fractions = footprints.fractions(array[slices] == value, box, window)
        labels.append(_Label(value, box, window, fractions, float(fractions.sum())))
    return labels


def _most(labels: list[_Label], shape: tuple[int, int, int], dtype: np.dtype) -> np.ndarray:
    """The label that fills most of each voxel where all together fill more than half of it."""
    result = np.zeros(shape, dtype)
    if not labels:
        return result
    labeled = reduce(Box.union, (label.window for label in labels))
    part = result[labeled.slices]
    total, highest = np.zeros(part.shape, np.float32), np.zeros(part.shape, np.float32)
    for label in labels:
        where = label.window.seen_from(labeled.lower).slices
        total[where] += label.fractions
        more = label.fractions > highest[where]
        highest[where][more] = label.fractions[more]
        part[where][more] = label.value
    part[total <= 0.5] = 0
    return result


def _keep_thin(
    array: np.ndarray,
    label: _Label,
    footprints: ScaledFootprints | TurnedFootprints,
    result: np.ndarray,
    settled: np.ndarray,
) -> None:
    """Add what a label lost to the result, not in voxels settled by labels smaller than it."""
    where = label.window.slices
    here = result[where]
    mask = array[label.box.slices] == label.value
    kept = here == label.value
    touched = footprints.touched(mask, label.box, label.window) | kept
    free = touched & ~settled[where]
    if footprints.refines:
        thin = one_voxel_thin(mask)
        if thin.any():
            kept |= footprints.touched(thin, label.box, label.window) & free
    kept |= rescued(kept, free, label.fractions, footprints.reach)
    _connect(mask, label, footprints, kept, touched, free)
    _fill_up(label, kept, (here == 0) & ~settled[where])
    here[kept] = label.value
    settled[where] |= kept


def _connect(
    mask: np.ndarray,
    label: _Label,
    footprints: ScaledFootprints | TurnedFootprints,
    kept: np.ndarray,
    touched: np.ndarray,
    free: np.ndarray,
) -> None:
    """Join in kept what is one connected piece in the source."""
    names, count = parts(kept)
    if count < 2:
        return
    # A connected piece falls into one connected place: only places with several parts can need it.
    places, place_count = parts(touched)
    place_of_part = np.zeros(count + 1, int)
    place_of_part[names[kept]] = places[kept]
    broken = np.bincount(place_of_part[1:], minlength=place_count + 1) > 1
    if not broken.any():
        return
    pieces, piece_count = parts(mask)
    for number, slices in enumerate(ndimage.find_objects(pieces, piece_count), start=1):
        inner = pieces[slices] == number
        box = Box.of(slices).seen_from(np.negative(label.box.lower))
        sample = np.add(np.unravel_index(inner.argmax(), inner.shape), box.lower)
        place = footprints.voxel_of(sample) - label.window.lower
        place = np.clip(place, 0, np.subtract(label.window.shape, 1))
        if places[tuple(place)] and not broken[places[tuple(place)]]:
            continue
        window = footprints.window(box)
        local = window.seen_from(label.window.lower).slices
        path = footprints.touched(inner, box, window) & free[local]
        found = np.unique(names[local][path & kept[local]])
        if len(found) < 2:
            continue
        new = bridges(kept[local], names[local], path, label.fractions[local])
        kept[local][tuple(new.T)] = True
        names[np.isin(names, found)] = found[0]
        names[local][tuple(new.T)] = found[0]


def _fill_up(label: _Label, kept: np.ndarray, free: np.ndarray) -> None:
    """Add the fullest voxels around a label until it has its volume.

    What is small and round fills few voxels by half or more, and would shrink.
    """
    lacking = round(label.volume) - int(np.count_nonzero(kept))
    if lacking <= 0:
        return
    around = dilated(kept, (1, 1, 1)) & ~kept
    places = np.flatnonzero(around & free & (label.fractions > _WORTH_FILLING))
    shares = label.fractions.ravel()[places]
    if lacking < places.size:
        places = places[np.argpartition(-shares, lacking - 1)[:lacking]]
    kept.ravel()[places] = True


def _keep_every_label(labels: list[_Label], result: np.ndarray) -> None:
    """A label whose voxels all went to others gets the one that it fills most."""
    present = set(present_values(result))
    for label in labels:
        if label.value in present:
            continue
        here = result[label.window.slices]
        for place in np.argsort(-label.fractions, axis=None, kind="stable"):
            index = np.unravel_index(place, here.shape)
            if label.fractions[index] <= 0:
                break
            if here[index] == 0 or np.count_nonzero(result == here[index]) > 1:
                here[index] = label.value
                break
