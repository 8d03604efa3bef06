"""Core-set (Sener and Savarese 2018): what is least like anything labeled."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.clustering import squared_distances, standardized
from ActiveSegLoopLib.selection.registry import Ranking, strategy


@strategy("core_set", needs=("features", "labeled"), sequential=True)
def core_set(candidates: Candidates) -> Ranking:
    """The farthest, in the network's features, from all that is labeled or picked (k-center).

    The first one, with nothing labeled, is the most ordinary. Slices in which the model sees no
    structure come last: their features are those of the background.
    """
    features = standardized(candidates.stacked("features"))
    have = candidates.labeled.copy()
    have[candidates.picked] = True
    if have.any():
        nearest = np.full(len(candidates), np.inf)
        for part in np.array_split(np.flatnonzero(have), 1 + int(have.sum()) // 256):
            nearest = np.minimum(
                nearest, squared_distances(features, features[part]).min(axis=1)
            )
        scores, reason = np.sqrt(nearest), "least like anything labeled so far"
    else:
        scores = -np.sqrt((features**2).sum(axis=1))
        reason = "the most ordinary, to begin with"
    seen = candidates.foreground.any(axis=1)
    if candidates.unit == "slice" and (seen & candidates.open).any():
        scores = np.where(seen, scores, scores - 2 * np.abs(scores).max() - 1)
    return Ranking(scores, reason)
