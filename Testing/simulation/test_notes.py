"""What a strategy says of its choice is kept with the round, and what went wrong is reported."""

import json

import pytest

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.selection import looking
from ActiveSegLoopLib.simulation.doing import do_run
from ActiveSegLoopLib.simulation.records import finished_rounds
from ActiveSegLoopLib.simulation.run_key import START, RunKey
from ActiveSegLoopLib.simulation.runs import Place
from Testing.simulation.experiments import begin, quick

NOTE = "Fewer than 8 labeled slices can't tell if the attention is a guide."
KEY = RunKey("attention", 0)


@pytest.fixture(autouse=True)
def recipe(monkeypatch):
    monkeypatch.setitem(PRESETS, "quick", quick)


def test_the_round_of_a_strategy_keeps_its_notes_also_after_a_stop(tmp_path, monkeypatch):
    experiment = begin(
        tmp_path, strategies=("attention",), preset="simulation-attention", iterations=1
    )

    def stop(*arguments):
        raise Stopped("stopped")

    do_run(experiment, RunKey(START, 0), Place("cpu"))
    with monkeypatch.context() as patch:
        patch.setattr("ActiveSegLoopLib.simulation.active.label_case", stop)
        with pytest.raises(Stopped):
            do_run(experiment, KEY, Place("cpu"))
    do_run(experiment, KEY, Place("cpu"))
    assert [line["notes"] for line in finished_rounds(experiment, KEY)] == [[], [NOTE]]


def test_a_case_that_is_left_out_is_a_warning_that_names_the_run(tmp_path, monkeypatch):
    experiment, told = begin(tmp_path, strategies=("entropy",)), []
    do_run(experiment, RunKey(START, 0), Place("cpu"))
    look = looking.Look.at

    def at(self, study, case, evidence):
        if case.name == "p1":
            raise ImageError("p1 is damaged.")
        return look(self, study, case, evidence)

    monkeypatch.setattr(looking.Look, "at", at)
    place = Place("cpu", lambda kind, **data: told.append((kind, data.get("text"))))
    do_run(experiment, RunKey("entropy", 0), place)
    assert ("warning", "entropy-seed-0: Case 'p1' is left out: p1 is damaged.") in told


def test_proposals_of_an_earlier_version_are_labeled_as_they_are(tmp_path):
    experiment = begin(tmp_path, strategies=("random",))
    start = RunKey(START, 0)
    proposal = {"case": "p2", "unit": "slice", "plane": "axial", "index": 7}
    path = experiment.run_folder(start) / "batches" / "round-00.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps([proposal]))
    do_run(experiment, start, Place("cpu"))
    (line,) = finished_rounds(experiment, start)
    assert line["batch"] == [proposal] and line["notes"] == []
