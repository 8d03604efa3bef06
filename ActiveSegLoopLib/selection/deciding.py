"""From the numbers to the next step, and the reason for it in words."""

from __future__ import annotations

import math

from ActiveSegLoopLib.selection.measured import SLICES, VOLUMES, Measured
from ActiveSegLoopLib.selection.quality import GOOD_IOU
from ActiveSegLoopLib.selection.stopping import SMALL_GAIN
from ActiveSegLoopLib.wording import counted

# So many rounds of each kind, before their gains are compared.
_FEWEST_STEPS = 2
_USELESS_DICE = 0.01


def decide(measured: Measured) -> tuple[str, str]:
    """The next step ("add", "label", "train", ... as in Advice) and the reason."""
    return (
        _without_labels(measured)
        or _poor_labels(measured)
        or _before_a_curve(measured)
        or _untrained_labels(measured)
        or _by_the_curve(measured)
    )


def _without_labels(measured: Measured) -> tuple[str, str] | None:
    pool = measured.pool
    if pool.cases == 0:
        return "add", "The study has no cases in its pool: add images first."
    if pool.labeled == 0:
        return "label", (
            "Nothing is labeled yet: label some slices of several different volumes first, as "
            "carefully as you can, then train early."
        )
    return None


def _before_a_curve(measured: Measured) -> tuple[str, str] | None:
    pool = measured.pool
    if not measured.curve.points:
        reason = "No round is trained yet: train now, and see where the model is wrong."
        if pool.labeled == 1:
            reason = (
                "One volume is labeled and no round is trained yet: train now to see where the "
                "model is wrong, but its Dice can be measured only on a second patient."
            )
        return "train", reason
    known = measured.curve.known
    if not known:
        if pool.cases == 1:
            return "add", (
                "The study has a single case: how good a model is can be measured only on others, "
                "so add images of more patients."
            )
        if measured.untrained.can_validate:
            return "train", (
                "No round has a Dice yet, but there are labels to measure it on now: train again."
            )
        return "validate", (
            "No round has a Dice, so nothing can be told: label cases of the role validation, or "
            "at least five patients of the pool, and train again."
        )
    if max(point.dice for point in known) < _USELESS_DICE:
        return "quality", (
            f"The Dice is {known[-1].dice:.3f}: the model finds nothing. Look whether the labels "
            "lie on the right images before you label more."
        )
    return None


def _poor_labels(measured: Measured) -> tuple[str, str] | None:
    quality = measured.quality
    if quality.is_good is not False:
        return None
    worst = quality.worst
    return "quality", (
        f"Labeled twice, the same slices agree to {quality.overall.iou:.0%} IoU only, under "
        f"{GOOD_IOU:.0%}; least of all '{measured.names.get(worst, worst)}' "
        f"({quality.structures[worst].iou:.0%}). More careful labels come before more labels."
    )


def _untrained_labels(measured: Measured) -> tuple[str, str] | None:
    """Train first, where a usual step of labels or all that can be labeled waits for it."""
    since, pool = measured.untrained, measured.pool
    if not since.cases:
        return None
    told = new_labels(measured)
    if any(getattr(since, unit) >= step for unit, step in measured.usual.items()):
        return "train", (
            f"{told}, as much as usually comes with a round: train before you label more."
        )
    if pool.complete == pool.cases:
        return "train", f"{told}, and nothing is left to label: train to see what that brings."
    if _fell(measured):
        return "train", f"The Dice fell, but {told}: train to see if it helps."
    return None


def new_labels(measured: Measured) -> str:
    """What came since the newest round: "2 new volumes (8 slices) were labeled since round 4"."""
    since = measured.untrained
    slices = counted(since.slices, "slice")
    if since.volumes:
        things, count = f"new volume{'s' * (since.volumes != 1)} ({slices})", since.volumes
    elif since.slices:
        things, count = f"more slice{'s' * (since.slices != 1)}", since.slices
    else:
        things, count = f"labeled volume{'s' * (since.cases != 1)}", since.cases
    done = "labeled" if since.slices else "changed"
    return (
        f"{count} {things} {'was' if count == 1 else 'were'} {done} since round "
        f"{measured.curve.points[-1].round}"
    )


