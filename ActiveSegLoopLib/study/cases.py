"""The cases of a study: images to label, each with its role and patient fixed from the start."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.resampling import resample_image
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.channels import (
    Channel,
    is_same,
    make_channel,
    moved,
    read_channel,
    verified,
)
from ActiveSegLoopLib.study.clock import now
from ActiveSegLoopLib.study.database import Database
from ActiveSegLoopLib.study.fingerprint import Fingerprint, voxel_digest
from ActiveSegLoopLib.study.naming import case_name, check_case_name, no_case, unique_name

ROLES = ("pool", "validation", "test")


@dataclass(frozen=True)
class Case:
    """An image, or several co-registered ones, of a study.

    role: "pool" (labeled and trained on), "validation" or "test"; group: the patient; channels:
    where the images lie; geometry: the grid of the first, on which all labels lie; series: for
    each image which DICOM series of its folder, as series_key says it; excluded: it takes no part
    in training, proposals, scores and exports.
    """

    name: str
    role: str
    group: str
    channels: tuple[Path, ...]
    geometry: Geometry
    fingerprint: str
    series: tuple[str | None, ...] = ()
    excluded: bool = False

    @property
    def dicom(self) -> tuple[bool, ...]:
        """Which of the channels are folders with a DICOM series, whatever those are called."""
        return tuple(series is not None for series in self.series)


class Cases:
    """The cases in a study's database."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database

    def add(
        self,
        images: Sequence[str | os.PathLike],
        name: str | None = None,
        role: str = "pool",
        group: str | None = None,
        series: Sequence[str | None] | None = None,
    ) -> Case:
        """See Study.add_case."""
        if isinstance(images, (str, os.PathLike)):
            images = [images]
        paths = [Path(image) for image in images]
        if not paths:
            raise StudyError("A case needs at least one image.")
        if role not in ROLES:
            raise StudyError(f"'{role}' isn't a role: use one of {', '.join(ROLES)}.")
        if name is not None:
            check_case_name(name)
        if group is not None and (not str(group).strip() or not str(group).isprintable()):
            raise StudyError(f"{group!r} can't be a group: use a printable text such as P01.")
        uids = list(series) if series is not None else [None] * len(paths)
        if len(uids) != len(paths):
            raise StudyError(f"{len(paths)} images need {len(paths)} series, not {len(uids)}.")
        channels, geometry = self._described(paths, uids)
        with self._database.writing() as connection:
            name = _allowed_name(connection, name, paths[0])
            group = str(group).strip() if group is not None else name
            for channel, path in zip(channels, paths):
                self._require_new(connection, channel, path)
            _require_as_many(connection, paths)
            _require_one_role(connection, group, role)
            _insert(connection, name, role, group, channels, geometry)
        return self.get(name)

    def all(self, role: str | None = None) -> list[Case]:
        """See Study.cases."""
        if role is not None and role not in ROLES:
            raise StudyError(f"'{role}' isn't a role: use one of {', '.join(ROLES)}.")
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM cases WHERE :role IS NULL OR (role = :role AND NOT excluded) "
                "ORDER BY id",
                {"role": role},
            ).fetchall()
            return [self._case(connection, row) for row in rows]

    def get(self, name: str) -> Case:
        """The case of this name; raises StudyError when there is none."""
        with self._database.reading() as connection:
            return self._case(connection, case_row(connection, name))

    def volumes(self, name: str) -> list[Volume]:
        """See Study.volumes."""
        with self._database.reading() as connection:
            row = case_row(connection, name)
            channels = _channels(connection, row["id"])
        geometry = Geometry.from_dict(json.loads(row["geometry"]))
        self._verify(row, channels)
        volumes = [read_channel(channel, self._folder) for channel in channels]
        difference = geometry.difference(volumes[0].geometry)
        if difference:
            raise StudyError(
                f"The image of case '{row['name']}' has another grid than when it was added "
                f"({difference})."
            )
        return [Volume(volumes[0].array, geometry)] + [
            Volume(volume.array, geometry)
            if geometry.difference(volume.geometry) is None
            else resample_image(volume, geometry)
            for volume in volumes[1:]
        ]

    def relocate(self, name: str, paths: Sequence[str | os.PathLike]) -> Case:
        """See Study.relocate."""
        if isinstance(paths, (str, os.PathLike)):
            paths = [paths]
        with self._database.reading() as connection:
            row = case_row(connection, name)
            channels = _channels(connection, row["id"])
        if len(paths) != len(channels):
            raise StudyError(
                f"Case '{name}' has {len(channels)} images, but {len(paths)} places were given."
            )
        places = [
            moved(channel, Path(path), self._folder, row["name"])
            for channel, path in zip(channels, paths)
        ]
        with self._database.writing() as connection:
            for position, channel in enumerate(places):
                connection.execute(
                    "UPDATE channels SET relative_path = ?, absolute_path = ?, stamp = ? "
                    "WHERE case_id = ? AND position = ?",
                    (channel.relative, channel.absolute, channel.stamp, row["id"], position),
                )
        return self.get(name)

    def set_excluded(self, name: str, excluded: bool) -> Case:
        """See Study.exclude and Study.include."""
        with self._database.writing() as connection:
            row = case_row(connection, name)
            connection.execute(
                "UPDATE cases SET excluded = ? WHERE id = ?", (excluded, row["id"])
            )
        return self.get(name)

    def check_images(self, name: str) -> None:
        """Raise StudyError when an image of the case is gone or has changed."""
        with self._database.reading() as connection:
            row = case_row(connection, name)
            channels = _channels(connection, row["id"])
        self._verify(row, channels)

    def _verify(self, row: sqlite3.Row, channels: Sequence[Channel]) -> None:
        known = [verified(channel, self._folder, row["name"]) for channel in channels]
        new = [(c.stamp, row["id"], i) for i, c in enumerate(known) if c != channels[i]]
        # The stamp only saves time: an archived study that can't be written is read all the same.
        if new and self._database.is_writable:
            with self._database.writing() as connection:
                connection.executemany(
                    "UPDATE channels SET stamp = ? WHERE case_id = ? AND position = ?", new
                )

    def _require_new(self, connection: sqlite3.Connection, channel: Channel, path: Path) -> None:
        """One image in two cases, as whichever channel, could be trained on and tested on.

        Also where it was saved in another format, compressed, or turned to other axes.
        """
        rows = connection.execute(
            "SELECT * FROM cases JOIN channels ON case_id = id WHERE voxels = ? OR series IS ? "
            "AND (series IS NOT NULL OR sha256 = ?)",
            (channel.voxels, channel.series, channel.fingerprint.sha256),
        )
        for row in rows:
            known = _channel(row)
            if is_same(channel, self._folder, known):
                raise StudyError(f"{path} is in the study already, as case '{row['name']}'.")
            if channel.voxels is not None and channel.voxels == known.voxels:
                raise StudyError(
                    f"{path} is in the study already: it holds the same voxels as the image of "
                    f"case '{row['name']}', {known.path(self._folder)}."
                )

    def _described(
        self, paths: Sequence[Path], uids: Sequence[str | None]
    ) -> tuple[list[Channel], Geometry]:
        """Read every image once, so that what can't be used is refused now and not in training."""
        channels: list[Channel] = []
        geometry = None
        for path, uid in zip(paths, uids):
            channel = make_channel(path, self._folder, uid)
            if any(_same(channel, other) for other in channels):
                raise StudyError(f"{path} is given twice as an image of one case.")
            volume = read_channel(channel, self._folder)
            channels.append(replace(channel, voxels=voxel_digest(volume)))
            grid = volume.geometry
            if geometry is None:
                geometry = grid
            elif not geometry.overlaps(grid):
                raise StudyError(
                    f"{path} shows another place than {paths[0]}: the images of a case must be "
                    "registered to each other."
                )
        return channels, geometry

    def _case(self, connection: sqlite3.Connection, row: sqlite3.Row) -> Case:
        channels = _channels(connection, row["id"])
        return Case(
            name=row["name"],
            role=row["role"],
            group=row["patient"],
            channels=tuple(channel.path(self._folder) for channel in channels),
            geometry=Geometry.from_dict(json.loads(row["geometry"])),
            fingerprint=row["fingerprint"],
            series=tuple(channel.series for channel in channels),
            excluded=bool(row["excluded"]),
        )


