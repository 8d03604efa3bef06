"""ClaSP PE (Lüth et al., TMLR 2026): class-stratified predictive entropy with decaying noise."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.registry import Ranking, strategy
from ActiveSegLoopLib.selection.wording import not_learned

# The noise is Gumbel(0, 1 / beta); beta grows exponentially over the rounds.
FIRST_BETA, LAST_BETA = 1.0, 100.0
# This share of a batch goes to the labels, evenly; the rest to the entropy over all classes.
FOR_LABELS = 2 / 3


@strategy("clasp", needs=("entropy.mean",), sequential=True, measure="entropy.mean")
def clasp(candidates: Candidates) -> Ranking:
    """The highest log(mean of p_c H) + Gumbel noise, p_c H for the label c whose turn it is.

    Two thirds of the batch are split evenly over the labels, which take turns in an order that
    differs from round to round; the rest goes by the mean of H. The window that is averaged over is
    the slice or volume, in place of the paper's patch.
    """
    label = candidates.focus
    if label is None:
        for_labels = int(FOR_LABELS * candidates.count)
        done = len(candidates.picked)
        if done < for_labels:
            # Else the last of many labels would never have a turn.
            random = np.random.default_rng([candidates.seed, candidates.round_index])
            label = int(random.permutation(len(candidates.labels))[done % len(candidates.labels)])
    if label is None:
        scores, name = candidates.measure("entropy.mean"), "all classes"
    else:
        scores = candidates.measure_per_label("entropy.mean")[:, label]
        name = f"'{candidates.labels[label].name}'"
    with np.errstate(divide="ignore"):
        scores = np.log(scores)
    # What has no entropy at all comes last, but may come.
    scores = np.maximum(scores, np.log(np.finfo(np.float64).tiny))
    beta = noise_beta(candidates.round_index, candidates.rounds)
    noise = -np.log(-np.log(candidates.uniform(f"gumbel {label}") * (1 - 1e-12))) / beta
    unknown = not_learned(candidates, "entropy.mean", label)
    reason = f"drawn at random, as {unknown}" if unknown else f"drawn by its uncertainty on {name}"
    return Ranking(scores + noise, reason)


def noise_beta(round_index: int, rounds: int) -> float:
    """Beta of a round of `rounds`; the last one's from then on.

    Round 0 picks the first labels, without a model; round 1 is the first that asks one.
    """
    share = min(1.0, max(0, round_index - 1) / max(1, rounds - 2))
    return FIRST_BETA * (LAST_BETA / FIRST_BETA) ** share
