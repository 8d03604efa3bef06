"""Attention-guided selection (Zhang 2020), and entropy where the attention is no guide."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.registry import Ranking, strategy
from ActiveSegLoopLib.selection.strategies.uncertainty import entropy

# The attention is a guide when P-DSC ranks the labeled slices about as their true Dice does.
LEAST_CORRELATION, FEWEST_SLICES = 0.3, 8


@strategy(
    "attention", units=("slice",), needs=("attention", "entropy", "labeled"), measure="attention"
)
def attention(candidates: Candidates) -> Ranking:
    """The lowest P-DSC: where the attention maps agree least with the segmentation.

    Falls back to entropy, and says so, when P-DSC doesn't go with the true Dice on the labeled
    slices (rank correlation under 0.3) or the model has no attention maps. With fewer than 8
    labeled slices it can't be told, and P-DSC is taken.
    """
    if any(case.agreement is None for case in candidates.cases):
        return _by_entropy(candidates, "this model has no attention maps", "")
    scores, words = _agreement(candidates)
    return _ranked(candidates, "agreement", scores, f"{words} (P-DSC")


@strategy(
    "attention_accuracy", units=("slice",), needs=("attention", "entropy", "labeled"),
    measure="attention.accuracy",
)
def attention_accuracy(candidates: Candidates) -> Ranking:
    """The lowest P-accuracy, which Zhang 2020 has for several classes: large ones count for more.

    Of all labels together, whosever turn it is; else as attention.
    """
    if any(case.agreement is None for case in candidates.cases):
        return _by_entropy(candidates, "this model has no attention maps", "")
    scores = candidates.stacked("accuracy_agreement")
    return _ranked(candidates, "accuracy_agreement", scores, " (P-accuracy")


def _ranked(candidates: Candidates, name: str, scores: np.ndarray, words: str) -> Ranking:
    """The lowest of these scores first, if they are a guide, by the evidence of that name."""
    correlation = attention_correlation(candidates, name)
    if correlation is None:
        note = f"Fewer than {FEWEST_SLICES} labeled slices can't tell if the attention is a guide."
    else:
        note = (
            f"The attention's rank correlation with the true Dice is {correlation:.2f} on the "
            "labeled slices."
        )
        if correlation < LEAST_CORRELATION:
            why = f"the attention's rank correlation with the true Dice is only {correlation:.2f}"
            return _by_entropy(candidates, why, note)
    return Ranking(
        -scores,
        lambda i: f"attention and segmentation agree little{words} {scores[i]:.2f})", note,
    )


def _agreement(candidates: Candidates) -> tuple[np.ndarray, str]:
    """P-DSC of each slice (n,) and words for whose it is: that of the label in focus if known.

    Where neither result has the label they agree.
    """
    overall, focus = candidates.stacked("agreement"), candidates.focus
    if focus is None:
        return overall, ""
    mine, name = candidates.stacked("label_agreement")[:, focus], candidates.labels[focus].name
    if np.isnan(mine[candidates.open]).all():
        return overall, f" (nothing is known of '{name}' there)"
    return np.where(np.isnan(mine), 1.0, mine), f" on '{name}'"


def _by_entropy(candidates: Candidates, why: str, note: str) -> Ranking:
    ranking = entropy(candidates)
    return Ranking(
        ranking.scores, lambda i: f"{ranking.reason_of(i)} (entropy, as {why})", note
    )


def attention_correlation(candidates: Candidates, name: str = "agreement") -> float | None:
    """Spearman's correlation of a P-score (the evidence of that name) with the true Dice.

    On the labeled slices. None with fewer than 8 of them; 0 where either is the same in all.
    """
    dice, agreement = candidates.stacked("dice"), candidates.stacked(name)
    known = np.isfinite(dice)
    if known.sum() < FEWEST_SLICES:
        return None
    from scipy.stats import rankdata

    ranks = [rankdata(values[known]) for values in (dice, agreement)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(ranks)[0, 1])
