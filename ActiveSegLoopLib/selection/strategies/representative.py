"""The default candidate for volumes: badly segmented ones of each kind."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.clustering import (
    k_means,
    one_per_group,
    ranks,
    standardized,
    typicality,
)
from ActiveSegLoopLib.selection.registry import Ranking, strategy
from ActiveSegLoopLib.selection.wording import not_learned


@strategy(
    "representative", units=("volume",), needs=("features", "error", "labeled"), measure="error"
)
def representative(candidates: Candidates) -> Ranking:
    """From each group of volumes that are alike to the network, one that is typical and uncertain.

    As many groups as are labeled and asked for; those without a labeled volume first, the largest
    at the top. Within a group by the rank of the expected error (1 - the Dice that the model's
    probabilities let expect, in which size doesn't count) plus the rank of the typicality: an
    outlier, which is uncertain too, teaches little about the others.
    """
    features = standardized(candidates.stacked("features"))
    have = candidates.labeled
    group = k_means(features, int(have.sum()) + candidates.count, candidates.seed)
    error, told = candidates.measure("error"), candidates.expected_error()
    worth = ranks(error) + ranks(typicality(features, group))
    sizes = np.bincount(group)
    unknown = not_learned(candidates, "error", candidates.focus)

    def reason(i: int) -> str:
        expected = unknown or f"Dice of {1 - told[i]:.2f} expected"
        others = int(sizes[group[i]]) - 1
        if not others:
            return f"unlike all other volumes, {expected}"
        return f"stands for {others} other volume{'s' * (others > 1)} like it, {expected}"

    return Ranking(one_per_group(group, worth, have), reason)
