"""What the model is unsure of, spread evenly over volumes, places and labels."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.registry import Ranking, strategy
from ActiveSegLoopLib.selection.wording import not_learned, relative_per_label, worst_label

# Slices teach about others within about this share of the structures' extent.
REACH = 0.08
_UNCERTAIN = "entropy.foreground_sum"
# Places are told apart to 1/100 of the extent.
_BINS = 100
_LAST_BIN = 3 * _BINS
# Slices up to this share of the extent beyond the structures get a base vote, too.
MARGIN = 0.25


@strategy(
    "balanced", units=("slice",), needs=(_UNCERTAIN, "error", "labeled"), sequential=True,
    volumes_first=True, measure="error",
)
def balanced(candidates: Candidates) -> Ranking:
    """Uncertain voxels, label by label, shared out over the places along the body like votes.

    A slice's vote is the sum of p_c H on what is predicted and its rim, each label c in terms of
    its mean, so that small and rare structures count like large ones; averaged over the labels. It
    is divided by 1 + the picked slices of all volumes at about the same place between the ends of
    the predicted structures (Gaussian, 8 % of their extent): the picks follow the uncertainty in
    proportion (as seats follow votes by D'Hondt's method) instead of piling up where it is highest.
    Every slice on the structures and near their ends has a base vote, which spreads a share of the
    picks evenly: as large as the error that the model expects, for the less a model knows, the less
    its uncertainty tells. One that learns from uncertain slices alone never sees where its
    structures are not, and draws them too large and beyond their ends.
    Slices that were labeled since the model was trained count as picked. Those that it learned
    from don't: it is less uncertain there already, and places that no label was at for a good
    reason, beyond the structures, must not catch up. Volumes with the fewest labeled slices come
    first.
    """
    seen, error = candidates.seen, candidates.measure("error")
    evenly = error[seen].mean() if seen.any() else 1.0
    votes = _votes(candidates)
    together = (1 - evenly) * votes + evenly * _base(candidates)
    scores = together / (1 + _crowd(candidates, candidates.unlearned))
    worst = worst_label(candidates, _UNCERTAIN)
    unknown = not_learned(candidates, _UNCERTAIN, candidates.focus)

    def reason(i: int) -> str:
        place = "a place with few proposals yet"
        if unknown:
            return f"{place}, as {unknown}"
        expected = f" (Dice of {1 - error[i]:.2f} expected)" if seen[i] and error[i] else ""
        if votes[i] >= 1:
            return f"much uncertain{worst(i)}{expected} at {place}"
        if seen[i]:
            return f"checks what the model draws at {place}{expected}"
        return f"shows where the structures end, at {place}"

    return Ranking(scores, reason)


@strategy(
    "stratified_foreground", units=("slice",), needs=("foreground", "labeled"), sequential=True,
    volumes_first=True,
)
def stratified_foreground(candidates: Candidates) -> Ranking:
    """As balanced, with one vote for every slice in which the model sees a structure.

    All labeled slices count as picked: their places are what it levels.
    """
    # The random part decides between volumes, where all places are alike.
    scores = (candidates.seen + 1e-3) / (1 + _crowd(candidates, candidates.labeled))
    scores *= 1 + 0.1 * candidates.uniform("random")
    return Ranking(scores, "drawn where the model sees a structure, at a place with few labels")


def _votes(candidates: Candidates) -> np.ndarray:
    """Each slice's own vote in terms of the mean (n,)."""
    if candidates.focus is None:
        relative = relative_per_label(candidates, _UNCERTAIN)
        known = relative.any(axis=0)
        votes = relative[:, known].mean(axis=1) if known.any() else np.zeros(len(candidates))
    else:
        votes = candidates.measure(_UNCERTAIN)
    return votes / (votes.mean() or 1.0)


def _base(candidates: Candidates) -> np.ndarray:
    """Each slice's base vote (n,): about 1 on and near the structures, 0 far from them."""
    if "base" not in candidates.memo:
        near = np.abs(_places(candidates) - 0.5) <= 0.5 + MARGIN
        # The random part decides between slices without a vote of their own, where all are alike.
        candidates.memo["base"] = near * (1 + 0.1 * candidates.uniform("random"))
    return candidates.memo["base"]


def _crowd(candidates: Candidates, labeled: np.ndarray) -> np.ndarray:
    """How many picked slices and `labeled` ones of any volume lie at about the same place (n,)."""
    bins = _bins(_places(candidates))
    have = labeled.copy()
    have[candidates.picked] = True
    counts = np.bincount(bins[have], minlength=_LAST_BIN + 1)
    away = np.arange(-_LAST_BIN, _LAST_BIN + 1) / (REACH * _BINS)
    smooth = np.convolve(counts, np.exp(-0.5 * away**2))[_LAST_BIN : 2 * _LAST_BIN + 1]
    return smooth[bins]


def _bins(places: np.ndarray) -> np.ndarray:
    """Places as whole numbers; those beyond the structures by more than their extent are one."""
    return np.rint((np.clip(places, -1, 2) + 1) * _BINS).astype(int)


def _places(candidates: Candidates) -> np.ndarray:
    """Where each slice lies between the ends of what the model sees in its volume, 0 to 1.

    Beyond them less than 0 or more than 1; in a volume without anything, between its own ends.
    """
    if "places" not in candidates.memo:
        candidates.memo["places"] = _measure_places(candidates)
    return candidates.memo["places"]


def _measure_places(candidates: Candidates) -> np.ndarray:
    position = candidates.position
    seen = candidates.foreground.any(axis=1)
    places = np.empty(len(candidates))
    for number in range(len(candidates.cases)):
        mine = candidates.case == number
        inside = position[mine & seen]
        low, high = (inside.min(), inside.max()) if len(inside) > 1 else (0.0, 1.0)
        places[mine] = (position[mine] - low) / (high - low)
    return places
