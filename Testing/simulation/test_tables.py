"""The words of the tables, from summaries of experiments that have hardly begun."""

from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.reporting import write_results
from ActiveSegLoopLib.simulation.tables import counted, needed
from ActiveSegLoopLib.simulation.virtue_settings import VirtueSettings
from Testing.model.samples import SCHEMA
from Testing.simulation.experiments import make_cases, settings


def heading(folder, chosen, test) -> str:
    cases = make_cases(folder / "images", pool=2)
    cases = [case for case in cases if case.role == "pool"] + cases[-test:]
    return write_results(Experiment.begin(folder / "out", chosen, SCHEMA, cases)).table


def test_one_of_a_kind_is_no_plural(tmp_path):
    one = settings(unit="volume", strategies=("random",), start=1, preset="default")
    assert heading(tmp_path / "one", one, test=1).startswith(
        "2 pool cases, 1 test case that no model sees; 1 seed; 1 volume to begin with (random)"
    )
    more = settings(seeds=2, preset="default")
    assert heading(tmp_path / "more", more, test=2).startswith(
        "2 pool cases, 2 test cases that no model sees; 2 seeds; 4 slices to begin with (random)"
    )
    virtues = heading(tmp_path / "virtues", VirtueSettings(seeds=1), test=1)
    assert "1 test case that no model sees; median of 1 seed." in virtues


def test_budgets_are_counted_in_units():
    assert [counted(n, "slice") for n in (0, 1, 2)] == ["0 slices", "1 slice", "2 slices"]
    assert needed({"units": 1, "share": 0.25}, "volume") == "1 volume (25.0 %)"
