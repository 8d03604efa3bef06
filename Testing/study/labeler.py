"""A process that labels: it adds revisions one after the other and prints each accepted one.

Run with the study's folder, the case's name, a first seed and how many; the label map of a seed is
the one that the tests' make_labels makes.
"""

import sys

import numpy as np

from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study import Annotation, Study
from Testing.study.samples import GRID


def label(folder: str, name: str, seed: int, count: int, accepted) -> None:
    """Add revisions and call accepted(number, seed) after each."""
    study = Study.open(folder)
    case = study.case(name)
    for step in range(seed, seed + count):
        array = np.random.default_rng(step).integers(0, 3, GRID.shape).astype(np.uint8)
        accepted(study.add_revision(case, Volume(array, GRID), Annotation()).number, step)


if __name__ == "__main__":
    folder, name, seed, count = sys.argv[1:]
    label(folder, name, int(seed), int(count), lambda *said: print(*said, flush=True))
