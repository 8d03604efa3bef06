"""The very first picks: typical and different (TypiClust, Hacohen et al. 2022), without a model."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.clustering import k_means, one_per_group, typicality
from ActiveSegLoopLib.selection.registry import Ranking, strategy

# With very many groups none has anything typical left.
MOST_GROUPS = 500
# Slices nearer to an end of the image than this share of it seldom show what one looks for.
ENDS = 0.1


@strategy("typical_diverse", needs=("images", "labeled"), volumes_first=True)
def typical_diverse(candidates: Candidates) -> Ranking:
    """The most typical of each group of like images: as many groups as are labeled and asked for.

    Groups without anything labeled come first, the largest of them at the top. The slices in the
    outer tenth at either end of a volume come last.
    """
    chosen = np.ones(len(candidates), bool)
    scores = np.zeros(len(candidates))
    if candidates.unit == "slice":
        from_middle = np.abs(candidates.position - 0.5)
        chosen = from_middle < 0.5 - ENDS
        chosen |= ~chosen.any()  # very few slices
        scores = -1e6 - from_middle
    features = candidates.stacked("image")[chosen]
    have = candidates.labeled[chosen]
    count = min(int(have.sum()) + candidates.count, MOST_GROUPS, len(features))
    found = k_means(features, count, candidates.seed)
    scores[chosen] = one_per_group(found, typicality(features, found), have)
    sizes = np.bincount(found)
    like = np.zeros(len(candidates), int)
    like[chosen] = sizes[found]
    what = f"{candidates.unit}s"

    def reason(i: int) -> str:
        if like[i] == 0:
            return f"near the end of the volume, as no other {what} are left"
        if like[i] == 1:
            return f"unlike all other {what}"
        return f"typical of {like[i]} {what} that look alike"

    return Ranking(scores, reason)
