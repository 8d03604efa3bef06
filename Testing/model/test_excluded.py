"""Rounds of a study some of whose cases are excluded."""

import pytest

from ActiveSegLoopLib.errors import ModelError, StudyError
from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.model.trainer import Stopped
from Testing.model.samples import make_study, tiny


@pytest.fixture(autouse=True)
def recipe(monkeypatch):
    """The preset "whole": a segmenter on its own."""
    monkeypatch.setitem(PRESETS, "whole", lambda gpu: tiny(gpu, locator=False))


def train(study, **options):
    return train_round(study, "whole", device="cpu", **options)


def test_a_lost_image_keeps_nothing_back_once_its_case_is_excluded(tmp_path):
    study = make_study(tmp_path, ["pool"] * 2)
    (tmp_path / "c1-0.nii.gz").unlink()
    with pytest.raises(StudyError, match="c1-0.nii.gz"):
        train(study)
    study.exclude(study.case("c1"))
    second = train(study)
    assert second.number == 2 and [r.case for r in second.revisions] == ["c0"]
    assert study.round(1).state == "interrupted", "It can't go on without that image."


def test_an_interrupted_round_waits_for_its_excluded_case_and_then_goes_on(tmp_path):
    study = make_study(tmp_path, ["pool"] * 2)
    with pytest.raises(Stopped):
        train(study, should_stop=lambda: True)
    study.exclude(study.case("c1"))
    said = []
    with pytest.raises(Stopped):
        train(study, should_stop=lambda: True, report=lambda kind, **data: said.append(data))
    assert [r.state for r in study.rounds()] == ["interrupted", "interrupted"]
    assert any("begun with 'c1', which is excluded now" in data.get("text", "") for data in said)
    study.include(study.case("c1"))
    assert train(study).number == 2, "the newest one that fits"


def test_excluding_a_case_never_makes_training_cases_of_those_held_out(tmp_path):
    study = make_study(tmp_path, ["pool"] * 6)
    first = train(study)
    assert [r.case for r in first.validation] == ["c4"]
    study.exclude(study.case("c0"))
    second = train(study)
    assert [r.case for r in second.validation] == ["c4"]
    assert [r.case for r in second.revisions] == ["c1", "c2", "c3", "c5"]
    for name in ("c1", "c2", "c3", "c5"):
        study.exclude(study.case(name))
    with pytest.raises(ModelError, match="held out to validate"):
        train(study)
    study.exclude(study.case("c4"))
    with pytest.raises(ModelError, match="or include an excluded one again"):
        train(study)
