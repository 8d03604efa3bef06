"""Thin structures kept in one piece when a label map changes its grid."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

_ALL = np.ones((3, 3, 3), bool)
# Half of the 26 neighbors: each pair of voxels once.
_NEIGHBORS = [step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]


def rescued(
    kept: np.ndarray, touched: np.ndarray, fractions: np.ndarray, reach: tuple[int, int, int]
) -> np.ndarray:
    """Voxels to add so that no part of a structure is far from what is kept.

    kept: where the structure already is; touched: where any of it falls (holds kept); fractions:
    how much. reach: how many voxels of each axis are far: one of the coarser grid. A thin part that
    falls on the border between two coarser voxels takes the fuller one.
    """
    lost = touched & ~dilated(kept, reach)
    if not lost.any():
        return lost
    added = touched & dilated(lost, reach) & ~kept
    for axis in np.flatnonzero(np.equal(reach, 1)):
        added = _without_doubles(added, kept, fractions, axis)
    return added


def _without_doubles(
    added: np.ndarray, kept: np.ndarray, fractions: np.ndarray, axis: int
) -> np.ndarray:
    """Of two added voxels that stand alone side by side and fit into one, only the fuller."""
    added = np.moveaxis(added, axis, 0)
    taken = np.pad(added | np.moveaxis(kept, axis, 0), [(1, 2), (0, 0), (0, 0)])
    share = np.moveaxis(fractions, axis, 0)
    n = len(added) - 1
    if n < 1:
        return np.moveaxis(added, 0, axis)
    pair = added[:-1] & added[1:] & ~taken[:n] & ~taken[3 : n + 3] & (share[:-1] + share[1:] <= 1)
    lower = pair & (share[:-1] >= share[1:])
    result = added.copy()
    result[1:] &= ~lower
    result[:-1] &= ~(pair & ~lower)
    return np.moveaxis(result, 0, axis)


def bridges(
    kept: np.ndarray, names: np.ndarray, path: np.ndarray, fractions: np.ndarray
) -> np.ndarray:
    """Voxels (n, 3) that connect the parts of a structure along the shortest and fullest way.

    names: a number for each connected part of kept, 0 elsewhere; path: the connected voxels that
    may be used (and those kept among them). A minimum spanning tree between the parts over the
    regions nearest to each (Mehlhorn 1988), so parts that are joined already stay as they are.
    """
    node = np.full(path.shape, -1)
    node[path] = np.arange(np.count_nonzero(path))
    voxels = np.argwhere(path)
    inside = kept[path]
    # What is there costs nothing; what has to be added costs more the emptier it is.
    cost = np.where(inside, 1e-6, 2 - fractions[path])
    ends = [_neighbor_pairs(node, step) for step in _NEIGHBORS]
    u, v = np.concatenate(ends, axis=1)
    weight = (cost[u] + cost[v]) / 2
    graph = coo_array((weight, (u, v)), shape=(len(voxels), len(voxels))).tocsr()
    distance, before, seed = dijkstra(
        graph,
        directed=False,
        indices=np.flatnonzero(inside),
        return_predecessors=True,
        min_only=True,
    )
    reached = seed >= 0  # a way may be barred by structures that may not be touched
    part = np.where(reached, names[path][np.where(reached, seed, 0)], 0)
    across = (part[u] != part[v]) & reached[u] & reached[v]
    u, v, length = u[across], v[across], (distance[u] + weight + distance[v])[across]
    group: dict[int, int] = {}

    def root(name: int) -> int:
        while name in group:
            name = group[name]
        return name

    added: list[int] = []
    for edge in np.argsort(length, kind="stable"):
        one, other = root(int(part[u[edge]])), root(int(part[v[edge]]))
        if one == other:
            continue
        group[one] = other
        for step in (int(u[edge]), int(v[edge])):
            while step >= 0 and not inside[step]:
                added.append(step)
                step = int(before[step])
    return voxels[sorted(set(added))]


def _neighbor_pairs(node: np.ndarray, step: tuple[int, int, int]) -> np.ndarray:
    here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, node.shape))
    there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(step, node.shape))
    both = np.stack([node[here].ravel(), node[there].ravel()])
    return both[:, (both >= 0).all(axis=0)]


def parts(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """A number for each connected part (26 neighbors) of a mask, and how many there are."""
    return ndimage.label(mask, _ALL)


def dilated(mask: np.ndarray, reach: tuple[int, int, int]) -> np.ndarray:
    """The mask and what lies within so many voxels along each axis, diagonally too."""
    for axis, steps in enumerate(reach):
        low, high = (
            tuple(piece if a == axis else slice(None) for a in range(3))
            for piece in (slice(None, -1), slice(1, None))
        )
        for _ in range(steps):
            wide = mask.copy()
            wide[low] |= mask[high]
            wide[high] |= mask[low]
            mask = wide
    return mask


def one_voxel_thin(mask: np.ndarray) -> np.ndarray:
    """What of a mask is in no 2 x 2 x 2 block of it (2 x 2 where an axis has one voxel)."""
    block = np.pad(mask, 1)
    inner = tuple(slice(1, -1) for _ in range(3))
    axes = [axis for axis in range(3) if mask.shape[axis] > 1]
    for axis in axes:
        block = block & np.roll(block, 1, axis)
    for axis in axes:
        block = block | np.roll(block, -1, axis)
    return mask & ~block[inner]
