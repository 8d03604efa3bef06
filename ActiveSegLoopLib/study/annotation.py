"""What of a label map was looked at by a person: which slices, which labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.geometry import PLANES, Geometry
from ActiveSegLoopLib.study.counting import value_counts
from ActiveSegLoopLib.study.schema import LabelSchema

MOST_CODES = 256


@dataclass(frozen=True)
class Annotation:
    """Slices and labels that a person vouches for; background there is background.

    slices: indices by plane ("axial", "coronal", "sagittal") along the array axis
    geometry.axis_of(plane), the array's own index; voxels in any of them count; None is the whole
    volume, an empty mapping nothing. classes: label ids; None is all labels of the study.
    Raises StudyError for unknown planes and indices that aren't whole numbers from 0.
    """

    slices: Mapping[str, tuple[int, ...]] | None = field(default=None, hash=False)
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.slices is not None:
            object.__setattr__(self, "slices", _checked_slices(self.slices))
        if self.classes is not None:
            if isinstance(self.classes, str):
                raise StudyError(f"The labels annotated must be a list, not '{self.classes}'.")
            if not tuple(self.classes):
                raise StudyError("An annotation names at least one label, or none to mean all.")
            object.__setattr__(self, "classes", tuple(dict.fromkeys(self.classes)))

    def resolved(self, schema: LabelSchema, geometry: Geometry) -> Annotation:
        """The same with every label named: a label that joins later wasn't annotated.

        Raises StudyError for labels that the schema lacks and slices outside the grid.
        """
        for plane, indices in (self.slices or {}).items():
            count = geometry.shape[geometry.axis_of(plane)]
            if indices[-1] >= count:
                raise StudyError(
                    f"There is no {plane} slice {indices[-1]}: the image has {count}, "
                    f"0 to {count - 1}."
                )
        named = {schema.label(id).id for id in self.classes or schema.ids}
        return Annotation(self.slices, tuple(id for id in schema.ids if id in named))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        slices, classes = self.slices, self.classes
        return {
            "slices": slices and {plane: list(indices) for plane, indices in slices.items()},
            "classes": classes and list(classes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Annotation:
        """The annotation that to_dict described."""
        return cls(data["slices"], None if data["classes"] is None else tuple(data["classes"]))


def _checked_slices(slices: Mapping[str, Iterable[int]]) -> dict[str, tuple[int, ...]]:
    if not isinstance(slices, Mapping):
        raise StudyError(f"The slices annotated must be given by plane, not as {slices!r}.")
    checked = {}
    for plane in slices:
        if plane not in PLANES:
            raise StudyError(f"'{plane}' isn't a plane: use one of {', '.join(PLANES)}.")
    for plane in PLANES:
        given = slices.get(plane, ())
        indices = list(given) if isinstance(given, Iterable) else [given]
        for index in indices:
            whole = isinstance(index, (int, np.integer)) and not isinstance(index, bool)
            if not whole or index < 0:
                raise StudyError(
                    f"{index!r} isn't a slice: the {plane} slices are whole numbers from 0."
                )
        if indices:
            checked[plane] = tuple(sorted({int(index) for index in indices}))
    return checked


@dataclass(frozen=True, eq=False)
class Annotated:
    """Per voxel and label, whether it is annotated.

    codes: uint8 (z, y, x); subsets: bool (codes in use, labels of the schema in its order), row 0
    all False. Voxel v is annotated for label i where subsets[codes[v], i].
    """

    codes: np.ndarray
    subsets: np.ndarray

    def any(self) -> np.ndarray:
        """Voxels (bool; z, y, x) annotated for at least one label."""
        return self.subsets.any(axis=1)[self.codes]

    def all(self) -> np.ndarray:
        """Voxels (bool; z, y, x) annotated for every label."""
        return self.subsets.all(axis=1)[self.codes]

    def label(self, position: int) -> np.ndarray:
        """Voxels (bool; z, y, x) annotated for the label at this position in the schema."""
        return self.subsets[:, position][self.codes]


def merged(entries: Sequence[Annotation]) -> tuple[Annotation, ...]:
    """Fewer entries that together say the same as these resolved ones.

    Entries of the same labels become one; what another covers in the whole volume is left out.
    """
    by_classes: dict[frozenset[str], Annotation] = {}
    for entry in entries:
        key = frozenset(entry.classes)
        old = by_classes.get(key)
        by_classes[key] = entry if old is None else _union(old, entry)
    whole = [key for key, entry in by_classes.items() if entry.slices is None]
    return tuple(
        entry
        for key, entry in by_classes.items()
        if entry.slices != {} and not any(key < other for other in whole)
    )


def _union(one: Annotation, other: Annotation) -> Annotation:
    if one.slices is None or other.slices is None:
        return Annotation(None, one.classes)
    planes = {
        plane: one.slices.get(plane, ()) + other.slices.get(plane, ()) for plane in PLANES
    }
    return Annotation({plane: i for plane, i in planes.items() if i}, one.classes)


def annotated_voxels(
    entries: Iterable[Annotation], geometry: Geometry, schema: LabelSchema
) -> Annotated:
    """What resolved entries say together of every voxel of a grid.

    Raises StudyError when they differ in more ways than a byte can tell apart.
    """
    codes = np.zeros(geometry.shape, np.uint8)
    subsets: list[frozenset[str]] = [frozenset()]
    for entry in entries:
        subsets, table = _with_classes(subsets, frozenset(entry.classes))
        # Slices of two planes cross: applying the table twice there changes nothing.
        for region in _regions(entry, geometry):
            codes[region] = table[codes[region]]
        codes, subsets = _compact(codes, subsets)
    matrix = np.array([[id in subset for id in schema.ids] for subset in subsets], bool)
    return Annotated(codes, matrix)


def _with_classes(
    subsets: list[frozenset[str]], classes: frozenset[str]
) -> tuple[list[frozenset[str]], np.ndarray]:
    """The subsets with those that a union makes, and the code that each becomes by it."""
    subsets = list(dict.fromkeys([*subsets, *(subset | classes for subset in subsets)]))
    if len(subsets) > MOST_CODES:
        raise StudyError(
            f"The slices were annotated for more than {MOST_CODES - 1} different sets of labels: "
            "annotate more labels at a time."
        )
    number = {subset: code for code, subset in enumerate(subsets)}
    return subsets, np.array([number[subset | classes] for subset in subsets], np.uint8)


def _regions(entry: Annotation, geometry: Geometry) -> Iterable[tuple]:
    if entry.slices is None:
        yield (slice(None),)
        return
    for plane, indices in entry.slices.items():
        axis = geometry.axis_of(plane)
        for index in indices:
            yield (slice(None),) * axis + (index,)


def _compact(
    codes: np.ndarray, subsets: list[frozenset[str]]
) -> tuple[np.ndarray, list[frozenset[str]]]:
    """Drop the subsets that no voxel has, but the empty one, which stays code 0."""
    used = value_counts(codes)[: len(subsets)] > 0
    used[0] = True
    table = (np.cumsum(used) - 1).astype(np.uint8)
    return table[codes], [subset for subset, kept in zip(subsets, used) if kept]
