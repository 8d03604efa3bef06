"""A plan for the next hour: which volumes, and how many slices of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.selection.history import main_plane
from ActiveSegLoopLib.selection.pace import MINIMUM_SLICES, Need, Pace, measure_pace, slices_needed
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.coverage import annotated_slices
from ActiveSegLoopLib.study.study import Study
from ActiveSegLoopLib.wording import counted


@dataclass(frozen=True)
class CasePlan:
    """What to label of one case (by name): so many slices, of which so many show each structure.

    structures: by label id; minutes: at the measured pace; reason: why this case.
    """

    case: str
    slices: int
    structures: Mapping[str, float]
    minutes: float
    reason: str


@dataclass(frozen=True)
class BudgetPlan:
    """The cases in the order in which to label them. notes: what doesn't fit or isn't known."""

    minutes: float
    plane: str
    minimum: int
    rows: tuple[CasePlan, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def planned_minutes(self) -> float:
        """Minutes that the rows take together."""
        return math.fsum(row.minutes for row in self.rows)


def plan_budget(
    study: Study,
    minutes: float = 60.0,
    minimum: int = MINIMUM_SLICES,
    deepen: bool = False,
    first: Sequence[str] = (),
    pace: Pace | None = None,
) -> BudgetPlan:
    """Spread a time budget evenly over as many volumes as it allows (Zharov 2022, step 2).

    Every volume gets the fewest slices that show each structure `minimum` times; what time is left
    becomes more slices, one volume after the other. Unlabeled cases of the pool come first, those
    named in `first` ahead of them (proposals), then one of each patient that has no labels; what
    time they leave goes to the labeled ones with the fewest slices, with deepen all of it. pace:
    measured here when left out. Raises SelectionError for a budget that isn't a positive number of
    minutes.
    """
    if not (math.isfinite(minutes) and minutes > 0):
        raise SelectionError(f"A budget needs minutes above 0, not {minutes:g}.")
    plane = main_plane(study)
    pace = pace or measure_pace(study)
    need = slices_needed(study, plane, minimum)
    empty = BudgetPlan(minutes, plane, minimum)
    if not pace.is_measured or math.fsum(pace.structures.values()) <= 0:
        return _noted(
            empty, "No labeling time was measured, so that minutes can't be planned: give the "
            f"seconds with the labels. {_well_chosen(need)}",
        )
    groups = _candidates(study, plane, deepen, first)
    if not groups:
        return _noted(empty, "Every case of the pool is labeled completely: add images.")
    return _spread(empty, groups, pace, need)


def _well_chosen(need: Need) -> str:
    slices = f"{counted(need.slices, 'well-chosen slice')} per volume"
    show = "shows" if need.slices == 1 else "show"
    rare = min(need.hits.values()) < need.minimum
    end = ", or as often as it is there" if rare else ""
    return f"{slices} {show} every structure {counted(need.minimum, 'time')}{end}."


def _spread(
    plan: BudgetPlan, groups: Sequence[Sequence[_Candidate]], pace: Pace, need: Need
) -> BudgetPlan:
    """Each group of cases is planned completely before the next one gets what time is left."""
    usual = float(np.mean(list(pace.structures.values())))
    rates = {id: pace.structures.get(id, usual) / 60 for id in need.hits}

    def row(candidate: _Candidate, number: int) -> CasePlan:
        shown = {id: _shown(need, id, number, candidate) for id in need.hits}
        minutes = math.fsum(rates[id] * count for id, count in shown.items())
        return CasePlan(candidate.name, number, shown, minutes, candidate.reason)

    def most_of(candidate: _Candidate) -> int:
        return min(candidate.free, math.ceil(need.shares[""] * candidate.slices))

    notes = _doubts(pace, need)
    rows: list[CasePlan] = []
    left = plan.minutes
    for candidates in groups:
        most = [most_of(candidate) for candidate in candidates]
        found = _filled(candidates, most, left, need, row)
        rows += found
        left -= math.fsum(r.minutes for r in found)
        if [r.slices for r in found] != most:
            break
    else:
        if left > 0.1 * plan.minutes:
            notes.append(
                f"{left:.0f} minutes are left: these are all the slices there are to label in "
                "these cases."
            )
    if not rows:
        first = groups[0][0]
        slices = min(need.slices, most_of(first))
        notes.append(
            f"A volume with {counted(slices, 'slice')} takes about "
            f"{row(first, slices).minutes:.1f} minutes: {plan.minutes:g} are too few to show every "
            f"structure {counted(need.minimum, 'time')}."
        )
        fewer = [row(first, number + 1) for number in range(slices)]
        fitting = [each for each in fewer if each.minutes <= plan.minutes]
        rows = fitting[-1:]
    return BudgetPlan(plan.minutes, plan.plane, plan.minimum, tuple(rows), tuple(notes))


def _filled(
    candidates: Sequence[_Candidate],
    most: Sequence[int],
    left: float,
    need: Need,
    row: Callable[[_Candidate, int], CasePlan],
) -> list[CasePlan]:
    """As many of the cases as fit into the minutes left, then more slices of them, up to `most`."""
    least = [row(c, min(need.slices, limit)) for c, limit in zip(candidates, most)]
    count = int(np.searchsorted(np.cumsum([r.minutes for r in least]), left + 1e-9))
    rows = least[:count]
    left -= math.fsum(r.minutes for r in rows)
    # Evenly: always the volume with the fewest slices, until the next one takes too long.
    while growing := [i for i in range(count) if rows[i].slices < most[i]]:
        fewest = min(growing, key=lambda i: rows[i].slices)
        larger = row(candidates[fewest], rows[fewest].slices + 1)
        if larger.minutes - rows[fewest].minutes > left:
            break
        left -= larger.minutes - rows[fewest].minutes
        rows[fewest] = larger
    return rows


def _shown(need: Need, id: str, number: int, candidate: _Candidate) -> float:
    """On how many of so many slices a structure lies: well chosen ones first, then others."""
    chosen = need.hits[id] * min(1, number / need.slices)
    others = max(0, number - need.slices) * need.shares[id] / need.shares[""]
    return min(chosen + others, float(number), need.shares[id] * candidate.slices)


def _doubts(pace: Pace, need: Need) -> list[str]:
    notes = []
    absent = [id for id, hits in need.hits.items() if not hits]
    if absent:
        notes.append(
            f"No time is planned for {', '.join(absent)}: looked for, and in no labeled volume."
        )
    if need.unknown:
        notes.append(
            f"No label shows {', '.join(need.unknown)}: planned as if on every slice."
        )
    unknown = [id for id, hits in need.hits.items() if hits and id not in pace.structures]
    if unknown:
        notes.append(f"No time was measured for {', '.join(unknown)}: the others' mean is taken.")
    if pace.revisions < 3:
        notes.append(
            f"The pace comes from {counted(pace.revisions, 'timed label')} only."
        )
    return notes


@dataclass(frozen=True)
class _Candidate:
    """A case, its slices, and how many of them aren't labeled for every structure."""

    name: str
    slices: int
    free: int
    labeled: int
    reason: str


