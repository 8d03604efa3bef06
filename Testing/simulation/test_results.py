"""What is said of an experiment, from lines written by hand: figures that can be checked."""

import json
import math

import numpy as np
import pytest

from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.simulation import plots
from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.records import LINES, plain
from ActiveSegLoopLib.simulation.reporting import write_results
from ActiveSegLoopLib.simulation.results import summarize_experiment
from ActiveSegLoopLib.simulation.run_key import FULL, START, RunKey
from ActiveSegLoopLib.simulation.unseen import rank_correlation
from Testing.simulation.experiments import begin, quick

SEEDS, UNITS = 4, (10, 20, 40)


def line(number, units, dice, exhausted=False) -> dict:
    """A finished round: a pool of 100 slices, the liver 0.1 better than the spleen."""
    return {
        "round": number, "units": units, "share": units / 100, "slices": units, "volumes": 2,
        "foreground_share": min(1, units / 80), "exhausted": exhausted, "mean_dice": dice,
        "dice": {"liver": dice + 0.05, "spleen": dice - 0.05}, "cases": {},
        "effort": {"slices": 10, "slices_changed": 5, "voxels_changed": 100,
                   "voxels_foreground": 200, "contour_mm": 50.0},
        "correlations": {"error": 0.5 + number / 10, "entropy.sum": None}, "batch": [],
        "seconds": {"train": 2.0, "test": 1.0}, "versions": {"torch": "2"}, "settings": {},
    }


def write(experiment: Experiment, key: RunKey, lines) -> None:
    folder = experiment.run_folder(key)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LINES).write_text("".join(json.dumps(entry) + "\n" for entry in lines))


@pytest.fixture(autouse=True)
def recipe(monkeypatch):
    monkeypatch.setitem(PRESETS, "quick", quick)


@pytest.fixture
def experiment(tmp_path) -> Experiment:
    """Equal interval is better than random by about 0.1 with every seed; all labels give 0.8."""
    experiment = begin(tmp_path, seeds=SEEDS, rounds=3, full=True)
    for seed in range(SEEDS):
        start = line(0, UNITS[0], 0.4 + seed / 100)
        write(experiment, RunKey(START, seed), [start])
        write(experiment, RunKey(FULL, seed), [line(0, 100, 0.8 + (-1) ** seed / 100)])
        for strategy, gains in (("random", (0.1, 0.2)), ("equal_interval", (0.2, 0.36))):
            later = [
                line(n + 1, UNITS[n + 1], start["mean_dice"] + gain + 0.001 * seed * n)
                for n, gain in enumerate(gains)
            ]
            write(experiment, RunKey(strategy, seed), [start, *later])
    return experiment


def test_areas_finals_and_references_are_those_of_the_curves(experiment):
    summary = summarize_experiment(experiment)
    assert summary["finished"] and summary["full"]["mean_dice"] == pytest.approx(0.8)
    run = next(r for r in summary["runs"] if (r["strategy"], r["seed"]) == ("random", 0))
    assert run["units"] == [10, 20, 40] and run["mean_dice"] == [0.4, 0.5, 0.6]
    # Trapezoids of 10 and 20 units over a budget of 30.
    assert run["aubc"] == pytest.approx((10 * 0.45 + 20 * 0.55) / 30)
    assert run["final_dice"] == 0.6
    assert run["dice"]["liver"] == pytest.approx([0.45, 0.55, 0.65])
    assert run["effort"]["contour_mm"] == [50, 100, 150]
    assert summary["strategies"]["random"]["of_full"] == pytest.approx(0.6165 / 0.8, abs=1e-4)


