"""The most uncertain first: by entropy, MC dropout's variance, mutual information or Dice."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.registry import Ranking, strategy
from ActiveSegLoopLib.selection.wording import not_learned, worst_label


@strategy("entropy", needs=("entropy",), measure="entropy")
def entropy(candidates: Candidates) -> Ranking:
    """The highest predictive entropy; "entropy.sum" is the uncertainty baseline of Zhang 2020."""
    return _highest(candidates, "entropy", "most uncertain")


@strategy("variance", needs=("variance",), measure="variance")
def variance(candidates: Candidates) -> Ranking:
    """The highest variance over MC dropout (Rahimi 2021, whose score is "variance.sum")."""
    return _highest(candidates, "variance", "dropout changes it most")


@strategy("mutual_information", needs=("mutual_information",), measure="mutual_information")
def mutual_information(candidates: Candidates) -> Ranking:
    """The highest mutual information (BALD): where the passes of MC dropout disagree."""
    return _highest(candidates, "mutual_information", "the model contradicts itself most")


@strategy("expected_error", needs=("error", "foreground"), measure="error")
def expected_error(candidates: Candidates) -> Ranking:
    """The lowest Dice that the model's own probabilities let expect, mean over the labels there.

    Where the model sees nothing it counts as much as it is likely that something is there.
    """
    error, told = candidates.measure("error"), candidates.expected_error()
    worst = worst_label(candidates, "error")
    focus = candidates.focus
    unknown = not_learned(candidates, "error", focus)
    per_label = candidates.measure_per_label("error")
    if focus is None or unknown:
        seen, unseen = candidates.foreground.any(axis=1), per_label.max(axis=1)
    else:
        seen, unseen = candidates.seen, per_label[:, focus]

    def reason(i: int) -> str:
        if unknown:
            return f"the highest expected error of the other labels, as {unknown}"
        expected = "the model expects" if seen[i] else "if anything is there, the model expects"
        return f"{expected} a Dice of {1 - told[i]:.2f}, worst{worst(i)}"

    return Ranking(np.where(seen, error, unseen), reason)


def _highest(candidates: Candidates, need: str, words: str) -> Ranking:
    scores = candidates.measure(need)
    worst = worst_label(candidates, need)
    if not np.any(scores[candidates.open]):
        return Ranking(scores, "the model is sure of all that is left")
    return Ranking(scores, lambda i: words + worst(i))
