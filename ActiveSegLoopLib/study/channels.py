"""A case's images: where they lie, whether they are still the same, and their voxels."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from ActiveSegLoopLib.errors import ImageError, StudyError
from ActiveSegLoopLib.images.dicom import Series, choose_series, list_series
from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.fingerprint import Fingerprint, fingerprint, stamp


@dataclass(frozen=True)
class Channel:
    """One image of a case as the study knows it.

    relative is its path from the study's folder, None on another drive; absolute is where it lay
    when it was added, the second place to look. series: which DICOM series of a folder, as a hash,
    because the UID itself would identify the patient's examination; its fingerprint is that of its
    own files, whatever else lies in the folder. stamp: the state of all files there for which the
    fingerprint is known to hold, None when it has to be computed. voxels: see voxel_digest.
    """

    relative: str | None
    absolute: str
    series: str | None
    fingerprint: Fingerprint
    stamp: str | None
    voxels: str | None = None

    def path(self, folder: Path) -> Path:
        """Where the image lies, or should lie when it is in neither place."""
        places = [Path(self.absolute)]
        if self.relative is not None:
            places.insert(0, Path(os.path.normpath(folder / self.relative)))
        return next((place for place in places if place.exists()), places[0])


def make_channel(path: Path, folder: Path, series: str | None = None) -> Channel:
    """Describe an image file or DICOM folder; series: the UID where a folder holds several.

    Raises ImageError or StudyError when it can't be read as far as that needs.
    """
    # Links in the folders are followed, since ".." behind a link leads elsewhere; the file's own
    # name stays, also where it is a link into some store.
    path = Path(os.path.realpath(path.parent)) / path.name if path.name else path.resolve()
    key = files = None
    if path.is_dir() or (series is not None and path.exists()):
        chosen = choose_series(path, series)
        path, key, files = _home(path, chosen), series_key(chosen.uid), chosen.files
    state = stamp(path)  # before the bytes are read, so that a change meanwhile is noticed
    try:
        relative = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive of Windows
        relative = None
    return Channel(relative, str(path), key, fingerprint(path, files), state)


def verified(channel: Channel, folder: Path, case: str, trust_stamp: bool = True) -> Channel:
    """The channel with its present stamp; raises StudyError when the image is gone or changed."""
    path = channel.path(folder)
    if not path.exists():
        raise StudyError(
            f"The image of case '{case}' isn't at {path} any more: put it back, or tell the study "
            f"where it lies now (in Slicer by Moved..., else activesegloop relocate STUDY {case} "
            f"FILE). If it is lost, exclude the case (activesegloop exclude STUDY {case})."
        )
    state = stamp(path)
    if trust_stamp and state is not None and state == channel.stamp:
        return channel
    if not _holds(path, channel):
        raise StudyError(
            f"{path} isn't the image any more that was added as case '{case}', its content has "
            "changed: bring the former file back, or add the new one as another case."
        )
    return replace(channel, stamp=state)


def moved(channel: Channel, path: Path, folder: Path, case: str) -> Channel:
    """The channel at another place; raises StudyError when that isn't the same image."""
    own = _own_series(path, channel) if channel.series is not None and path.is_dir() else None
    place = make_channel(path, folder, None if own is None else own.uid)
    if not is_same(place, folder, channel):
        raise StudyError(
            f"{path} isn't the image of case '{case}': its content differs from what was added."
        )
    return place


def is_same(channel: Channel, folder: Path, known: Channel) -> bool:
    """Whether an image that was just described is one that the study knows."""
    return channel.series == known.series and (
        channel.fingerprint == known.fingerprint or _holds_all(channel.path(folder), known)
    )


def read_channel(channel: Channel, folder: Path) -> Volume:
    """The voxels of an image that was verified before; raises ImageError when it can't be read."""
    path = channel.path(folder)
    if channel.series is None:
        return read_image(path)
    own = _own_series(path, channel)
    if own is None:
        raise ImageError(f"{path} doesn't hold the DICOM series any more that was added.")
    _home(path, own, moved=True)
    return read_image(path, own.uid)


def _own_series(path: Path, channel: Channel) -> Series | None:
    """The DICOM series of a folder that the channel is; None where it isn't there."""
    found = list_series(path)
    return next((series for series in found if series_key(series.uid) == channel.series), None)


def _holds(path: Path, channel: Channel) -> bool:
    """Whether the image that lies there is the one of the channel."""
    if channel.series is None or not path.is_dir():
        return fingerprint(path) == channel.fingerprint
    try:
        own = _own_series(path, channel)
    except ImageError:  # none is left, or one is damaged
        return False
    return own is not None and (
        fingerprint(path, own.files) == channel.fingerprint or _holds_all(path, channel)
    )


def _holds_all(path: Path, channel: Channel) -> bool:
    """Whether the fingerprint is that of a DICOM series' whole folder, as it once was taken."""
    return channel.series is not None and fingerprint(path) == channel.fingerprint


def _home(path: Path, series: Series, moved: bool = False) -> Path:
    """The one folder in which all files of a series lie."""
    homes = {file.parent for file in series.files}
    if len(homes) != 1 or (moved and homes != {path}):
        raise ImageError(
            f"A DICOM series in {path} is spread over several folders: put its files into one."
        )
    return homes.pop()


def series_key(uid: str) -> str:
    """How the study remembers which DICOM series an image is."""
    return hashlib.sha256(uid.encode()).hexdigest()
