"""Rules that say when more of the same labels isn't worth it; all ask for it twice running."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.selection.saturation import fit_saturation

SMALL_GAIN = 0.005  # half a Dice point
SIGMA = 0.005  # Zhang 2020


@dataclass(frozen=True)
class StopRule:
    """What a rule says. fires: None where there is too little to tell; text: why, with its numbers.

    values: what it looked at, the newest last.
    """

    name: str
    fires: bool | None
    values: tuple[float, ...]
    text: str


def gain_rule(
    x: Sequence[float], y: Sequence[float], k: float, thing: str = "volume", seed: int = 0
) -> StopRule:
    """Whether the gain of the next k was predicted to be under half a Dice point twice running.

    x: budget and y: Dice of the rounds, in their order. The saturation is fitted to all rounds, and
    to all but the last as it was seen then (Zharov 2022, step 3 of the procedure).
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    fits = [fit_saturation(x[:end], y[:end], seed, resamples=0) for end in (len(x) - 1, len(x))]
    gains = tuple(fit.gain(k) for fit in fits)
    step = f"{k:g} {thing}{'s' * (k != 1)}"
    if math.isnan(gains[1]):
        return StopRule("gain", None, (), f"No gain can be predicted yet. {fits[1].note}")
    are = "is" if k == 1 else "are"
    said = f"the next {step} {are} expected to bring {100 * gains[1]:+.1f} Dice points"
    if gains[1] >= SMALL_GAIN:
        return StopRule("gain", False, gains, f"The gain rule says go on: {said}.")
    if math.isnan(gains[0]):
        return StopRule(
            "gain", None, gains[1:],
            f"The gain rule has fired once: {said}, under {100 * SMALL_GAIN:.1f}; one more round "
            "tells whether that was chance.",
        )
    if gains[0] >= SMALL_GAIN:
        return StopRule(
            "gain", False, gains,
            f"The gain rule has fired once: {said}, a round before it was "
            f"{100 * gains[0]:+.1f}; it counts when it fires twice running.",
        )
    return StopRule(
        "gain", True, gains,
        f"The gain rule says stop: {said}, a round before it was {100 * gains[0]:+.1f}; both are "
        f"under {100 * SMALL_GAIN:.1f}.",
    )


def sigma_rule(means: Sequence[float], sigma: float = SIGMA, plane: str = "") -> StopRule:
    """Whether the mean P-score changed by less than sigma twice running (Zhang 2020, 2.3).

    means: of the rounds in their order, all of the same plane; NaN where a round has none, which
    ends what is running: only the rounds since then count, and none where it is the newest. The
    paper stops at the first such change, which noise brings about as well.
    """
    known: list[float] = []
    for mean in means:
        known = [*known, float(mean)] if math.isfinite(mean) else []
    changes = tuple(abs(b - a) for a, b in zip(known, known[1:]))[-2:]
    if not changes:
        return StopRule(
            "sigma", None, (),
            f"The sigma rule needs the P-scores of the newest 3 rounds and has {len(known)}.",
        )
    said = " and then ".join(f"{change:.4f}" for change in changes)
    of = f" of {plane} slices" if plane else ""
    said = f"the mean P-score{of} changed by {said} (sigma is {sigma:g})"
    if changes[-1] >= sigma:
        return StopRule("sigma", False, changes, f"The sigma rule says go on: {said}.")
    if len(changes) < 2:
        return StopRule("sigma", None, changes, f"The sigma rule has fired once: {said}.")
    if changes[0] >= sigma:
        return StopRule("sigma", False, changes, f"The sigma rule has fired once only: {said}.")
    return StopRule("sigma", True, changes, f"The sigma rule says stop: {said}.")