def case_row(connection: sqlite3.Connection, name: str) -> sqlite3.Row:
    """The database row of a case; raises StudyError when there is none."""
    row = connection.execute("SELECT * FROM cases WHERE name = ?", (name,)).fetchone()
    if row is None:
        names = [row["name"] for row in connection.execute("SELECT name FROM cases ORDER BY id")]
        raise StudyError(no_case(name, names))
    return row


def _channels(connection: sqlite3.Connection, case_id: int) -> list[Channel]:
    rows = connection.execute(
        "SELECT * FROM channels WHERE case_id = ? ORDER BY position", (case_id,)
    )
    return [_channel(row) for row in rows]


def _channel(row: sqlite3.Row) -> Channel:
    return Channel(
        row["relative_path"],
        row["absolute_path"],
        row["series"],
        Fingerprint(row["size"], row["sha256"]),
        row["stamp"],
        row["voxels"],
    )


def _allowed_name(connection: sqlite3.Connection, name: str | None, image: Path) -> str:
    taken = {row["name"] for row in connection.execute("SELECT name FROM cases")}
    if name is None:
        return unique_name(case_name(image), taken)
    if name.casefold() in {other.casefold() for other in taken}:
        raise StudyError(f"The study has a case '{name}' already: choose another name.")
    return name