def test_the_dice_of_the_pools_own_volumes_has_a_table_where_it_was_measured(tmp_path):
    experiment = begin(tmp_path, strategies=("random",), seeds=2, rounds=2, score_pool=True)
    for seed in range(2):
        lines = [line(n, UNITS[n], 0.5) | {"pool_dice": 0.6 + (n + seed) / 10} for n in range(2)]
        write(experiment, RunKey(START, seed), lines[:1])
        write(experiment, RunKey("random", seed), lines)
    result = write_results(experiment)
    assert "part A" in result.table and "0.7500 ± 0.0707" in result.table
    summary = summarize_experiment(experiment)
    assert [run["pool_dice"] for run in summary["runs"]] == [[0.6, 0.7], [0.7, 0.8]]
    assert summary["strategies"]["random"]["pool_dice"]["mean"] == pytest.approx(0.75)


def test_without_that_measure_nothing_is_said_of_it(experiment):
    assert "part A" not in write_results(experiment).table
    summary = summarize_experiment(experiment)
    assert summary["runs"][0]["pool_dice"] == [None] * 3


def test_foreground_efficiency_goes_from_the_mean_start_to_full_annotation(experiment):
    summary = summarize_experiment(experiment)
    # The seeds start at 0.40 to 0.43; the random run of seed 0 from 0.4 by 0.5 to 0.6.
    full, start, shares = 0.8, 0.415, np.array([10, 20, 40]) / 80
    run = summary["runs"][0]
    rates = np.linspace(0.5, 10, 100_001)
    fits = full - (full - start) * np.exp(-np.outer(rates, shares - shares[0]))
    best = rates[((fits - [0.4, 0.5, 0.6]) ** 2).sum(axis=1).argmin()]
    assert (run["strategy"], run["seed"]) == ("random", 0)
    assert run["fg_efficiency"] == pytest.approx(best, abs=1e-3)
    pace = {name: v["fg_efficiency"]["mean"] for name, v in summary["strategies"].items()}
    assert pace["equal_interval"] > pace["random"]


def test_without_full_annotation_there_is_no_foreground_efficiency(tmp_path):
    experiment = begin(tmp_path, strategies=("random",), rounds=4, full=False)
    lines = [line(n, 10 * n + 10, dice) for n, dice in enumerate((0.4, 0.6, 0.7, 0.75))]
    write(experiment, RunKey("random", 0), lines)
    summary = summarize_experiment(experiment)
    assert summary["runs"][0]["fg_efficiency"] is None
    assert summary["strategies"]["random"]["fg_efficiency"]["mean"] is None


def test_the_budget_of_a_target_is_the_first_whose_mean_reaches_it(experiment):
    strategies = summarize_experiment(experiment)["strategies"]
    assert strategies["random"]["needed"] == {"95%": None, "99%": None}
    assert strategies["equal_interval"]["needed"]["95%"] == {"units": 40, "share": 0.4}
    assert strategies["equal_interval"]["needed"]["99%"] is None


def test_pairs_are_tested_over_the_seeds_and_a_win_is_a_penalty(experiment):
    summary = summarize_experiment(experiment)
    test = next(t for t in summary["tests"] if t["measure"] == "final_dice")
    assert (test["a"], test["b"], test["n"]) == ("random", "equal_interval", SEEDS)
    assert test["mean_difference"] == pytest.approx(0.16)
    penalties = summary["penalties"]
    assert penalties["names"] == ["random", "equal_interval"]
    # Better at two of the three budgets; at the first all are equal.
    assert np.array(penalties["matrix"]) == pytest.approx(np.array([[0, 0], [2 / 3, 0]]), abs=1e-5)


