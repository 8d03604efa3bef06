"""Every n-th slice: a baseline that needs nothing."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.registry import Ranking, strategy


@strategy("equal_interval", units=("slice",))
def equal_interval(candidates: Candidates) -> Ranking:
    """Slices at equal intervals through all that may be proposed, volume after volume.

    As many as are asked for, from a start that the seed decides; with as many slices per volume
    as Zhang 2020 takes it is their "every 32nd slice". Of two as near to a wanted place the lower.
    """
    places = np.cumsum(candidates.open) - 1.0
    total = int(candidates.open.sum())
    if total == 0:
        return Ranking(np.zeros(len(candidates)), "")
    interval = max(1.0, total / candidates.count)
    key = [candidates.seed, candidates.round_index]
    start = np.random.default_rng(key).random() * interval
    wanted = np.floor(start + interval * np.arange(candidates.count))
    wanted = wanted[wanted < total]
    away = np.abs(places[:, None] - wanted[None]).min(axis=1)
    which = "every slice" if interval == 1 else f"one slice in {interval:.3g}"
    return Ranking(-away, f"{which} of what is left")
