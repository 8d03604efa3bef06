"""Labels that nobody has annotated yet: a model gives them probability 0, and learns them later."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ActiveSegLoopLib.model.model_files import load_model
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.model.unlearned import silent_labels
from ActiveSegLoopLib.selection.maps import uncertainty_maps
from ActiveSegLoopLib.selection.scores import measure
from ActiveSegLoopLib.study import Annotation
from Testing.model.samples import add_case, make_study, tiny

LIVER, SPLEEN = 0, 1


@pytest.fixture(autouse=True)
def recipes(monkeypatch):
    """Presets without a locator, which begin with the weights of the round before."""
    plain = replace(tiny(locator=False), warm_start=True)
    attentive = replace(plain, plan=replace(plain.plan, attention=True))
    still = replace(plain.segmenter, learning_rate=0.0, average=0.0)
    monkeypatch.setitem(PRESETS, "plain", lambda gpu: plain)
    monkeypatch.setitem(PRESETS, "attention", lambda gpu: attentive)
    monkeypatch.setitem(PRESETS, "frozen", lambda gpu: replace(plain, segmenter=still))


def liver_study(folder):
    """Two cases to train on and one to validate on, of which only the liver was annotated."""
    roles = ["pool", "pool", "validation"]
    return make_study(folder, roles, annotation=Annotation(None, ("liver",)))


def train(study, preset="plain", seed=0):
    return train_round(study, preset, device="cpu", seed=seed)


def segmenter(round):
    return load_model(round.folder).segmenter


@pytest.mark.parametrize("preset", ["plain", "attention"])
def test_a_label_that_nobody_annotated_has_probability_0_everywhere(tmp_path, preset):
    study = liver_study(tmp_path)
    predictor = Predictor.load(train(study, preset).folder, "cpu")
    volumes = study.volumes(study.case("c0"))
    assert set(np.unique(predictor.segment(volumes).labelmap.array)) <= {0, 3}
    maps = uncertainty_maps(predictor, volumes, passes=3, plain=True)
    assert not maps.probability(7).any() and maps.probability(3).any()
    for name in ("entropy", "error"):
        found = measure(maps, name, "axial", study.schema)
        assert not found.labels[:, SPLEEN].any() and found.labels[:, LIVER].any()
    if preset == "attention":
        assert 7 not in maps.attention.array


def test_a_label_annotated_in_a_single_slice_is_learned(tmp_path):
    study = liver_study(tmp_path)
    case, labels = add_case(study, 3)
    study.add_revision(case, labels, Annotation({"sagittal": (5,)}, ("spleen",)))
    assert silent_labels(segmenter(train(study))) == []


@pytest.mark.parametrize("preset", ["plain", "attention"])
def test_a_training_leaves_the_row_of_such_a_label_as_it_is(tmp_path, preset):
    study = liver_study(tmp_path)
    network = segmenter(train(study, preset))
    assert silent_labels(network) == [SPLEEN]
    last = network.head.conv.conv if preset == "plain" else network.attention.spatial
    assert not last.weight[SPLEEN + 1].any() and last.bias[SPLEEN + 1] == -1000


def test_a_warm_start_learns_the_label_from_fresh_weights_once_it_is_annotated(tmp_path):
    study = liver_study(tmp_path)
    before = segmenter(train(study)).head.conv.conv
    study.add_revision(*add_case(study, 3))
    after = segmenter(train(study, "frozen", seed=4)).head.conv.conv
    assert torch.equal(after.weight[: LIVER + 2], before.weight[: LIVER + 2])
    assert after.weight[SPLEEN + 1].any() and after.bias[SPLEEN + 1] == 0


def test_a_warm_start_without_the_label_leaves_it_unlearned(tmp_path):
    study = liver_study(tmp_path)
    first = segmenter(train(study))
    second = segmenter(train(study, "frozen", seed=4))
    assert silent_labels(second) == [SPLEEN]
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))