def test_runs_are_compared_up_to_the_last_budget_of_all_and_the_table_names_who_ended(experiment):
    whole = summarize_experiment(experiment)
    assert whole["compared_rounds"] == 3
    assert "up to" not in write_results(experiment).table
    lines = experiment.run_folder(RunKey("random", 2)) / LINES
    # The rules keep the rest back: the third round has fewer labels and is the last.
    entries = [json.loads(text) for text in lines.read_text().splitlines()]
    entries[2] |= {"units": 25, "mean_dice": 0.99}
    lines.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    found = summarize_experiment(experiment)
    assert found["compared_rounds"] == found["penalties"]["budgets"] == 2
    run = next(r for r in found["runs"] if (r["strategy"], r["seed"]) == ("equal_interval", 0))
    assert run["units"] == [10, 20, 40] and run["mean_dice"] == [0.4, 0.6, 0.76]
    assert (run["aubc"], run["final_dice"]) == pytest.approx((0.5, 0.6))
    strategy = found["strategies"]["equal_interval"]
    assert strategy["units"] == [10, 20] and strategy["share"] == [0.1, 0.2]
    assert strategy["of_full"] == pytest.approx(0.615 / 0.8, abs=1e-5)
    assert strategy["needed"]["95%"] is None and run["share_needed"]["95%"] is None
    test = next(t for t in found["tests"] if t["measure"] == "final_dice")
    assert test["mean_difference"] == pytest.approx(0.1)
    assert found["correlations"] == whole["correlations"]
    assert "up to 20 slices only: random (seed 2) has no round with 40." in (
        write_results(experiment).table
    )


@pytest.mark.parametrize(("first", "shared", "words"), [
    (10, 1, "All runs are compared up to 10 slices only: random (seed 0), random (seed 1), "
            "random (seed 2) and 1 more have no round with 20."),
    (8, 0, "Nothing is compared: random (seed 0), random (seed 1), random (seed 2) and 1 more "
           "have no first round with 10 slices."),
])
def test_with_less_than_two_budgets_of_all_runs_there_is_no_area(tmp_path, first, shared, words):
    experiment = begin(tmp_path, seeds=4, rounds=2)
    for seed in range(4):
        write(experiment, RunKey("random", seed), [line(0, first, 0.4)])
        lines = [line(0, 10, 0.4), line(1, 20, 0.5)]
        write(experiment, RunKey("equal_interval", seed), lines)
    written = write_results(experiment)
    assert words in written.table
    summary = summarize_experiment(experiment)
    assert summary["compared_rounds"] == shared
    assert summary["strategies"]["equal_interval"]["aubc"]["mean"] is None
    final = summary["strategies"]["equal_interval"]["final_dice"]["mean"]
    assert final == (0.4 if shared else None)


def test_the_table_says_where_the_last_budget_is_the_whole_pool(tmp_path):
    experiment = begin(tmp_path, strategies=("random",), seeds=2, rounds=3)
    lines = [line(0, 20, 0.4), line(1, 60, 0.5), line(2, 100, 0.6)]
    write(experiment, RunKey("random", 0), lines)
    assert "no choice was left there" in write_results(experiment).table
    write(experiment, RunKey("random", 1), lines[:2])
    assert "no choice was left" not in write_results(experiment).table, "it isn't compared"


def test_the_effort_of_corrections_is_without_the_first_labels(tmp_path):
    experiment = begin(tmp_path, strategies=("random",), rounds=3, corrected=True)
    drawn = line(0, 10, 0.4)
    drawn["effort"] = {"slices": 10, "slices_changed": 9, "voxels_changed": 4000,
                       "voxels_foreground": 4000, "contour_mm": 5000.0}
    write(experiment, RunKey("random", 0), [drawn, line(1, 20, 0.5), line(2, 30, 0.6)])
    block = write_results(experiment).table.split("\n\n")[-1].splitlines()
    assert "without the first labels" in block[0]
    # Twice 10 slices, 5 of them changed, in 100 of 200 voxels, along 0.05 m.
    assert block[-1].split() == ["random,", "seed", "0", "20", "10", "200", "50.0", "%", "0.10"]


