"""Advice in plain short sentences, with its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ActiveSegLoopLib.jobs.wording import duration
from ActiveSegLoopLib.selection.advice import Advice
from ActiveSegLoopLib.selection.between_slices import largest_good_gap
from ActiveSegLoopLib.selection.budget import BudgetPlan
from ActiveSegLoopLib.selection.deciding import new_labels
from ActiveSegLoopLib.selection.measured import UNITS, Measured, Target
from ActiveSegLoopLib.selection.quality import FEWEST_SLICES, GOOD_IOU
from ActiveSegLoopLib.selection.saturation import FEWEST_POINTS, Saturation
from ActiveSegLoopLib.wording import counted

NEXT = {
    "add": "add images",
    "label": "label the first slices",
    "train": "train",
    "validate": "label cases to validate on",
    "quality": "better labels",
    "volumes": "more volumes",
    "slices": "more slices of the labeled volumes",
    "stop": "stop labeling",
}


def sentences(advice: Advice) -> list[str]:
    """What a person should read, the advice first, one line each."""
    measured = advice.measured
    lines = [f"Next: {NEXT[advice.next]}. {advice.reason}"]
    if measured.curve.points:
        lines += _curve(measured)
        if measured.untrained.cases and advice.next != "train":  # whose reason says so
            lines.append(f"{new_labels(measured)}.")
        lines += _expected(measured)
        lines += [rule.text for rule in measured.rules if rule.fires is not None or rule.values]
        lines += [*_conflict(advice), *_gains(measured)]
    if measured.pool.labeled:
        lines += [_quality(measured), *_interpolation(measured)]
    if measured.target is not None:
        lines.append(_target(measured.target, measured))
    if measured.pool.labeled and advice.next in ("train", "validate", *UNITS):
        lines += _plan(advice.plan, measured)
    return [*lines, *measured.curve.notes]


def _curve(measured: Measured) -> Iterator[str]:
    curve = measured.curve
    where = f" on {counted(curve.cases, 'case')}" if curve.cases else ""
    yield f"Measured so far (preset {curve.preset}, mean Dice{where}):"
    for point in curve.points:
        dice = f"{point.dice:.3f}" if point.has_dice else "no Dice"
        time = f", {duration(60 * point.minutes)} of labeling" if point.timed else ""
        if 0 < point.timed < point.volumes:
            time += f" ({point.timed} of {point.volumes} timed)"
        yield (
            f"  round {point.round}: {dice} with {counted(point.volumes, 'volume')}, "
            f"{counted(point.slices, 'slice')}{time}"
        )


def _expected(measured: Measured) -> Iterator[str]:
    fit = measured.fit
    if fit is None:
        return
    if not math.isnan(fit.c):
        yield _plateau(fit, measured.unit)
        dice, (low, high) = fit.predict(fit.last + measured.step), fit.predict_interval(
            fit.last + measured.step
        )
        things = counted(measured.step, measured.unit[:-1])
        between = "" if math.isnan(low) else f" (95 % interval {low:.3f} to {high:.3f})"
        than = " than the rounds had" if measured.untrained.cases else ""
        yield f"With {things} more{than} the Dice is expected to be {dice:.3f}{between}."
    if fit.note:
        yield fit.note


def _plateau(fit: Saturation, unit: str) -> str:
    if not fit.is_rising:
        return f"Fitted to {counted(fit.count, 'round')}: no rise with more {unit}."
    low, high = fit.interval
    return (
        f"Fitted to {counted(fit.count, 'round')}: with more {unit} the Dice goes towards "
        f"{fit.c:.3f} (95 % interval {low:.3f} to {high:.3f})."
    )


def _conflict(advice: Advice) -> Iterator[str]:
    sigma = advice.measured.rules[1]
    if sigma.fires and advice.next in ("add", *UNITS):
        yield (
            f"That is against the advice, {NEXT[advice.next]}: the sigma rule sees only how far "
            "the model agrees with itself. The advice goes by the measured Dice, which counts more."
        )


def _gains(measured: Measured) -> Iterator[str]:
    for unit in UNITS:
        gain = measured.gains[unit]
        if gain.steps:
            hour = "" if math.isnan(gain.per_hour) else (
                f", {100 * gain.per_hour:+.1f} points per hour of labeling"
            )
            yield (
                f"Adding only {unit} brought {100 * gain.dice:+.1f} Dice points in "
                f"{counted(gain.steps, 'round')}{hour}."
            )


def _quality(measured: Measured) -> str:
    quality = measured.quality
    count = quality.overall.slices
    if not quality.is_measured:
        so_far = f"only {counted(count, 'slice')} labeled twice" if count else "not measured"
        return (
            f"Label quality: {so_far}. Label {FEWEST_SLICES} or more slices a second time without "
            f"looking at the first labels (label --repeat); {GOOD_IOU:.0%} IoU is the mark."
        )
    low, high = quality.overall.interval
    each = ", ".join(
        f"{measured.names.get(id, id)} {pooled.iou:.0%}"
        for id, pooled in quality.structures.items()
        if pooled.slices
    )
    verdict = "at or above" if quality.is_good else "under"
    sure = "" if low > GOOD_IOU or high < GOOD_IOU else " (too few to be sure)"
    return (
        f"Label quality: {counted(count, 'slice')} labeled twice agree to "
        f"{quality.overall.iou:.0%} IoU (95 % interval {low:.0%} to {high:.0%}; {each}), "
        f"{verdict} the mark of {GOOD_IOU:.0%}{sure}."
    )


def _interpolation(measured: Measured) -> Iterator[str]:
    if not measured.gaps:
        return
    best = largest_good_gap(measured.gaps)
    told = "; ".join(
        f"{gap.gap_mm:.1f} mm apart {gap.measured.iou:.0%} "
        f"({counted(gap.measured.slices, 'slice')})"
        for gap in measured.gaps
    )
    if best is None:
        smallest = measured.gaps[0]
        too_few = smallest.measured.slices < FEWEST_SLICES
        why = "too few slices to tell" if too_few else "that would do harm"
        yield (
            f"Don't interpolate between slices: slices left out were found again with an IoU of "
            f"{told}; {why}."
        )
    else:
        yield (
            f"Interpolating between slices up to {best.gap_mm:.1f} mm apart is as good as a label: "
            f"slices left out were found again with an IoU of {told}. The command fill "
            "does it."
        )


def _target(target: Target, measured: Measured) -> str:
    goal = f"a Dice of {target.dice:g}"
    if target.is_reached:
        return f"{goal[0].upper()}{goal[1:]} is reached already."
    enough = ""
    if target.untrained:
        enough = f"the labels made since round {measured.curve.points[-1].round} are enough"
    if enough and target.units == 0:
        return f"By the fit {enough} for {goal}: train to see."
    if math.isnan(target.units):
        return f"How far {goal} is away can't be told yet: {_too_few(measured)}."
    low, high = target.interval
    if math.isinf(target.units):
        chance = ""
        if math.isfinite(low):
            takes = enough if enough and low == 0 else f"it takes {_many(low, measured.unit)}"
            chance = f"; at the best end of the interval {takes}"
        return f"By the fit {goal} isn't reached with more {measured.unit}{chance}."
    most = "never" if math.isinf(high) else f"{high:.0f}"
    text = (
        f"To {goal} it takes about {_many(target.units, measured.unit)} "
        f"(95 % interval {low:.0f} to {most})"
    )
    if enough:
        text += f" besides those labeled since round {measured.curve.points[-1].round}"
    if math.isnan(target.minutes):
        return f"{text}; no labeling time was measured to turn that into minutes."
    least, longest = target.minutes_interval
    end = "never" if math.isinf(longest) else duration(60 * longest)
    return (
        f"{text}, about {duration(60 * target.minutes)} of labeling at the measured pace "
        f"({duration(60 * least)} to {end})."
    )


def _too_few(measured: Measured) -> str:
    rounds = len(measured.curve.known)
    if rounds >= FEWEST_POINTS:
        return f"too few rounds with different numbers of {measured.unit}"
    return f"too few rounds with a Dice ({rounds} of at least {FEWEST_POINTS})"


def _many(units: float, unit: str) -> str:
    return f"{counted(int(units), unit[:-1])} more"


def _plan(plan: BudgetPlan, measured: Measured) -> Iterator[str]:
    if plan.rows:
        yield (
            f"A plan for {duration(60 * plan.minutes)} ({plan.plane} slices, each structure on at "
            f"least {plan.minimum} where there are so many):"
        )
        for row in plan.rows:
            shown = ", ".join(
                f"{measured.names.get(id, id)} on {number:.0f}"
                for id, number in row.structures.items()
            )
            yield (
                f"  {row.case}: {counted(row.slices, 'slice')} ({shown}), about "
                f"{duration(60 * row.minutes)}; {row.reason}"
            )
        yield f"  together about {duration(60 * plan.planned_minutes)}"
    yield from plan.notes
