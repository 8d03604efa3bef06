"""The very first picks: typical and different (TypiClust, Hacohen et al. 2022), without a model."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.clustering import k_means, one_per_group, typicality
from ActiveSegLoopLib.selection.registry import Ranking, strategy

# With very many groups none has anything typical left.
MOST_GROUPS = 500


@strategy("typical_diverse", needs=("images", "labeled"), volumes_first=True)
def typical_diverse(candidates: Candidates) -> Ranking:
    """The most typical of each group of like images: as many groups as are labeled and asked for.

    Groups without anything labeled come first, the largest of them at the top.
    """
    features = candidates.stacked("image")
    have = candidates.labeled
    count = min(int(have.sum()) + candidates.count, MOST_GROUPS, len(features))
    group = k_means(features, count, candidates.seed)
    typical = typicality(features, group)
    sizes = np.bincount(group)
    what = "slices" if candidates.unit == "slice" else "volumes"

    def reason(i: int) -> str:
        if sizes[group[i]] == 1:
            return f"unlike all other {what}"
        return f"typical of {sizes[group[i]]} {what} that look alike"

    return Ranking(one_per_group(group, typical, have), reason)