def test_each_run_keeps_its_versions_and_the_table_lists_what_differs(tmp_path):
    experiment = begin(tmp_path, rounds=2)
    old, new = {"torch": "2", "device": "cpu"}, {"torch": "3", "device": "cpu"}
    lines = [line(0, 10, 0.4), line(1, 20, 0.5)]
    lines[0]["versions"] = lines[1]["versions"] = old
    write(experiment, RunKey("random", 0), lines)
    assert "same programs" not in write_results(experiment).table
    lines[1]["versions"] = new
    write(experiment, RunKey("equal_interval", 0), lines)
    table = write_results(experiment).table
    assert [run["versions"] for run in summarize_experiment(experiment)["runs"]] == [old, new]
    assert "Not all runs were done with the same programs and device: torch 2 or 3." in table


def test_the_table_says_that_seeds_begin_with_the_same_labels_only_where_they_do(tmp_path):
    words = "All seeds begin with the same labels and test cases"
    experiment = begin(tmp_path, strategies=("random",), seeds=3, rounds=2)
    lines = [line(0, 10, 0.4), line(1, 20, 0.5)]
    write(experiment, RunKey("random", 0), lines)
    assert words not in write_results(experiment).table, "a single seed"
    lines[1]["effort"] = lines[1]["effort"] | {"contour_mm": 60.0}
    write(experiment, RunKey("random", 1), lines)
    assert words in write_results(experiment).table, "what follows may differ"
    lines[0]["effort"] = lines[0]["effort"] | {"contour_mm": 50.5}
    write(experiment, RunKey("random", 2), lines)
    assert words not in write_results(experiment).table


def test_the_table_does_not_say_that_strategies_choose_by_the_score_they_report(experiment):
    table = write_results(experiment).table
    assert "goes by" not in table and " reports  its rank corr." in table
    assert "balanced, core_set or representative choose by more than that" in table


def test_correlations_are_means_over_models_without_those_undefined(experiment):
    found = summarize_experiment(experiment)["correlations"]
    # Of each seed 0.5 at the start that both strategies share, then 0.6 and 0.7 of each.
    assert found["error"]["mean"] == pytest.approx((0.5 + 2 * 0.6 + 2 * 0.7) / 5)
    assert found["error"]["count"] == 5 * SEEDS
    assert found["error"]["last"]["mean"] == pytest.approx(0.7)
    assert found["error"]["last"]["count"] == 2 * SEEDS
    assert found["entropy.sum"]["mean"] is None


def test_the_model_that_strategies_begin_with_is_one_model_also_while_it_is_the_last(tmp_path):
    experiment = begin(tmp_path, rounds=2)
    start = line(0, 10, 0.4)
    write(experiment, RunKey("random", 0), [start])
    write(experiment, RunKey("equal_interval", 0), [start])
    found = summarize_experiment(experiment)["correlations"]["error"]
    assert (found["mean"], found["count"], found["last"]["count"]) == (0.5, 1, 1)
    # Written before this score was compared: the copy of the other strategy tells it.
    unknown = start | {"correlations": {"error": None}}
    write(experiment, RunKey("equal_interval", 0), [unknown])
    found = summarize_experiment(experiment)["correlations"]["error"]
    assert (found["mean"], found["count"]) == (0.5, 1)


def test_the_table_says_that_scores_of_other_numbers_of_models_do_not_compare(tmp_path):
    words = "Only scores that were measured on as many models compare"
    experiment = begin(tmp_path, rounds=2)
    lines = [line(0, 10, 0.4), line(1, 20, 0.5)]
    for entry in lines:
        entry["correlations"] = {"error": 0.5, "entropy.sum": 0.2}
    write(experiment, RunKey("random", 0), lines)
    assert words not in write_results(experiment).table
    lines[1]["correlations"] = {"error": 0.6}
    write(experiment, RunKey("equal_interval", 0), lines)
    assert words in write_results(experiment).table