def _by_the_curve(measured: Measured) -> tuple[str, str]:
    pool, unit = measured.pool, measured.unit
    more_volumes, more_slices = pool.labeled < pool.cases, pool.complete < pool.labeled
    fires = measured.rules[0].fires
    if _fell(measured) and measured.quality.is_good is None:
        return "quality", (
            f"The Dice fell as {unit} were added, from {measured.curve.known[0].dice:.3f} to "
            f"{measured.curve.known[-1].dice:.3f}: look whether the newest labels are right, and "
            "label some slices a second time, before you add more."
        )
    if not (more_volumes or more_slices):
        if fires:
            return "stop", f"Everything is labeled and the Dice {_level(measured)}: stop here."
        return "add", "Everything in the pool is labeled: add images of more patients, or stop."
    if fires and _same_for_the_other(measured):
        return "stop", (
            "Neither more volumes nor more slices are expected to bring half a Dice point: stop "
            "labeling, unless single structures are still too poor."
        )
    saturated = {unit} if fires else set()
    choice, reason = _preferred(measured, saturated)
    if choice == VOLUMES and not more_volumes:
        if saturated:
            return "add", (
                f"With more slices the Dice {_level(measured)}, and all {pool.cases} volumes have "
                "labels: add images of more patients, or stop here."
            )
        return SLICES, f"All {pool.cases} volumes have labels, so only more slices can be added."
    if choice == SLICES and not more_slices:
        if saturated:
            return "stop", (
                f"With more {unit} the Dice {_level(measured)}, and the labeled volumes are "
                "labeled completely: stop here, or look at other kinds of patients."
            )
        return VOLUMES, "All labeled volumes are labeled completely, so volumes are next."
    return choice, reason


def _same_for_the_other(measured: Measured) -> bool:
    """Whether what was measured of the other kind of labels says stop as well."""
    other = SLICES if measured.unit == VOLUMES else VOLUMES
    gain = measured.gains[other]
    return gain.steps >= _FEWEST_STEPS and gain.dice / gain.steps < SMALL_GAIN


def _preferred(measured: Measured, saturated: set[str]) -> tuple[str, str]:
    """Volumes or slices, as if both were to be had."""
    if saturated:
        other = SLICES if VOLUMES in saturated else VOLUMES
        return other, (
            f"With more {measured.unit} the Dice {_level(measured)} (the rule fired twice "
            f"running): more {other} are next."
        )
    rates = {unit: gain.per_hour for unit, gain in measured.gains.items()}
    steps = {unit: gain.steps for unit, gain in measured.gains.items()}
    if min(steps.values()) >= _FEWEST_STEPS and not any(map(math.isnan, rates.values())):
        best = max((VOLUMES, SLICES), key=rates.get)
        worse = SLICES if best == VOLUMES else VOLUMES
        return best, (
            f"In this study {best} brought {100 * rates[best]:.1f} Dice points per hour of "
            f"labeling ({steps[best]} rounds), {worse} {100 * rates[worse]:.1f} "
            f"({steps[worse]} rounds)."
        )
    fit = measured.fit
    if fit is None or math.isnan(fit.c):
        rounds = len(measured.curve.known)
        return VOLUMES, (
            f"This study has {counted(rounds, 'round')} with a Dice, too few to tell what "
            "helps most; elsewhere different volumes helped more than more slices of the same "
            "(Zharov 2022)."
        )
    gain, more = fit.gain(measured.step), _step(measured)
    points = f"{100 * gain:+.1f} Dice points".replace("-0.0", "+0.0")
    if measured.unit == SLICES and steps[VOLUMES] == 0:
        return VOLUMES, (
            f"{points} are expected of {more} in the volumes labeled so far; what more volumes "
            "bring wasn't tried in this study, and elsewhere they helped more (Zharov 2022)."
        )
    if gain < SMALL_GAIN:
        return measured.unit, (
            f"Little is expected of {more} ({points}); one more round will tell."
        )
    return measured.unit, f"The Dice hasn't saturated: {points} are expected of {more}."


def _step(measured: Measured) -> str:
    """The next labels in words: "1 more volume", "8 more slices"."""
    return f"{measured.step} more {measured.unit[:-1] if measured.step == 1 else measured.unit}"


def _fell(measured: Measured) -> bool:
    """Whether the fit falls, by more than a small gain and than the rounds scatter around it."""
    fit = measured.fit
    if fit is None or math.isnan(fit.c):
        return False
    return fit.y0 - fit.predict(fit.last) > max(SMALL_GAIN, 2 * fit.noise)


def _level(measured: Measured) -> str:
    """What a Dice does that the gain rule expects nothing more of."""
    return "fell" if _fell(measured) else "has saturated"
