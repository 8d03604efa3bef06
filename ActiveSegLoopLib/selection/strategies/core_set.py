"""Core-set (Sener and Savarese 2018): what is least like anything labeled."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.clustering import squared_distances, standardized
from ActiveSegLoopLib.selection.registry import Ranking, strategy

_AT_ONCE = 256  # labeled items compared with all others at a time, for memory's sake


@strategy("core_set", needs=("features", "labeled"), sequential=True)
def core_set(candidates: Candidates) -> Ranking:
    """The farthest, in the network's features, from all that is labeled or picked (k-center).

    The first one, with nothing labeled, is the most ordinary. Slices in which the model sees no
    structure (in focus) come last: their features are those of the background.
    """
    nearest = _nearest(candidates)
    if np.isfinite(nearest).all():
        scores, reason = np.sqrt(nearest), "least like anything labeled so far"
    else:
        features = standardized(candidates.stacked("features"))
        scores = -np.sqrt((features**2).sum(axis=1))
        reason = "the most ordinary, to begin with"
    seen = candidates.seen
    if candidates.unit == "slice" and (seen & candidates.open).any():
        scores = np.where(seen, scores, scores - 2 * np.abs(scores).max() - 1)
    return Ranking(scores, reason)


def _nearest(candidates: Candidates) -> np.ndarray:
    """Squared distance of each candidate to the nearest labeled or picked one; inf without any."""
    if candidates.focus not in candidates.memo:
        features = standardized(candidates.stacked("features"))
        nearest = np.full(len(candidates), np.inf)
        candidates.memo[candidates.focus] = (features, nearest, 0)
        _bring_near(nearest, features, np.flatnonzero(candidates.labeled))
    features, nearest, done = candidates.memo[candidates.focus]
    _bring_near(nearest, features, np.array(candidates.picked[done:], int))
    candidates.memo[candidates.focus] = (features, nearest, len(candidates.picked))
    return nearest


def _bring_near(nearest: np.ndarray, features: np.ndarray, numbers: np.ndarray) -> None:
    for part in np.array_split(numbers, 1 + len(numbers) // _AT_ONCE):
        if len(part):
            away = squared_distances(features, features[part]).min(axis=1)
            np.minimum(nearest, away, out=nearest)
