"""An experiment in its folder: begun, opened again, and never mixed with another one."""

import math
from dataclasses import replace

import pytest

from ActiveSegLoopLib.errors import SimulationError
from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.run_key import FULL, START, RunKey
from ActiveSegLoopLib.simulation.settings import ExperimentSettings
from ActiveSegLoopLib.simulation.virtue_settings import VirtueSettings
from Testing.model.samples import SCHEMA
from Testing.simulation.experiments import TEST, begin, make_cases, settings


def test_it_is_the_same_when_it_is_opened_again(tmp_path):
    experiment = begin(tmp_path, corrected=True, min_distance_mm=4.5)
    assert Experiment.open(experiment.folder) == experiment
    virtues = Experiment.begin(
        tmp_path / "other", VirtueSettings(), SCHEMA, experiment.cases
    )
    assert Experiment.open(virtues.folder) == virtues


@pytest.mark.parametrize("more", [
    {"strategies": ("random", "equal_interval", "entropy")}, {"rounds": 5}, {"seeds": 3},
    {"full": True},
])
def test_strategies_rounds_and_seeds_may_be_added(tmp_path, more):
    begin(tmp_path)
    assert getattr(begin(tmp_path, **more).settings, next(iter(more))) == next(iter(more.values()))


@pytest.mark.parametrize(("other", "said"), [
    ({"start": 5}, "start 4, not 5"), ({"preset": "fast"}, "preset quick, not fast"),
    ({"unit": "volume"}, "unit slice"), ({"iterations": 7}, "iterations None, not 7"),
])
def test_whatever_else_differs_is_refused_by_name(tmp_path, other, said):
    before = begin(tmp_path)
    with pytest.raises(SimulationError, match=said):
        begin(tmp_path, **other)
    assert Experiment.open(before.folder) == before


def test_a_pool_that_the_start_uses_up_is_refused(tmp_path):
    volumes = {"unit": "volume", "strategies": ("random",)}
    with pytest.raises(SimulationError, match="has 4 volumes and 4 are labeled to begin with"):
        begin(tmp_path, start=4, **volumes)
    assert not (tmp_path / "experiment").exists()
    assert begin(tmp_path, start=3, **volumes).settings.start == 3


def test_a_start_on_all_slices_of_a_seeds_pool_is_refused_and_they_are_counted(tmp_path):
    axial, sagittal = 4 * 16, 4 * 24
    for start in (axial, 500):
        with pytest.raises(SimulationError, match=f"has 64 slices and {start} are labeled"):
            begin(tmp_path, start=start)
    assert not (tmp_path / "experiment").exists()
    assert begin(tmp_path / "other", start=axial, plane="sagittal").settings.start < sagittal
    assert begin(tmp_path, start=axial - 1).settings.start == axial - 1
    # All but two cases in one group: a seed that draws it to test has two volumes left.
    cases = [replace(case, role="pool", group="big") for case in make_cases(tmp_path / "images")]
    cases[:2] = [replace(case, role="test", group=case.name) for case in cases[:2]]
    drawn = settings(resplit=True, seeds=20, start=32)
    fewest = min(
        sum(case.role == "pool" for case in replace(
            begin(tmp_path / "drawn"), settings=drawn, cases=tuple(cases)).cases_of(seed))
        for seed in range(20)
    )
    assert fewest == 2
    with pytest.raises(SimulationError, match="has 32 slices"):
        Experiment.begin(tmp_path / "out", drawn, SCHEMA, cases)


@pytest.mark.parametrize("name", ["min_distance_mm", "tolerance_mm"])
@pytest.mark.parametrize("distance", [-2.0, math.nan, math.inf])
def test_a_distance_that_there_is_not_is_refused(name, distance):
    assert getattr(settings(**{name: 0.0}), name) == 0
    with pytest.raises(SimulationError, match=f"{name} must be 0 mm or more"):
        settings(**{name: distance})