def test_each_strategy_states_how_far_its_own_score_knows_the_error(tmp_path):
    experiment = begin(tmp_path, strategies=("random", "expected_error", "entropy.sum"), rounds=2)
    for name in experiment.settings.strategies:
        write(experiment, RunKey(name, 0), [line(0, 10, 0.4), line(1, 20, 0.5)])
    found = summarize_experiment(experiment)["strategies"]
    assert [found[name]["score"] for name in found] == [None, "error", "entropy.sum"]
    assert found["expected_error"]["correlation"]["mean"] == pytest.approx(0.55)
    assert found["random"]["correlation"]["count"] == 0


def test_an_unfinished_experiment_has_results_so_far_and_says_so(tmp_path):
    experiment = begin(tmp_path, seeds=1, rounds=3, full=True)
    written = write_results(experiment)
    assert not written.finished and "Not all runs are finished" in written.table
    write(experiment, RunKey(START, 0), [line(0, 10, 0.4)])
    write(experiment, RunKey("random", 0), [line(0, 10, 0.4), line(1, 20, 0.5)])
    summary = summarize_experiment(experiment)
    assert set(summary["strategies"]) == {"random"} and summary["full"]["mean_dice"] is None
    assert summary["strategies"]["random"]["of_full"] is None
    assert "random" in write_results(experiment).table


def test_a_round_without_anything_left_to_label_is_no_point_of_the_curve(tmp_path):
    experiment = begin(tmp_path, strategies=("random",), rounds=5)
    write(experiment, RunKey(START, 0), [line(0, 50, 0.4)])
    lines = [line(0, 50, 0.4), line(1, 100, 0.5), line(2, 100, 0.5, exhausted=True)]
    write(experiment, RunKey("random", 0), lines)
    summary = summarize_experiment(experiment)
    assert summary["finished"] and summary["runs"][0]["units"] == [50, 100]


def test_result_files_are_json_text_and_pictures(experiment):
    written = write_results(experiment)
    for name in written.files:
        assert (experiment.folder / name).stat().st_size > 200
    json.loads((experiment.folder / "summary.json").read_text(), parse_constant=pytest.fail)
    for words in ("equal_interval", "0.6165", "Holm", "Spearman", "40 slices (40.0 %)"):
        assert words in written.table
    again = {name: (experiment.folder / name).read_bytes() for name in written.files}
    write_results(experiment)
    assert again == {name: (experiment.folder / name).read_bytes() for name in written.files}


def test_a_strategy_is_drawn_as_far_as_its_seeds_have_the_same_budgets(tmp_path, monkeypatch):
    experiment = begin(tmp_path, seeds=2, rounds=3)
    lines = [line(0, 10, 0.4), line(1, 20, 0.5)]
    for strategy, last in (("random", 25), ("equal_interval", 40)):
        write(experiment, RunKey(strategy, 0), [*lines, line(2, 40, 0.6)])
        write(experiment, RunKey(strategy, 1), [*lines, line(2, last, 0.7)])
    drawn = {}
    monkeypatch.setattr(plots, "save_figure", lambda f, _, name: [drawn.setdefault(name, f)])
    plots.draw_results(summarize_experiment(experiment), tmp_path)
    budgets = {each.get_label(): list(each.get_xdata()) for each in drawn["curves"].axes[0].lines}
    assert budgets["random"] == pytest.approx([10, 20])
    assert budgets["equal interval"] == pytest.approx([10, 20, 40])


def test_rank_correlation_is_that_of_the_ranks():
    assert rank_correlation(np.array([1, 2, 30]), np.array([0.1, 0.2, 0.3])) == pytest.approx(1)
    assert rank_correlation(np.array([1, 2, 30]), np.array([3, 2, 1])) == pytest.approx(-1)
    assert math.isnan(rank_correlation(np.ones(5), np.arange(5)))
    assert math.isnan(rank_correlation(np.arange(2), np.arange(2)))


def test_plain_values_have_none_for_what_is_not_a_number():
    found = plain({"a": np.array([1.5, math.nan]), 3: (np.int64(2), np.bool_(True), math.inf)})
    assert found == {"a": [1.5, None], "3": [2, True, None]}
