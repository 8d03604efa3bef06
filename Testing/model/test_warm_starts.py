"""Trainings that begin with the weights of the study's model."""

import hashlib
from dataclasses import replace

import pytest

from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.study import Label
from Testing.model.samples import make_study, tiny


def weights(round) -> dict[str, str]:
    files = sorted(round.folder.glob("*.safetensors"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def frozen(gpu: bool):
    """Trains with a learning rate of zero: the weights end as they began."""
    recipe = tiny(gpu, locator=False)
    still = replace(recipe.segmenter, learning_rate=0.0, average=0.0)
    return replace(recipe, segmenter=still, hold_out=False, warm_start=True)


@pytest.fixture(autouse=True)
def recipes(monkeypatch):
    monkeypatch.setitem(PRESETS, "frozen", frozen)
    monkeypatch.setitem(PRESETS, "drawn", lambda gpu: replace(frozen(gpu), warm_start=False))


def test_a_warm_start_begins_with_the_current_models_weights(tmp_path):
    study = make_study(tmp_path, ["pool"] * 2)
    first = train_round(study, "drawn", "cpu", seed=5)
    second = train_round(study, "frozen", "cpu")
    assert weights(second) == weights(first)
    assert second.settings["warm_start_from"] == first.number
    assert first.settings["warm_start_from"] is None


def test_a_warm_start_is_a_fresh_one_where_the_weights_have_seen_what_is_validated_on(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(PRESETS, "frozen", lambda gpu: replace(frozen(gpu), hold_out=True))
    study = make_study(tmp_path, ["pool"] * 5)
    apart = train_round(study, "frozen", "cpu")
    assert train_round(study, "frozen", "cpu").settings["warm_start_from"] == apart.number
    final = train_round(study, "frozen", "cpu", hold_out=False)
    assert len(final.revisions) == 5 and final.settings["warm_start_from"] == 2
    assert train_round(study, "frozen", "cpu").settings["warm_start_from"] is None
    heir = train_round(study, "frozen", "cpu", hold_out=False)
    assert heir.settings["warm_start_from"] == 4, "A fresh one that has seen nothing of them."
    assert not heir.validation


def test_a_warm_start_is_a_fresh_one_when_the_labels_have_changed(tmp_path):
    study = make_study(tmp_path, ["pool"] * 2)
    first = train_round(study, "drawn", "cpu", seed=5)
    study.add_label(Label("third", 9, "third"))
    assert weights(train_round(study, "frozen", "cpu")) != weights(first)
