"""Baselines that leave it to chance, among all or only where the model sees a structure."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.registry import Ranking, strategy


@strategy("random")
def random(candidates: Candidates) -> Ranking:
    """Any candidate, each with the same probability."""
    return Ranking(candidates.uniform("random"), "drawn at random")


@strategy("random_foreground", needs=("foreground",), optional=True)
def random_foreground(candidates: Candidates) -> Ranking:
    """Any candidate in which the model sees a structure (in focus): the baseline that counts.

    Without a model, or when it sees nothing anywhere, any candidate.
    """
    chance = candidates.uniform("random")
    if not candidates.has_foreground:
        return Ranking(chance, "drawn at random, without a model that tells where structures are")
    voxels = candidates.foreground
    column = slice(None) if candidates.focus is None else [candidates.focus]
    seen = voxels[:, column].any(axis=1)
    if not (seen & candidates.open).any():
        return Ranking(chance, "drawn at random, as the model sees no structure in what is left")
    name = "a structure" if candidates.focus is None else (
        f"'{candidates.labels[candidates.focus].name}'"
    )
    return Ranking(
        np.where(seen, 1 + chance, chance),
        lambda i: f"drawn at random where the model sees {name}"
        if seen[i] else f"drawn at random, as no slice with {name} is left",
    )
