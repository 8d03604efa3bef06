"""The papers' recipes train, and their models give the maps that the papers select by."""

from dataclasses import replace

import numpy as np
import pytest

from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.selection.attention_maps import p_scores
from ActiveSegLoopLib.selection.maps import uncertainty_maps
from ActiveSegLoopLib.study import Annotation
from Testing.model.samples import add_case, make_study, two_balls


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A function that trains a paper's recipe, as a small network, on two cases."""

    def train(name, iterations, **labeling):
        recipe = PRESETS[name](False)
        plan = replace(recipe.plan, base_channels=4, patch_voxels=3000)
        monkeypatch.setitem(PRESETS, "small", lambda gpu: replace(recipe, plan=plan))
        study = make_study(tmp_path, ("pool", "pool"), **labeling)
        finished = train_round(study, "small", "cpu", iterations)
        return study, finished

    return train


def test_zhang2020_learns_from_slices_and_its_attention_tells_places_apart(trained):
    slices = Annotation({"axial": tuple(range(1, 16, 3))})
    _, finished = trained("zhang2020", 25, annotation=slices)
    losses = finished.metrics["stages"]["segmenter"]["losses"]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    maps = uncertainty_maps(Predictor.load(finished.folder, "cpu"), [two_balls(5)[0]])
    assert maps.variance is None, "It has no dropout."
    found = maps.attention.array
    assert len(np.unique(found)) > 1, "A one-channel spatial attention is the same everywhere."
    for plane in ("axial", "coronal", "sagittal"):
        scores = p_scores(maps, plane)
        for values in (scores.dice, scores.accuracy):
            assert np.all((0 <= values) & (values <= 1))
            assert len(values) == found.shape[maps.geometry.axis_of(plane)]


def test_rahimi2021_gives_a_variance_for_every_voxel(trained):
    study, finished = trained("rahimi2021", 3)
    case, _ = add_case(study, 7)
    maps = uncertainty_maps(Predictor.load(finished.folder, "cpu"), study.volumes(case), passes=5)
    assert maps.passes == 5 and maps.variance.min() > 0
    assert len(maps.regions) == 1, "There is no cascade: the whole volume is one region."
