"""The structures that a study labels: their ids, values, names, colors and network channels."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.segmentation import Segment
from ActiveSegLoopLib.study.colors import Color, distinct_colors
from ActiveSegLoopLib.study.dataset_json import read_dataset_labels

LARGEST_VALUE = 255
LONGEST_TEXT = 100
# What Slicer itself gives a new segment: generic tissue, no anatomic region.
TISSUE = (
    "Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^85756007^Tissue~SCT^85756007^Tissue~^^~Anatomic codes - DICOM master list~^^~^^"
)


@dataclass(frozen=True)
class Label:
    """One structure.

    id: what identifies it everywhere (letters, digits, "_", "-", "."); value: its voxels' value,
    1 to 255; name: what people read; color: r, g, b from 0 to 1, chosen by the schema when left
    out; terminology: Slicer's terminology entry or None. Raises StudyError for anything else.
    """

    id: str
    value: int
    name: str
    color: Color | None = None
    terminology: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.id):
            raise StudyError(
                f"'{self.id}' can't be a label's id: use letters, digits, '_', '-' and '.'."
            )
        if isinstance(self.value, bool) or not isinstance(self.value, (int, np.integer)):
            raise StudyError(f"The value of label '{self.id}' must be a whole number, not "
                             f"{self.value!r}.")
        if self.value == 0:
            raise StudyError(
                f"Label '{self.id}' can't have the value 0, which is the background: "
                f"use 1 to {LARGEST_VALUE}."
            )
        if not 1 <= self.value <= LARGEST_VALUE:
            raise StudyError(
                f"The value of label '{self.id}' must be from 1 to {LARGEST_VALUE}, not "
                f"{self.value}."
            )
        object.__setattr__(self, "value", int(self.value))
        object.__setattr__(self, "name", _checked_name(self.name, self.id))
        if self.color is not None:
            object.__setattr__(self, "color", _checked_color(self.color, self.id))
        if self.terminology is not None:
            _check_terminology(self.terminology, self.id)


@dataclass(frozen=True)
class LabelSchema:
    """The labels of a study, in the order of the network's channels 1, 2, ...

    sides_matter: whether left and right are different structures, so that mirroring an image
    would make its labels wrong. Raises StudyError unless ids, values and names are unique.
    """

    labels: tuple[Label, ...]
    sides_matter: bool = True

    def __post_init__(self) -> None:
        labels = tuple(self.labels)
        if not labels:
            raise StudyError("A study needs at least one label, for example 1=artery.")
        for what in ("id", "value", "name"):
            seen: set[Any] = set()
            for label in labels:
                value = getattr(label, what)
                # Ids and names that differ in case only would be mistaken for one another.
                key = value.casefold() if isinstance(value, str) else value
                if key in seen:
                    raise StudyError(f"Two labels share the {what} '{value}'; each needs its own.")
                seen.add(key)
        object.__setattr__(self, "labels", _colored(labels))
        object.__setattr__(self, "sides_matter", bool(self.sides_matter))

    @classmethod
    def parse(cls, text: str, sides_matter: bool = True) -> LabelSchema:
        """The schema of "1=artery,2=vein": value and name of each label, sorted by value."""
        pairs = []
        for part in text.split(","):
            value, separator, name = part.partition("=")
            if not separator or not re.fullmatch(r"\s*-?\d+\s*", value):
                raise StudyError(
                    f"'{part.strip()}' isn't a label: write value=name, for example "
                    "1=artery,2=vein."
                )
            pairs.append((int(value), name))
        return cls(_labels_of(pairs), sides_matter)

    @classmethod
    def from_dataset_json(cls, path: str | os.PathLike, sides_matter: bool = True) -> LabelSchema:
        """The schema of a dataset.json as the Decathlon or nnU-Net v2 write it, by value.

        Raises StudyError when the file can't be read, or has regions or an ignore label.
        """
        pairs = read_dataset_labels(path)
        try:
            return cls(_labels_of(pairs), sides_matter)
        except StudyError as error:
            raise StudyError(f"{path} can't be used: {error}") from error

    @property
    def ids(self) -> tuple[str, ...]:
        """The labels' ids in channel order."""
        return tuple(label.id for label in self.labels)

    @property
    def names(self) -> dict[int, str]:
        """Name by voxel value."""
        return {label.value: label.name for label in self.labels}

    def label(self, id: str) -> Label:
        """The label with this id; raises StudyError when there is none."""
        for label in self.labels:
            if label.id == id:
                return label
        raise StudyError(f"There is no label '{id}'; the study has {', '.join(self.ids)}.")

    def channel_of(self, id: str) -> int:
        """The network channel of a label: its position + 1; 0 is the background."""
        return self.labels.index(self.label(id)) + 1

    def segments(self) -> list[Segment]:
        """What a .seg.nrrd says of each label; a generic terminology entry where none is set."""
        return [
            Segment(label.id, label.value, label.name, label.color, label.terminology or TISSUE)
            for label in self.labels
        ]

    def to_channels(self, values: np.ndarray) -> np.ndarray:
        """Network channels (uint8, same shape) of an array of label values.

        Raises StudyError when a value belongs to no label.
        """
        table = {label.value: i + 1 for i, label in enumerate(self.labels)}
        return _mapped(values, table, "The label map holds the value {}, but the labels are")

    def to_values(self, channels: np.ndarray) -> np.ndarray:
        """Label values (uint8, same shape) of an array of network channels, strictly."""
        table = {i + 1: label.value for i, label in enumerate(self.labels)}
        return _mapped(channels, table, "The array holds the channel {}, but there are")

    def with_label(self, label: Label) -> LabelSchema:
        """One more label, behind the others so that their channels stay."""
        return replace(self, labels=(*self.labels, label))

    def renamed(self, id: str, name: str) -> LabelSchema:
        """The same schema with another name for one label."""
        return self._changed(replace(self.label(id), name=name))

    def recolored(self, id: str, color: Iterable[float]) -> LabelSchema:
        """The same schema with another color for one label."""
        return self._changed(replace(self.label(id), color=tuple(color)))

    def _changed(self, label: Label) -> LabelSchema:
        return replace(
            self, labels=tuple(label if old.id == label.id else old for old in self.labels)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "sides_matter": self.sides_matter,
            "labels": [
                {
                    "id": label.id,
                    "value": label.value,
                    "name": label.name,
                    "color": list(label.color),
                    "terminology": label.terminology,
                }
                for label in self.labels
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LabelSchema:
        """The schema that to_dict described; raises StudyError when it isn't one."""
        try:
            labels = tuple(
                Label(d["id"], d["value"], d["name"], tuple(d["color"]), d.get("terminology"))
                for d in data["labels"]
            )
            return cls(labels, data["sides_matter"])
        except (KeyError, TypeError) as error:
            raise StudyError(f"This isn't a stored label schema: {error!r}.") from error


def _checked_name(name: str, id: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise StudyError(f"Label '{id}' needs a name.")
    name = unicodedata.normalize("NFC", name.strip())
    if not name.isprintable() or len(name) > LONGEST_TEXT:
        raise StudyError(
            f"{name!r} can't be a label's name: use printable text of at most {LONGEST_TEXT} "
            "characters on one line."
        )
    if name.casefold() == "background":
        raise StudyError(
            "The background isn't a label: it is the value 0, which every study has by itself."
        )
    return name


def _checked_color(color: Iterable[float], id: str) -> Color:
    try:
        numbers = tuple(float(part) for part in color)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != 3 or not all(0 <= part <= 1 for part in numbers):
        raise StudyError(
            f"The color of label '{id}' must be red, green and blue from 0 to 1, not {color!r}."
        )
    return numbers


def _check_terminology(entry: str, id: str) -> None:
    # "|" and ":" delimit tags in a .seg.nrrd, of which ":" is harmless inside a value.
    parts = entry.split("~") if isinstance(entry, str) else []
    codes = [part for i, part in enumerate(parts) if i not in (0, 4)]
    good = len(parts) == 7 and all(code.count("^") == 2 for code in codes)
    if not good or "|" in entry or not entry.isprintable():
        raise StudyError(
            f"The terminology of label '{id}' isn't an entry as Slicer writes it: 7 parts joined "
            f"by '~', for example {TISSUE}."
        )


def _colored(labels: tuple[Label, ...]) -> tuple[Label, ...]:
    used = [label.color for label in labels if label.color is not None]
    new = iter(distinct_colors(len(labels) - len(used), used))
    return tuple(
        label if label.color is not None else replace(label, color=next(new)) for label in labels
    )


def _labels_of(pairs: Iterable[tuple[int, str]]) -> tuple[Label, ...]:
    labels: list[Label] = []
    ids: set[str] = set()
    for value, name in sorted(pairs, key=lambda pair: pair[0]):
        plain = unicodedata.normalize("NFKD", str(name)).encode("ascii", "ignore").decode()
        id = re.sub(r"[^A-Za-z0-9.-]+", "_", plain).strip("_.-").lower() or f"label_{value}"
        if id in ids and name.strip().casefold() not in {n.name.casefold() for n in labels}:
            id = f"{id}_{value}"
        ids.add(id)
        labels.append(Label(id, value, name))
    return tuple(labels)


def _mapped(array: np.ndarray, table: Mapping[int, int], problem: str) -> np.ndarray:
    """Map whole numbers by a table to uint8; 0 stays 0, a number without an entry is an error."""
    array = np.asarray(array)
    if array.dtype.kind not in "uib":
        raise StudyError(f"Labels must be whole numbers, not values of type {array.dtype}.")
    lookup = np.full(256, -1, np.int16)
    lookup[0] = 0
    for source, target in table.items():
        lookup[source] = target
    if array.dtype not in (np.uint8, bool):
        outside = (array < 0) | (array > 255)
        if outside.any():
            raise StudyError(f"{problem.format(array[outside].flat[0])} {_listed(table)}.")
    mapped = lookup[array.astype(np.uint8, copy=False)]
    strange = mapped < 0
    if strange.any():
        raise StudyError(f"{problem.format(array[strange].flat[0])} {_listed(table)}.")
    return mapped.astype(np.uint8)


def _listed(table: Mapping[int, int]) -> str:
    return ", ".join(str(key) for key in sorted(table)[:20]) + (" ..." if len(table) > 20 else "")
