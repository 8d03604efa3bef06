"""What is proposed in a study, with a model and without, and what never is."""

import numpy as np
import pytest

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.selection.proposing import propose
from ActiveSegLoopLib.study import Annotation


def test_random_slices_and_volumes_without_a_model(pool):
    slices = propose(pool, count=6, strategy="random")
    assert len({(p.case, p.index) for p in slices}) == 6
    assert propose(pool, count=6, strategy="random") == slices
    assert propose(pool, count=6, strategy="random", seed=1) != slices
    volumes = propose(pool, unit="volume", count=2, strategy="random")
    assert len({p.case for p in volumes}) == 2
    assert volumes[0].plane is None and volumes[0].index is None


def test_equal_intervals(pool):
    found = propose(pool, count=4, strategy="equal_interval", min_distance_mm=0)
    assert len(found) == 4
