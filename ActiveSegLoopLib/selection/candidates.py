"""All candidates side by side, as arrays: what a strategy looks at."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.selection.evidence import CaseEvidence
from ActiveSegLoopLib.selection.positions import relative_positions
from ActiveSegLoopLib.selection.scores import Measure
from ActiveSegLoopLib.study.schema import Label


class Candidates:
    """The slices, or volumes, of all cases in the order of the cases' names and slice numbers.

    labels: the study's. case: number of the case of each candidate (n,). index: slice number (n,).
    annotated: bool (n, labels). available: what no rule keeps back, bool (n,). picked: what has
    been picked, in order. focus: position of the label to propose for, None for all. count: how
    many are asked for. round_index: which round of proposals this is, from 0, of about `rounds` in
    all. memo: what a strategy that is asked again after every pick keeps in between. notes: what
    there is to tell the person who asked. Strategies change nothing but the memo.
    """

    def __init__(
        self,
        cases: Sequence[CaseEvidence],
        labels: Sequence[Label],
        unit: str,
        count: int = 1,
        seed: int = 0,
        round_index: int = 0,
        rounds: int = 10,
        closed: Collection[str] = (),
    ) -> None:
        self.cases = tuple(sorted(cases, key=lambda case: case.name))
        self.labels = tuple(labels)
        self.unit, self.count, self.seed = unit, count, seed
        self.round_index, self.rounds = round_index, rounds
        sizes = [case.items for case in self.cases]
        self.case = np.repeat(np.arange(len(sizes)), sizes)
        self.index = np.concatenate([np.arange(n) for n in sizes]) if sizes else np.zeros(0, int)
        self.annotated = self.stacked("annotated", (0, len(self.labels))).astype(bool)
        kept_back = np.array([case.name in closed for case in self.cases], bool)[self.case]
        self.available = ~(self.stacked("refused").astype(bool) | kept_back)
        self.picked: list[int] = []
        self.focus: int | None = None
        self.memo: dict[Any, Any] = {}
        self.notes: list[str] = []
        self._distances: dict[int | None, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.case)

    def stacked(self, name: str, empty: tuple[int, ...] = (0,)) -> np.ndarray:
        """One of the evidence's arrays, of all candidates (n, ...)."""
        parts = [getattr(case, name) for case in self.cases]
        missing = [case.name for case, part in zip(self.cases, parts) if part is None]
        if missing:
            raise SelectionError(
                f"There is no {name} of case '{missing[0]}': a strategy must name what it needs."
            )
        return self._concatenated(parts, empty)

    @property
    def has_foreground(self) -> bool:
        """Whether a model was there to tell where the structures are."""
        return all(case.foreground is not None for case in self.cases)

    @property
    def foreground(self) -> np.ndarray:
        """Voxels of each label in each candidate, as the model sees it (n, labels)."""
        return self.stacked("foreground", (0, len(self.labels)))

    @property
    def seen(self) -> np.ndarray:
        """Where the model sees a structure, the one in focus if there is one: bool (n,)."""
        if self.focus is None:
            return self.foreground.any(axis=1)
        return self.foreground[:, self.focus] > 0

    def measure(self, need: str) -> np.ndarray:
        """A measure named in the strategy's needs (n,): of the label in focus, else overall.

        Overall too when the model tells nothing of that label in all that is left.
        """
        if self.focus is not None:
            mine = self.measure_per_label(need)[:, self.focus]
            if mine[self.open].any():
                return mine
        return self._concatenated([self._measure(case, need).overall for case in self.cases])

    def measure_per_label(self, need: str) -> np.ndarray:
        """A measure named in the strategy's needs for each label (n, labels)."""
        return self._concatenated(
            [self._measure(case, need).labels for case in self.cases], (0, len(self.labels))
        )

    def expected_error(self) -> np.ndarray:
        """1 - the Dice that the model expects (n,): of the label in focus, if it is there.

        Overall where none is in focus, or where nothing is told of that label.
        """
        error = self.measure("error")
        if self.focus is None or not self.measure_per_label("error")[self.open, self.focus].any():
            return error
        parts = [self._measure(case, "error") for case in self.cases]
        return self._concatenated([
            (part.labels if part.unweighted is None else part.unweighted)[:, self.focus]
            for part in parts
        ])

    def _measure(self, case: CaseEvidence, need: str) -> Measure:
        if need not in case.measures:
            raise SelectionError(
                f"There is no {need} of case '{case.name}': a strategy must name what it needs."
            )
        return case.measures[need]

    @staticmethod
    def _concatenated(parts: list[np.ndarray], empty: tuple[int, ...] = (0,)) -> np.ndarray:
        return np.concatenate(parts) if parts else np.zeros(empty)

    @property
    def position(self) -> np.ndarray:
        """Where each slice lies in its volume, 0 to 1 towards superior, posterior or left (n,)."""
        return self._concatenated(
            [relative_positions(case.geometry, case.plane) for case in self.cases]
        )

    @property
    def labeled(self) -> np.ndarray:
        """Annotated for the label in focus, else for any: bool (n,)."""
        if self.focus is not None:
            return self.annotated[:, self.focus]
        return self.annotated.any(axis=1)

    @property
    def elsewhere(self) -> np.ndarray:
        """How many slices of other planes of its volume are labeled, as in `labeled`: (n,)."""
        counts = np.zeros(len(self.cases), int)
        for number, case in enumerate(self.cases):
            if case.elsewhere is not None:
                marks = case.elsewhere if self.focus is None else case.elsewhere[:, [self.focus]]
                counts[number] = marks.any(axis=1).sum()
        return counts[self.case]

    @property
    def unlearned(self) -> np.ndarray:
        """Labeled, for the label in focus or else for any, since the model was trained (n,)."""
        marks = self._concatenated([
            np.zeros_like(case.annotated) if case.unlearned is None else case.unlearned
            for case in self.cases
        ], (0, len(self.labels))).astype(bool)
        return marks.any(axis=1) if self.focus is None else marks[:, self.focus]

    @property
    def open(self) -> np.ndarray:
        """What may still be proposed: bool (n,)."""
        found = self.available & ~self.labeled
        found[self.picked] = False
        return found

    @property
    def spacing(self) -> np.ndarray:
        """Distance in mm to the next slice of the same volume (n,)."""
        return np.array([case.spacing for case in self.cases])[self.case]

    @property
    def distance(self) -> np.ndarray:
        """Distance in mm to the nearest labeled or picked slice of the same volume; inf if none."""
        if self.focus not in self._distances:
            distances = np.full(len(self), np.inf)
            self._distances[self.focus] = distances
            for number in [*np.flatnonzero(self.labeled), *self.picked]:
                self._bring_near(distances, number)
        return self._distances[self.focus]

    def pick(self, number: int) -> None:
        """Note that a candidate is proposed."""
        self.picked.append(number)
        for distances in self._distances.values():
            self._bring_near(distances, number)

    def _bring_near(self, distances: np.ndarray, number: int) -> None:
        if self.unit == "slice":
            first = number - self.index[number]
            case = self.cases[self.case[number]]
            mine = slice(first, first + case.items)
            away = np.abs(self.index[mine] - self.index[number]) * case.spacing
            np.minimum(distances[mine], away, out=distances[mine])

    def per_case(self, marked: np.ndarray) -> np.ndarray:
        """For each candidate how many of its case's are marked (bool, n)."""
        return np.bincount(self.case[marked], minlength=len(self.cases))[self.case]

    def uniform(self, purpose: str) -> np.ndarray:
        """Random numbers in (0, 1] (n,), the same for the same seed, round, purpose and case.

        They don't depend on which other cases there are, nor on their order.
        """
        parts = []
        for case in self.cases:
            words = [zlib.crc32(text.encode()) for text in (purpose, case.name)]
            random = np.random.default_rng([self.seed, self.round_index, *words])
            parts.append(1.0 - random.random(case.items))
        return self._concatenated(parts)