def _candidates(
    study: Study, plane: str, deepen: bool, first: Sequence[str]
) -> list[list[_Candidate]]:
    """The unlabeled cases unless deepen, then the partly labeled ones; no empty group."""
    pool = study.cases("pool")
    newest = {case.name: study.latest(case) for case in pool}
    fresh = [] if deepen else [case for case in pool if newest[case.name] is None]
    labeled_groups = {case.group for case in pool if newest[case.name]}
    found = []
    for case in pool:
        if newest[case.name] is None:
            continue
        covered = annotated_slices(
            newest[case.name].annotations, case.geometry, plane, study.schema
        ).all(axis=1)
        done = int(covered.sum())
        if done < len(covered):
            reason = f"{done} of {len(covered)} slices are labeled"
            found.append(
                _Candidate(case.name, len(covered), len(covered) - done, done, reason)
            )
    partly = sorted(found, key=lambda candidate: candidate.labeled)
    return [group for group in (_fresh(fresh, labeled_groups, plane, first), partly) if group]


def _fresh(
    cases: Sequence[Case], labeled_groups: set[str], plane: str, first: Sequence[str]
) -> list[_Candidate]:
    """Proposed cases, then those of new patients, then further ones of the same patients."""
    order = {name: rank for rank, name in enumerate(first)}
    seen = set(labeled_groups)
    ranked = []
    for case in sorted(cases, key=lambda case: order.get(case.name, len(order))):
        is_new = case.group not in seen
        seen.add(case.group)
        proposed = case.name in order
        reason = (
            "proposed" if proposed
            else "another patient" if is_new else "more of a patient"
        )
        rank = order[case.name] if proposed else len(order) + (not is_new)
        slices = case.geometry.shape[case.geometry.axis_of(plane)]
        ranked.append((rank, _Candidate(case.name, slices, slices, 0, reason)))
    return [candidate for _, candidate in sorted(ranked, key=lambda pair: pair[0])]


def _noted(plan: BudgetPlan, note: str) -> BudgetPlan:
    return BudgetPlan(plan.minutes, plan.plane, plan.minimum, (), (note,))