def test_other_cases_labels_and_aims_are_refused(tmp_path):
    experiment = begin(tmp_path)
    renamed = SCHEMA.renamed("liver", "hepar")
    for changed, said in (
        ((settings(), SCHEMA, experiment.cases[1:]), "other cases"),
        ((settings(), renamed, experiment.cases), "other labels"),
        ((VirtueSettings(), SCHEMA, experiment.cases), "another aim"),
    ):
        with pytest.raises(SimulationError, match=said):
            Experiment.begin(experiment.folder, *changed)


def test_seeds_can_have_other_test_cases_each_as_many_and_whole_patients(tmp_path):
    fixed = begin(tmp_path / "fixed")
    assert fixed.cases_of(0) == fixed.cases_of(1) == fixed.cases
    drawn = begin(tmp_path / "drawn", resplit=True)
    tested = [
        frozenset(case.name for case in drawn.cases_of(seed) if case.role == "test")
        for seed in range(20)
    ]
    assert {len(names) for names in tested} == {TEST} and len(set(tested)) > 5
    assert drawn.cases_of(3) == drawn.cases_of(3), "The same seed draws the same."
    twins = replace(
        drawn, cases=tuple(replace(c, group=f"g{i // 2}") for i, c in enumerate(drawn.cases))
    )
    for seed in range(20):
        roles = {}
        for case in twins.cases_of(seed):
            roles.setdefault(case.group, set()).add(case.role)
        assert sorted(map(sorted, roles.values())) == [["pool"], ["pool"], ["test"]]


def test_a_folder_with_something_else_in_it_is_refused(tmp_path):
    (tmp_path / "mine.txt").touch()
    cases = make_cases(tmp_path / "images")
    with pytest.raises(SimulationError, match="isn't empty"):
        Experiment.begin(tmp_path, settings(), SCHEMA, cases)
    with pytest.raises(SimulationError, match="is a file"):
        Experiment.begin(tmp_path / "mine.txt", settings(), SCHEMA, cases)
    with pytest.raises(SimulationError, match="no experiment"):
        Experiment.open(tmp_path)


def test_a_broken_file_is_a_sentence(tmp_path):
    experiment = begin(tmp_path)
    (experiment.folder / "experiment.json").write_text("{")
    with pytest.raises(SimulationError, match="can't be read"):
        Experiment.open(experiment.folder)


def test_there_must_be_cases_to_label_and_to_test_on(tmp_path):
    cases = make_cases(tmp_path / "images")
    for role in ("pool", "test"):
        with pytest.raises(SimulationError, match=f"no {role} case"):
            Experiment.begin(
                tmp_path / "out", settings(), SCHEMA, [c for c in cases if c.role != role]
            )
    mixed = [replace(case, group="one") for case in cases]
    with pytest.raises(SimulationError, match="one role"):
        Experiment.begin(tmp_path / "out", settings(), SCHEMA, mixed)
    assert not (tmp_path / "out").exists()


def test_a_start_comes_before_what_begins_with_it():
    runs = settings(seeds=2, full=True).runs()
    assert runs[:2] == [RunKey(START, 0), RunKey(START, 1)]
    assert {run.strategy for run in runs} == {START, FULL, "random", "equal_interval"}


@pytest.mark.parametrize(
    ("recipe", "full"),
    [("simulation", 3), ("simulation-small", 3), ("simulation-attention", 3), ("default", 1)],
)
def test_full_annotation_is_trained_as_long_as_the_strategies(recipe, full):
    chosen = settings(rounds=3, preset=recipe)
    rounds = [chosen.rounds_of(RunKey(name, 0)) for name in (START, FULL, "random")]
    assert rounds == [1, full, 3]


def test_the_name_of_a_run_tells_which_it_is():
    assert RunKey.parse(RunKey("entropy.sum", 12).name) == RunKey("entropy.sum", 12)
    for wrong in ("random", "random-seed-", "-seed-1", "random-seed-x"):
        with pytest.raises(SimulationError):
            RunKey.parse(wrong)


@pytest.mark.parametrize("wrong", [
    {"unit": "voxel"}, {"plane": "oblique"}, {"start": 0}, {"step": 0}, {"rounds": 0},
    {"seeds": 0}, {"strategies": ()}, {"strategies": ("random", "full")},
])
def test_settings_that_can_not_be_are_refused(wrong):
    with pytest.raises(SimulationError):
        ExperimentSettings(**wrong)
