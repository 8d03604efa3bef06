"""The cases that a model does worst on, first, and the slices that show why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.evaluation.overlap import mean_dice
from ActiveSegLoopLib.evaluation.reporting.scores import Scored
from ActiveSegLoopLib.evaluation.reporting.surface_pairs import LABELS_MODEL, ComparedPair
from ActiveSegLoopLib.evaluation.reporting.table import NOTHING, Column, Table, number, words
from ActiveSegLoopLib.evaluation.views import PLANES
from ActiveSegLoopLib.images.orientation import to_lps
from ActiveSegLoopLib.images.volume import Volume


@dataclass(frozen=True)
class Ranked:
    """A case with its mean Dice, and the label (id) that is worst in it."""

    scored: Scored
    mean: float
    worst: str

    @property
    def case(self) -> str:
        """The case's name."""
        return self.scored.truth.case.name


def rank(scored: Sequence[Scored]) -> list[Ranked]:
    """The cases by the mean Dice of their structures, the worst first.

    Cases without any structure in labels or prediction have no Dice and are left out.
    """
    ranked = []
    for one in scored:
        dice = {id: overlap.dice for id, overlap in one.overlaps.items()}
        defined = [id for id, value in dice.items() if not math.isnan(value)]
        if defined:
            ranked.append(Ranked(one, mean_dice(dice), min(defined, key=dice.get)))
    return sorted(ranked, key=lambda entry: entry.mean)


def worst_rows(
    ranked: Sequence[Ranked], compared: Sequence[ComparedPair], names: dict[str, str], round: int
) -> Table:
    """One row for each case, the worst first."""
    surfaces = {
        entry.pair.case.name: entry.structures
        for entry in compared
        if entry.pair.kind == LABELS_MODEL and entry.pair.round == round
    }
    rows = []
    for place, entry in enumerate(ranked, start=1):
        rms = {
            id: found.surface.symmetric.rms
            for id, found in surfaces.get(entry.case, {}).items()
            if not found.surface.reason
        }
        farthest = max(rms, key=rms.get, default=None)
        rows.append({
            "place": place, "case": entry.case, "round": round, "mean_dice": entry.mean,
            "worst_structure": names[entry.worst],
            "worst_dice": entry.scored.overlaps[entry.worst].dice,
            "largest_rms": rms[farthest] if farthest else math.nan,
            "largest_rms_structure": names[farthest] if farthest else None,
            "labels": entry.scored.truth.origin,
        })
    columns = (
        Column("", lambda row: str(row["place"])),
        words("case", "case"),
        number("mean_dice", "mean Dice, %", 2, 100),
        Column(
            "worst structure",
            lambda row: f"{row['worst_structure']} ({100 * row['worst_dice']:.1f} %)", False,
        ),
        Column(
            "largest surface RMS",
            lambda row: NOTHING if row["largest_rms_structure"] is None
            else f"{row['largest_rms']:.2f} mm ({row['largest_rms_structure']})", False,
        ),
        words("labels", "labels"),
    )
    return Table("cases_by_dice", f"Cases by mean Dice, round {round}", rows, columns)


def slices_that_show(
    truth: Volume, prediction: Volume, value: int, known: np.ndarray | None = None
) -> dict[str, int]:
    """By plane the slice with most voxels where only one of the two has the value.

    Counted along the LPS axis as in views.view; inside the mask of what is annotated only. Planes
    without a difference are left out.
    """
    wrong = (truth.array == value) != (prediction.array == value)
    if known is not None:
        wrong &= known
    array = to_lps(truth.with_array(wrong.astype(np.uint8))).array
    found = {}
    for axis, plane in enumerate(PLANES):
        across = tuple(other for other in range(3) if other != axis)
        count = np.count_nonzero(array, axis=across)
        if count.any():
            found[plane] = int(count.argmax())
    return found
