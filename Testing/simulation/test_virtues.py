"""Zharov's experiment: labels of lower quality, fewer volumes, fewer slices, and what they cost."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import SimulationError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.simulation.doing import do_run
from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.labeling import labeled_slices
from ActiveSegLoopLib.simulation.records import finished_rounds
from ActiveSegLoopLib.simulation.reporting import write_results
from ActiveSegLoopLib.simulation.run_key import RunKey
from ActiveSegLoopLib.simulation.runs import Place
from ActiveSegLoopLib.simulation.virtue_results import COMPLETENESS, QUALITY
from ActiveSegLoopLib.simulation.virtue_settings import Virtues, VirtueSettings
from ActiveSegLoopLib.simulation.virtues import evenly, lowered, quality
from ActiveSegLoopLib.study.study import Study
from Testing.model.samples import GRID, SCHEMA, two_balls
from Testing.simulation.experiments import make_cases, quick


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """All runs of a small experiment."""
    folder = tmp_path_factory.mktemp("virtues")
    settings = VirtueSettings((1, 4), (0.5, 1.0), (0.25, 1.0), seeds=2, preset="quick")
    experiment = Experiment.begin(
        folder / "experiment", settings, SCHEMA, make_cases(folder / "images")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "quick", quick)
        for key in experiment.runs():
            assert do_run(experiment, key, Place("cpu"))
    return experiment


@given(st.integers(1, 60), st.integers(1, 12))
def test_drawn_slices_lie_evenly_and_inside(size, interval):
    count = max(1, -(-size // interval))
    found = evenly(size, count)
    assert len(set(found)) == count and 0 <= found[0] and found[-1] < size
    steps = np.diff(found)
    assert not len(steps) or steps.max() - steps.min() <= 1


def test_nothing_is_lowered_when_every_slice_is_drawn():
    truth = two_balls(0)[1]
    for interpolation in ("nearest", "shape"):
        same = lowered(truth, 1, "axial", interpolation)
        assert (same.array == truth.array).all()
        assert quality(truth, same, SCHEMA.names) == [1.0, 1.0]


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_fewer_drawn_slices_mean_lower_quality(plane):
    truth = two_balls(0)[1]
    nearest = [np.mean(quality(truth, lowered(truth, n, plane, "nearest"), SCHEMA.names))
               for n in (1, 2, 4)]
    assert 1 == nearest[0] > nearest[1] > nearest[2] > 0.2


def test_shapes_in_between_lose_less_than_copies():
    away = np.linalg.norm(np.moveaxis(np.indices((30, 30, 30)), 0, -1) - 14.3, axis=-1)
    truth = Volume(np.where(away < 12, 3, 0).astype(np.uint8), Geometry((30,) * 3, (1.0,) * 3))
    found = [lowered(truth, 4, "axial", how) for how in ("nearest", "shape")]
    (nearest,), (shape,) = (quality(truth, labels, SCHEMA.names) for labels in found)
    assert nearest < shape < 1


def test_each_slice_becomes_the_nearest_drawn_one():
    array = np.zeros((6, 2, 2), np.uint8)
    array[:] = np.array([1, 2, 3, 4, 5, 6])[:, None, None]
    truth = Volume(array, Geometry((6, 2, 2), (2.0, 1.0, 1.0)))
    found = lowered(truth, 3, "axial", "nearest").array[:, 0, 0]
    assert found.tolist() == [2, 2, 2, 5, 5, 5]


def test_labels_hold_exactly_the_volumes_and_slices_of_their_virtues(finished):
    key = RunKey(Virtues(1, 0.5, 0.25).name, 0)
    study = Study.open(finished.run_folder(key) / "study")
    labeled = [labeled_slices(study, case, "axial") for case in study.cases("pool")]
    assert sorted(map(len, labeled)) == [0, 0, GRID.shape[0] // 4, GRID.shape[0] // 4]
    (line,) = finished_rounds(finished, key)
    assert line["virtues"] == {
        "interval": 1, "quality": 1.0, "diversity": 0.5, "completeness": 0.25
    }
    assert line["share"] == 0.125


def test_a_larger_share_of_volumes_holds_the_smaller_one_of_the_same_seed(finished):
    def volumes(diversity, seed):
        folder = finished.run_folder(RunKey(Virtues(1, diversity, 1.0).name, seed))
        study = Study.open(folder / "study")
        return {case.name for case in study.cases("pool") if study.latest(case)}

    assert volumes(0.5, 0) < volumes(1.0, 0)
    assert len({frozenset(volumes(0.5, seed)) for seed in range(2)}) == 2


def test_results_compare_by_effort_with_the_labels_of_everything_as_100_percent(finished):
    written = write_results(finished)
    assert written.finished and "virtues.png" in written.files
    summary = json.loads((finished.folder / "summary.json").read_text())
    found = summary["comparisons"][QUALITY]
    assert len(found["points"]) == 4 and len(summary["comparisons"][COMPLETENESS]["points"]) == 4
    for effort, point in zip(found["effort"], found["points"]):
        assert effort == pytest.approx(point["quality"] * point["diversity"], abs=1e-5)
    whole = found["points"][-1]
    assert (whole["performance"], found["effort"][-1]) == (1, 1)
    assert found["effort"] == sorted(found["effort"]) and 0 in found["hull"]
    seeds = [
        finished_rounds(finished, RunKey(whole["name"], seed))[0]["mean_dice"] for seed in range(2)
    ]
    assert whole["mean_dice"] == pytest.approx(np.median(seeds), abs=1e-5)


def test_together_every_combination_is_compared():
    settings = VirtueSettings((1, 4), (0.5, 1.0), (0.25, 1.0), together=True)
    assert len(settings.virtues()) == 8
    assert Virtues(4, 0.5, 0.25) in settings.virtues()


@pytest.mark.parametrize("wrong", [
    {"diversities": (0.0, 1.0)}, {"completenesses": (2.0,)}, {"intervals": (0,)},
    {"interpolation": "cubic"}, {"plane": "oblique"}, {"seeds": 0}, {"diversities": ()},
])
def test_virtues_that_can_not_be_are_refused(wrong):
    with pytest.raises(SimulationError):
        VirtueSettings(**wrong)
