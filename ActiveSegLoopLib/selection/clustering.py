"""Groups of like items, and which item is typical of its group."""

from __future__ import annotations

import numpy as np

# Items beyond this many are grouped by a sample of them: only its time would show.
_SAMPLE = 4000
_ITERATIONS = 20
_NEIGHBORS = 20  # typicality's, as in Hacohen et al. 2022


def standardized(features: np.ndarray) -> np.ndarray:
    """Features (n, F) with mean 0 and deviation 1 each; constant ones become 0."""
    features = np.asarray(features, np.float64)
    deviation = features.std(axis=0)
    return np.divide(
        features - features.mean(axis=0), deviation, out=np.zeros(features.shape),
        where=deviation > 1e-9,
    )


def squared_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Between each row of one (n, F) and each of other (m, F): (n, m)."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None]
    return np.maximum(squares - 2 * one @ other.T, 0)


def k_means(features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The number of the group of each item (n,), of at most `count` groups.

    Starts from the item nearest the mean and those farthest from each other, so that the answer
    depends on the seed only where there are more than 4000 items.
    """
    count = min(count, len(features))
    sample = features
    if len(features) > _SAMPLE:
        chosen = np.random.default_rng(seed).choice(len(features), _SAMPLE, replace=False)
        sample = features[np.sort(chosen)]
    first = int(squared_distances(sample, sample.mean(axis=0)[None])[:, 0].argmin())
    centers = sample[[first, *farthest_first(sample, [first], count - 1)]]
    for _ in range(_ITERATIONS):
        group = squared_distances(sample, centers).argmin(axis=1)
        sizes = np.bincount(group, minlength=count)
        moved = np.zeros_like(centers)
        np.add.at(moved, group, sample)
        moved = np.divide(moved, sizes[:, None], out=centers.copy(), where=sizes[:, None] > 0)
        if np.allclose(moved, centers):
            break
        centers = moved
    return squared_distances(features, centers).argmin(axis=1)


def farthest_first(features: np.ndarray, have: list[int], count: int) -> list[int]:
    """Items one after the other, each the farthest from all before it and from those we have."""
    nearest = np.full(len(features), np.inf)
    for number in have:
        nearest = np.minimum(nearest, squared_distances(features, features[[number]])[:, 0])
    found: list[int] = []
    while len(found) < count:
        found.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, squared_distances(features, features[[found[-1]]])[:, 0])
    return found


def typicality(features: np.ndarray, group: np.ndarray) -> np.ndarray:
    """How typical each item is of its group (n,): 1 / mean distance to its 20 nearest in it."""
    found = np.zeros(len(features))
    for number in np.unique(group):
        mine = np.flatnonzero(group == number)
        neighbors = min(_NEIGHBORS, len(mine) - 1)
        if neighbors == 0:
            continue  # alone: not typical of anything
        for part in np.array_split(mine, 1 + len(mine) // _SAMPLE):
            away = np.sqrt(squared_distances(features[part], features[mine]))
            nearest = np.partition(away, neighbors, axis=1)[:, : neighbors + 1]
            found[part] = neighbors / np.maximum(nearest.sum(axis=1), 1e-9)
    return found


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0 (lowest) to 1 (highest) (n,); equal values share the lowest of theirs."""
    return np.searchsorted(np.sort(values), values) / max(1, len(values) - 1)


def one_per_group(group: np.ndarray, worth: np.ndarray, have: np.ndarray) -> np.ndarray:
    """Scores (n,) by which the best of each group come before the second of any.

    worth: how good an item is within its group. have: items that are there already, bool (n,):
    groups with fewer of them come first, of those the larger.
    """
    count = int(group.max()) + 1 if len(group) else 0
    sizes = np.bincount(group, minlength=count)
    had = np.bincount(group[have], minlength=count)
    # Items by worth within each group, those that are there already last.
    order = np.lexsort((-worth, have, group))
    starts = np.r_[0, np.cumsum(sizes)[:-1]] if count else np.zeros(0, int)
    turn = np.empty(len(group))
    turn[order] = np.arange(len(group)) - starts[group[order]]
    size_rank = np.argsort(np.lexsort((np.arange(count), -sizes)))
    return -(turn + had[group]) - size_rank[group] / max(1, count)
