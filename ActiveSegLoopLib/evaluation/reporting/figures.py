"""The pictures of a report, and in words why one is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.evaluation.pictures import learning_curve, slice_picture
from ActiveSegLoopLib.evaluation.reporting.charts import (
    box_plots,
    chart_name,
    drawing,
    time_bars,
)
from ActiveSegLoopLib.evaluation.reporting.measuring import Measured
from ActiveSegLoopLib.evaluation.reporting.scores import known_masks, read_prediction
from ActiveSegLoopLib.evaluation.reporting.surface_pairs import KINDS, ComparedPair, Pair
from ActiveSegLoopLib.evaluation.reporting.surface_picture import surface_picture
from ActiveSegLoopLib.evaluation.reporting.worst import Ranked, slices_that_show
from ActiveSegLoopLib.images.geometry import PLANES
from ActiveSegLoopLib.images.segmentation import Segment
from ActiveSegLoopLib.images.volume import Volume


@dataclass(frozen=True)
class Picture:
    """One picture of a section of the page: its PNG file, or why there is none."""

    section: str
    title: str
    caption: str
    path: Path | None
    problem: str = ""


def draw(
    measured: Measured,
    folder: Path,
    report: Callable[..., None] = lambda kind, **data: None,
    go_on: Callable[[], None] = lambda: None,
) -> list[Picture]:
    """Draw all pictures into a folder. What can't be drawn is said, not raised."""
    artist = _Artist(measured, folder)
    worst = measured.ranked[: measured.settings.worst]
    surfaces = artist.surfaces_to_show()
    total = 2 + len(worst) + len(surfaces)
    found = []
    steps = [
        artist.charts,
        artist.times,
        *(lambda place=place, entry=entry: artist.worst(place, entry)
          for place, entry in enumerate(worst, start=1)),
        *(lambda entry=entry: artist.surface(entry) for entry in surfaces),
    ]
    with drawing():
        for step, make in enumerate(steps, start=1):
            go_on()
            found += list(make())
            report("progress", stage="drawing", step=step, total=total)
    return found


