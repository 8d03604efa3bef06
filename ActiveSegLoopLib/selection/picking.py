"""The rules that every strategy's picks obey."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.registry import Ranking, Strategy

# Neighboring slices show nearly the same. In mm, and in slices where these are thick.
_APART_MM, _APART_SLICES = 4.0, 2.0
# What the distance that nobody asked for shrinks to when nothing else is left.
_RELAXED = (1.0, 0.5, 0.0)


@dataclass(frozen=True)
class Rules:
    """min_distance_mm: between slices of a volume, proposed and labeled ones; None is 4 mm, or 2
    slices where these are thicker, and less where too little is left. per_case: at most so many
    of a volume. per_class: as many for each label, as far as there are any.
    """

    min_distance_mm: float | None = None
    per_case: int | None = None
    per_class: bool = False


@dataclass(frozen=True)
class Pick:
    """The number of a candidate, its score and reason, its label in focus (position or None)."""

    number: int
    score: float
    reason: str
    focus: int | None


def pick(candidates: Candidates, strategy: Strategy, rules: Rules) -> Iterator[Pick]:
    """The best candidates one after the other, at most candidates.count, fewer if none is left.

    Equally good ones come in the order of the cases' names and the slice numbers. Raises
    SelectionError when the strategy's scores are no numbers.
    """
    rankings: dict[int | None, Ranking] = {}
    served = np.zeros(len(candidates.labels), int)
    relaxed = 0
    while len(candidates.picked) < candidates.count:
        for focus in _turns(candidates, served, rules):
            candidates.focus = focus
            allowed = _allowed(candidates, strategy, rules, _RELAXED[relaxed])
            if not allowed.any():
                continue
            if focus not in rankings or strategy.sequential:
                rankings[focus] = _ranking(candidates, strategy)
            ranking = rankings[focus]
            scores = np.where(allowed, ranking.scores, -np.inf)
            best = int(np.argmax(scores))
            if scores[best] == -np.inf:
                continue
            reason = _with_distance(ranking.reason_of(best), candidates, best)
            yield Pick(best, float(scores[best]), reason, focus)
            candidates.pick(best)
            if focus is not None:
                served[focus] += 1
            break
        else:
            relaxed += 1
            if rules.min_distance_mm is not None or relaxed == len(_RELAXED):
                return


def _turns(candidates: Candidates, served: np.ndarray, rules: Rules) -> list[int | None]:
    """Whose turn it is: the label with the fewest picks, of those the one labeled least."""
    if not rules.per_class:
        return [None]
    labeled = candidates.annotated.sum(axis=0)
    for case in candidates.cases:
        if case.elsewhere is not None:
            labeled = labeled + case.elsewhere.sum(axis=0)
    return [int(label) for label in np.lexsort((labeled, served))]


def _allowed(
    candidates: Candidates, strategy: Strategy, rules: Rules, share: float
) -> np.ndarray:
    allowed = candidates.open
    picked = np.zeros(len(candidates), bool)
    picked[candidates.picked] = True
    if rules.per_case is not None:
        allowed &= candidates.per_case(picked) < rules.per_case
    if candidates.unit == "slice":
        wanted = rules.min_distance_mm
        if wanted is None:
            wanted = share * np.maximum(_APART_MM, _APART_SLICES * candidates.spacing)
        # A hair less, so that 3 slices of 0.1 mm are 0.3 mm apart.
        allowed &= candidates.distance >= wanted * (1 - 1e-9)
        if strategy.volumes_first and allowed.any():
            had = candidates.per_case(picked | candidates.labeled) + candidates.elsewhere
            allowed &= had == had[allowed].min()
    return allowed


def _ranking(candidates: Candidates, strategy: Strategy) -> Ranking:
    ranking = strategy.rank(candidates)
    scores = np.asarray(ranking.scores)
    if scores.shape != (len(candidates),) or not (scores < np.inf).all():
        raise SelectionError(
            f"The strategy '{strategy.name}' must give one score to each of the "
            f"{len(candidates)} candidates, none NaN or infinitely high: correct it."
        )
    if ranking.note and ranking.note not in candidates.notes:
        candidates.notes.append(ranking.note)
    return ranking


def _with_distance(reason: str, candidates: Candidates, number: int) -> str:
    if candidates.unit == "volume":
        return reason
    mine = candidates.labeled & (candidates.case == candidates.case[number])
    if not mine.any():
        return f"{reason}, in a volume without {_what_lacks(candidates, number)}"
    away = np.abs(candidates.index[mine] - candidates.index[number]).min()
    distance = away * candidates.spacing[number]
    return f"{reason}, {distance:.3g} mm from the nearest labeled slice"


def _what_lacks(candidates: Candidates, number: int) -> str:
    """Which slices a volume has none of: of any plane, or labeled ones of this plane."""
    plane = candidates.cases[candidates.case[number]].plane
    slices = f"{plane} slices" if candidates.elsewhere[number] else "slices"
    if candidates.focus is None:
        return f"labeled {slices}"
    return f"{slices} labeled for '{candidates.labels[candidates.focus].name}'"
