"""How long labeling took: by hand against correcting what a model proposed (Kim 2020, Table 2).

Times come from the study's revisions: seconds per label, as the labeling tool measured them. A
revision of whole volumes and one of single slices are different amounts of work and are never
mixed: the first is counted in seconds per case, the second in seconds per slice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.evaluation.overlap import Summary, summarize
from ActiveSegLoopLib.evaluation.statistics import LEAST_PAIRS, expanded_tail
from ActiveSegLoopLib.study.annotation import Annotation
from ActiveSegLoopLib.study.repeats import Repeat
from ActiveSegLoopLib.study.revision import Revision

WHOLE, SLICE = "case", "slice"
MANUAL, CORRECTED = "manual", "corrected"


def active_seconds(times: Sequence[float], idle_limit: float = 60.0) -> float:
    """Seconds of work between edits made at these times (in seconds, in any order).

    A pause longer than idle_limit counts nothing: nobody knows how much of it was work. 0 for
    fewer than two edits. Raises ValueError for times that aren't finite.
    """
    if not all(math.isfinite(time) for time in times):
        raise ValueError("The times of edits must be finite numbers of seconds.")
    ordered = sorted(times)
    gaps = (later - earlier for earlier, later in zip(ordered, ordered[1:]))
    return math.fsum(gap for gap in gaps if gap <= idle_limit)


@dataclass(frozen=True)
class LabelingTime:
    """The time one case took, by label id, for one origin and unit.

    unit: "case" (whole volumes; all such revisions of the case together) or "slice" (mean seconds
    per slice). amount: revisions for "case", annotated slices for "slice".
    """

    case: str
    origin: str
    unit: str
    amount: int
    seconds: Mapping[str, float]

    @property
    def total(self) -> float:
        """Seconds over all labels."""
        return math.fsum(self.seconds.values())


def labeling_times(
    revisions: Sequence[Revision], repeats: Sequence[Repeat] = ()
) -> list[LabelingTime]:
    """What each case took, for manual and for corrected revisions; those without times left out.

    A second labeling of a case is drawn by hand anew, and has a time of its own.
    """
    groups: dict[tuple, list[Revision | Repeat]] = {}
    for revision in revisions:
        if revision.origin in (MANUAL, CORRECTED) and revision.seconds:
            key = revision.case, revision.origin, _unit(revision.annotation)
            groups.setdefault(key, []).append(revision)
    for index, repeat in enumerate(repeats):
        if repeat.seconds:
            groups[repeat.case, MANUAL, _unit(repeat.annotation), index] = [repeat]
    found = []
    for (case, origin, unit, *_), members in groups.items():
        amount = sum(_slices(member.annotation) for member in members)
        if unit == WHOLE or amount:
            found.append(_summed(case, origin, unit, amount or len(members), members))
    return found


def _unit(annotation: Annotation) -> str:
    return WHOLE if annotation.slices is None else SLICE


def _summed(
    case: str, origin: str, unit: str, amount: int, members: Sequence[Revision | Repeat]
) -> LabelingTime:
    labels = dict.fromkeys(label for member in members for label in member.seconds)
    share = amount if unit == SLICE else 1
    seconds = {
        label: math.fsum(member.seconds.get(label, 0.0) for member in members) / share
        for label in labels
    }
    return LabelingTime(case, origin, unit, amount, seconds)


def _slices(annotation: Annotation) -> int:
    return sum(len(indices) for indices in (annotation.slices or {}).values())


@dataclass(frozen=True)
class TimeComparison:
    """Seconds by hand and corrected, over the cases that have such a time.

    ratio: corrected over manual mean, below 1 where correcting is faster; interval: its bootstrap
    interval. NaN where either is missing.
    """

    manual: Summary
    corrected: Summary
    ratio: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class TimeTable:
    """Times per label id; their sum as in Kim's last row; and the cases' own totals.

    labels_summed: the ids with both times, of which `sum` is: both its sums are of these.
    """

    labels: Mapping[str, TimeComparison]
    labels_summed: tuple[str, ...]
    sum: TimeComparison
    total: TimeComparison


def compare_times(
    times: Sequence[LabelingTime], labels: Sequence[str], unit: str = WHOLE, seed: int = 0
) -> TimeTable:
    """Manual against corrected in one unit.

    The two are taken from different cases as a rule, so the comparison isn't paired.
    """
    rows = {}
    for label in labels:
        manual, corrected = (
            [time.seconds[label] for time in _of(times, unit, origin) if label in time.seconds]
            for origin in (MANUAL, CORRECTED)
        )
        rows[label] = _compared(manual, corrected, seed)
    summed = tuple(id for id, row in rows.items() if row.manual.count and row.corrected.count)
    manual, corrected = (
        [time.total for time in _of(times, unit, origin)] for origin in (MANUAL, CORRECTED)
    )
    total = _compared(manual, corrected, seed)
    return TimeTable(rows, summed, _sum([rows[id] for id in summed]), total)


def _sum(rows: Sequence[TimeComparison]) -> TimeComparison:
    summaries = [
        Summary(math.fsum(part.mean for part in parts), math.nan, min(part.count for part in parts))
        if parts
        else summarize([])
        for parts in ([row.manual for row in rows], [row.corrected for row in rows])
    ]
    ratio = _ratio(*(summary.mean for summary in summaries))
    return TimeComparison(*summaries, ratio, (math.nan, math.nan))


def _of(times: Sequence[LabelingTime], unit: str, origin: str) -> list[LabelingTime]:
    return [time for time in times if time.unit == unit and time.origin == origin]


def _compared(
    manual: Sequence[float], corrected: Sequence[float], seed: int
) -> TimeComparison:
    first, second = summarize(manual), summarize(corrected)
    ratio = _ratio(first.mean, second.mean)
    return TimeComparison(first, second, ratio, _ratio_interval(manual, corrected, seed))


def _ratio(manual: float, corrected: float) -> float:
    return corrected / manual if manual > 0 else math.nan


def _ratio_interval(
    manual: Sequence[float], corrected: Sequence[float], seed: int, resamples: int = 2000
) -> tuple[float, float]:
    """The bootstrap interval of the ratio of the means, both groups resampled."""
    fewest = min(len(manual), len(corrected))
    if fewest < LEAST_PAIRS or min(manual) <= 0:
        return math.nan, math.nan
    random = np.random.default_rng(seed)
    means = [
        np.asarray(values)[random.integers(0, len(values), (resamples, len(values)))].mean(axis=1)
        for values in (manual, corrected)
    ]
    tail = expanded_tail(fewest)
    low, high = np.quantile(means[1] / means[0], (tail, 1 - tail))
    return float(low), float(high)
