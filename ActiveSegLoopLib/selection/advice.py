"""What to spend the next hour on, told from what this study has measured so far.

The order of what to look at is Zharov's (2022): quality of the labels to 90 % IoU, then more
volumes until the Dice saturates, then more slices. It is only where to begin: what this study
measured decides, and where it is too little, the advice says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.selection.between_slices import measured_on
from ActiveSegLoopLib.selection.budget import BudgetPlan, plan_budget
from ActiveSegLoopLib.selection.deciding import decide
from ActiveSegLoopLib.selection.history import (
    LearningCurve,
    RoundPoint,
    is_complete,
    learning_curve,
    main_plane,
    untrained,
)
from ActiveSegLoopLib.selection.measured import (
    SLICES,
    UNITS,
    VOLUMES,
    Measured,
    MeasuredGain,
    PoolState,
    Target,
)
from ActiveSegLoopLib.selection.pace import Pace, measure_pace
from ActiveSegLoopLib.selection.plain import plain
from ActiveSegLoopLib.selection.quality import label_quality
from ActiveSegLoopLib.selection.saturation import Saturation, fit_saturation
from ActiveSegLoopLib.selection.stopping import StopRule, gain_rule, sigma_rule
from ActiveSegLoopLib.study.study import Study


@dataclass(frozen=True)
class Advice:
    """next: "add", "label", "train", "validate", "quality", "volumes", "slices" or "stop".

    reason: why, in words; measured: the numbers; plan: how to spend the budget.
    """

    next: str
    reason: str
    measured: Measured
    plan: BudgetPlan

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None for NaN and for infinite ones."""
        return plain({"next": self.next, "reason": self.reason, "plan": self.plan,
                      "measured": self.measured})


def advise(
    study: Study,
    target: float | None = None,
    minutes: float = 60.0,
    step: int | None = None,
    seed: int = 0,
) -> Advice:
    """Advise by the study's labels, rounds and times; changes nothing.

    target: a mean Dice (0 to 1) to reach; minutes: the budget to plan; step: how many volumes or
    slices "the next labels" are, by default as many as came with a round so far. Raises
    SelectionError for a target or a budget that can't be.
    """
    if target is not None:
        _require_dice(target)
    curve = learning_curve(study)
    unit = _growing(curve)
    known = curve.known
    usual = {each: _usual_step(curve.points, each) for each in UNITS}
    step = step or _usual_step(known, unit)
    since = untrained(study)
    fits = {
        each: fit_saturation([getattr(p, each) for p in known], [p.dice for p in known], seed)
        for each in UNITS
        if known
    }
    pace = measure_pace(study)
    rules = (
        gain_rule(
            [getattr(p, unit) for p in known], [p.dice for p in known], step, unit[:-1], seed
        ),
        _sigma_rule(curve),
    )
    measured = Measured(
        pool=_pool_state(study),
        curve=curve,
        unit=unit,
        step=step,
        fits=fits,
        gains=_measured_gains(known),
        rules=rules,
        quality=label_quality(study, seed),
        gaps=tuple(measured_on(study, main_plane(study))),
        pace=pace,
        target=None if target is None else _target(
            target, curve, fits.get(unit), unit, getattr(since, unit), pace
        ),
        untrained=since,
        usual=usual,
        names={label.id: label.name for label in study.schema.labels},
    )
    choice, reason = decide(measured)
    return Advice(choice, reason, measured, plan_budget(
        study, minutes, deepen=choice == SLICES, first=_proposed(study), pace=pace
    ))


def _proposed(study: Study) -> list[str]:
    """Cases that are proposed as whole volumes and still open, the first one first."""
    return [item.case for item in study.proposals("open") if item.unit == "volume"]


def _pool_state(study: Study) -> PoolState:
    newest = [study.latest(case) for case in study.cases("pool")]
    labeled = [revision for revision in newest if revision is not None]
    return PoolState(
        len(newest), len(labeled), sum(is_complete(revision, study) for revision in labeled)
    )


def _sigma_rule(curve: LearningCurve) -> StopRule:
    """Of the plane whose P-scores were noted last: those of other planes don't compare."""
    planes = [plane for point in curve.points for plane in point.p_scores]
    plane = planes[-1] if planes else ""
    means = [point.p_scores.get(plane, math.nan) for point in curve.points]
    return sigma_rule(means, plane=plane)


def _growing(curve: LearningCurve) -> str:
    """Slices where the volumes stayed the same while slices were added, else volumes."""
    steps = list(zip(curve.points, curve.points[1:]))
    volumes = sum(b.volumes > a.volumes for a, b in steps)
    slices = sum(b.slices > a.slices and b.volumes == a.volumes for a, b in steps)
    return SLICES if slices > volumes else VOLUMES


def _usual_step(points: tuple[RoundPoint, ...], unit: str) -> int:
    """By how many the rounds grew; where they didn't, how many the first one had."""
    counts = [getattr(point, unit) for point in points]
    grown = [b - a for a, b in zip(counts, counts[1:]) if b > a] or counts[:1] or [1]
    return max(1, round(float(np.median(grown))))


def _measured_gains(known: tuple[RoundPoint, ...]) -> dict[str, MeasuredGain]:
    gains = dict.fromkeys(UNITS, MeasuredGain())
    for before, after in zip(known, known[1:]):
        if after.volumes > before.volumes:
            # More slices in each volume as well: whose gain it is can't be told.
            if after.slices / after.volumes > 1.1 * before.slices / before.volumes:
                continue
            kind = VOLUMES
        elif after.volumes == before.volumes and after.slices > before.slices:
            kind = SLICES
        else:
            continue
        old = gains[kind]
        spent = after.minutes - before.minutes
        gains[kind] = MeasuredGain(
            old.steps + 1, old.dice + after.dice - before.dice,
            (old.minutes if old.steps else 0.0) + (spent if spent > 0 else math.nan),
        )
    return gains


def _target(
    dice: float,
    curve: LearningCurve,
    fit: Saturation | None,
    unit: str,
    since: int,
    pace: Pace,
) -> Target:
    """since: how many units were labeled since the newest round."""
    if curve.known and curve.known[-1].dice >= dice:
        return Target(dice, 0.0, (0.0, 0.0), 0.0, (0.0, 0.0), is_reached=True)
    if fit is None:
        nan = (math.nan, math.nan)
        return Target(dice, math.nan, nan, math.nan, nan)
    labeled = max(fit.last, getattr(curve.points[-1], unit) + since)
    ahead = np.array([fit.reach(dice), *fit.reach_interval(dice)]) - labeled  # NaN stays NaN
    # Labels come whole. Where none was made since the newest round, whose Dice isn't enough, it
    # takes one at least.
    units, low, high = np.maximum(0.0 if since else 1.0, np.ceil(ahead)).tolist()
    each = (pace.per_volume if unit == VOLUMES else pace.per_slice) / 60
    return Target(
        dice, units, (low, high), units * each, (low * each, high * each), untrained=since
    )


def _require_dice(target: float) -> None:
    if not 0 < target <= 1:
        raise SelectionError(
            f"A target is a mean Dice above 0 and up to 1, such as 0.85, not {target:g}."
        )