class _Artist:
    """Draws the pictures of one report."""

    def __init__(self, measured: Measured, folder: Path) -> None:
        self.measured = measured
        self.study = measured.study
        self.folder = folder
        self.named = {id: chart_name(name, id) for id, name in measured.names.items()}
        self.segments = [
            Segment(s.id, s.value, self.named[s.id], s.color)
            for s in self.study.schema.segments()
        ]
        # This machine has no font for some names: pictures show the labels' ids in their place.
        self.aside = "".join(
            f" In the picture {id} stands for {measured.names[id]}."
            for id, shown in self.named.items() if shown == id != measured.names[id]
        )

    def charts(self) -> Iterator[Picture]:
        """Learning curve and box plots of every role that was scored."""
        for evaluation in self.measured.evaluations:
            stages = evaluation.scores.stages(
                evaluation.rounds, evaluation.cases, self.named
            )
            role = evaluation.role
            path = self._path(f"learning-curve-{role}")
            learning_curve(stages, self.segments, path)
            yield Picture(
                "stages", f"Learning curve ({role})",
                f"Dice over the number of training cases: means over the same "
                f"{len(evaluation.cases)} cases with a band of one SD; black: over all."
                f"{self.aside}", path,
            )
            values = {
                structure: {
                    stage.name: [
                        case[structure].dice for case in stage.overlaps if structure in case
                    ]
                    for stage in stages
                }
                for structure in dict.fromkeys(n for s in stages for n in s.structures)
            }
            path = self._path(f"cases-{role}")
            box_plots(values, self.segments, path)
            yield Picture(
                "stages", f"Dice of every case ({role})",
                "Each dot is a case; boxes, from five cases on, span the middle half with the "
                f"median as a line.{self.aside}", path,
            )

    def times(self) -> Iterator[Picture]:
        """Bars of the labeling times."""
        for table in self.measured.shown("time_summary_case", "time_summary_slice"):
            drawn = {name: self.named[id] for id, name in self.measured.names.items()}
            rows = [
                (drawn.get(r["structure"], r["structure"]), r["manual_mean"], r["corrected_mean"])
                for r in table.rows
            ]
            unit = table.name.rpartition("_")[2]
            path = self._path(f"time-{unit}")
            time_bars(rows, path, unit)
            yield Picture("time", table.title, f"Mean times; no bar: none.{self.aside}", path)

    def worst(self, place: int, entry: Ranked) -> Iterator[Picture]:
        """The slices that show most of what is wrong in a case's worst structure."""
        scored = entry.scored
        name, overlap = self.measured.names[entry.worst], scored.overlaps[entry.worst]
        title = f"{entry.case}: mean Dice {100 * entry.mean:.1f} %"
        caption = (
            f"The slices with most voxels wrong in {name} (Dice {100 * overlap.dice:.1f} %; "
            f"{overlap.truth_ml:.1f} ml labeled, {overlap.predicted_ml:.1f} ml predicted)."
            f"{self.aside}"
        )
        try:
            truth, prediction, at = self._shown(entry)
            path = self._path(f"worst-{place:02d}")
            slice_picture(
                self.study.volumes(scored.truth.case)[0],
                {"labels": truth, f"round {scored.round}": prediction}, self.segments, path,
                planes=list(at), at=at,
            )
        except ActiveSegLoopError as error:
            yield Picture("worst", title, caption, None, str(error))
            return
        yield Picture("worst", title, caption, path)

    def _shown(self, entry: Ranked) -> tuple[Volume, Volume, dict[str, int]]:
        truth = entry.scored.truth
        labels = self.study.labelmap(truth.revision)
        masks = known_masks(self.study.annotated(truth.revision), self.study.schema)
        prediction = read_prediction(
            self.study, self.study.round(entry.scored.round), truth.case
        )
        value = self.study.schema.label(entry.worst).value
        # What nobody vouched for isn't shown as labels.
        known = np.zeros(labels.array.shape, np.uint8)
        for label, mask in masks.items():
            here = mask & (labels.array == label)
            known[here] = label
        at = slices_that_show(labels, prediction, value, masks[value])
        if not at:
            at = slices_that_show(labels, labels.with_array(np.zeros_like(known)), value)
        axes = {plane: truth.case.geometry.axis_of(plane) for plane in PLANES}
        annotated = {
            plane: masks[value].any(axis=axis).mean() for plane, axis in axes.items()
        }
        best = sorted(at, key=lambda plane: -round(float(annotated[plane]), 2))[:2]
        if len(best) == 2 and annotated[best[1]] < 0.5:
            best = best[:1]  # a plane across single annotated slices shows lines only
        return labels.with_array(known), prediction, {plane: at[plane] for plane in best}

    def surfaces_to_show(self) -> list[ComparedPair]:
        """Of each kind of comparison the case with the largest RMS of a structure."""
        found = []
        for kind in KINDS:
            entries = [
                (rms, entry) for entry in self.measured.compared if entry.pair.kind == kind
                for rms in [_largest_rms(entry)] if rms is not None
            ]
            if entries:
                found.append(max(entries, key=lambda pair: pair[0])[1])
        return found

    def surface(self, entry: ComparedPair) -> Iterator[Picture]:
        """Both surfaces of a pair, colored by their distance."""
        pair: Pair = entry.pair
        title = f"{pair.kind}: case {pair.case.name}"
        rms = ", ".join(
            f"{self.measured.names[id]} {s.surface.symmetric.rms:.2f} mm"
            for id, s in entry.structures.items() if not s.surface.reason
        )
        first, second = pair.names()
        caption = (
            f"The case with the largest RMS of this comparison. Red: {second} reaches beyond "
            f"{first}; blue: it falls short. RMS: {rms}."
        )
        path = self._path(f"surface-{KINDS.index(pair.kind) + 1}")
        try:
            surface_picture(
                *pair.volumes(self.study), [s.value for s in entry.structures.values()], path,
                pair.names(), 2 * self.measured.settings.limit_mm,
            )
        except ActiveSegLoopError as error:
            yield Picture("surfaces", title, caption, None, str(error))
            return
        yield Picture("surfaces", title, caption, path)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.png"


def _largest_rms(entry: ComparedPair) -> float | None:
    values = [s.surface.symmetric.rms for s in entry.structures.values() if not s.surface.reason]
    return max(values, default=None)