def _require_as_many(connection: sqlite3.Connection, images: Sequence[Path]) -> None:
    """A model needs as many channels of every case."""
    row = connection.execute(
        "SELECT name, count(*) AS number FROM cases JOIN channels ON case_id = id "
        "GROUP BY id HAVING number <> ? ORDER BY id LIMIT 1",
        (len(images),),
    ).fetchone()
    if row is not None:
        raise StudyError(
            f"The case of {images[0]} would have {len(images)} channels (images) and "
            f"'{row['name']}', which is in the study, has {row['number']}: all cases need as many."
        )


def _require_one_role(connection: sqlite3.Connection, group: str, role: str) -> None:
    row = connection.execute(
        "SELECT name, role FROM cases WHERE patient = ? AND role <> ?", (group, role)
    ).fetchone()
    if row is not None:
        raise StudyError(
            f"The group '{group}' has the role {row['role']} (case '{row['name']}'), so a case of "
            f"it can't be added as {role}: all images of a patient have one role."
        )


def _insert(
    connection: sqlite3.Connection,
    name: str,
    role: str,
    group: str,
    channels: Sequence[Channel],
    geometry: Geometry,
) -> None:
    identity = "\n".join(f"{c.fingerprint.sha256} {c.series or ''}" for c in channels)
    case_id = connection.execute(
        "INSERT INTO cases (name, role, patient, geometry, fingerprint, added) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (
            name,
            role,
            group,
            json.dumps(geometry.to_dict()),
            hashlib.sha256(identity.encode()).hexdigest(),
            now(),
        ),
    ).lastrowid
    for position, c in enumerate(channels):
        connection.execute(
            "INSERT INTO channels (case_id, position, relative_path, absolute_path, series, size, "
            "sha256, stamp, voxels) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (case_id, position, c.relative, c.absolute, c.series, c.fingerprint.size,
             c.fingerprint.sha256, c.stamp, c.voxels),
        )


def _same(one: Channel, other: Channel) -> bool:
    return (one.fingerprint, one.series) == (other.fingerprint, other.series)
