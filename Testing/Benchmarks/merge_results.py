"""One experiment's results of several seeds that were run apart, as if they had been run together.

    python Testing/Benchmarks/merge_results.py ONE/summary.json MORE/summary.json --out DIR

The summaries are those of one experiment (see active_learning.py), done with other seeds
(--first-seed): settings, labels and cases must be the same. Writes summary.json, table.txt and
pictures into DIR. Full annotation counts where it was trained; "training" and "versions" are the
first summary's, every run keeps its own versions, and "machine" names them all.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from active_learning import write_summary
from table import ROOT  # noqa: F401 - finds the library

from ActiveSegLoopLib.simulation import results
from ActiveSegLoopLib.simulation.experiment import Experiment, SimulatedCase
from ActiveSegLoopLib.simulation.plots import draw_results
from ActiveSegLoopLib.simulation.records import LINES
from ActiveSegLoopLib.simulation.run_key import FULL, RunKey
from ActiveSegLoopLib.simulation.settings import ExperimentSettings
from ActiveSegLoopLib.simulation.tables import results_table
from ActiveSegLoopLib.study.schema import LabelSchema

# What may differ between the summaries.
OPEN = ("seeds", "first_seed", "full")


def main() -> None:
    """Merge and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("summaries", nargs="+", type=Path, metavar="summary.json")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in options.summaries]
    require_one_experiment(summaries)
    with tempfile.TemporaryDirectory() as temporary:
        experiment = as_experiment(summaries, Path(temporary) / "experiment")
        merged = results.summarize_experiment(experiment)
    first = summaries[0]
    merged |= {name: first[name] for name in ("training", "versions")}
    merged["finished"] = all(summary["finished"] for summary in summaries)
    merged["settings"]["seeds"] = len({run["seed"] for run in merged["runs"]})
    merged["machine"] = "; ".join(
        f"seeds {min(seeds)} to {max(seeds)}: {summary['machine']}" for summary in summaries
        if (seeds := {run["seed"] for run in summary["runs"]})
    ) if len(summaries) > 1 else first["machine"]
    options.out.mkdir(parents=True, exist_ok=True)
    table = results_table(merged)
    (options.out / "table.txt").write_text(table + "\n", encoding="utf-8")
    write_summary(options.out / "summary.json", merged)
    with tempfile.TemporaryDirectory() as temporary:
        for name in draw_results(merged, Path(temporary)):
            if name.endswith(".png"):
                shutil.copyfile(Path(temporary) / name, options.out / name)
    print(table)


def require_one_experiment(summaries: list[dict]) -> None:
    """End with a sentence where the summaries are of different experiments or share a run."""
    first = summaries[0]
    for other in summaries[1:]:
        for name, one in asdict(settings_of(first)).items():
            two = getattr(settings_of(other), name)
            if name not in OPEN and one != two:
                sys.exit(f"The summaries differ in {name}: {one} and {two}.")
        for name in ("labels", "pool_cases", "test_cases"):
            if other[name] != first[name]:
                sys.exit(f"The summaries differ in {name}.")
    runs = [(run["strategy"], run["seed"]) for summary in summaries for run in summary["runs"]]
    twice = sorted({run for run in runs if runs.count(run) > 1})
    if twice:
        sys.exit(f"{twice[0][0]}, seed {twice[0][1]} is in two of the summaries.")


def settings_of(summary: dict) -> ExperimentSettings:
    """What a summary's experiment compared; what its version didn't know yet is as by default."""
    lists = {k: tuple(v) for k, v in summary["settings"].items() if isinstance(v, list)}
    return ExperimentSettings(**summary["settings"] | lists)


def as_experiment(summaries: list[dict], folder: Path) -> Experiment:
    """An experiment whose runs came to what the summaries say; its cases are names only."""
    first = summaries[0]
    cases = [
        SimulatedCase(f"{role}{n}", (), Path("none"), role, f"{role}{n}")
        for role in ("pool", "test") for n in range(first[f"{role}_cases"])
    ]
    schema = LabelSchema.parse(",".join(f"{v}={n}" for v, n in first["labels"].items()))
    last = max(run["seed"] for summary in summaries for run in summary["runs"])
    full = any(summary["settings"]["full"] for summary in summaries)
    settings = replace(settings_of(first), seeds=1 + last, first_seed=0, full=full)
    experiment = Experiment.begin(folder, settings, schema, cases)
    for summary in summaries:
        for run in summary["runs"]:
            write_lines(experiment, RunKey(run["strategy"], run["seed"]), lines_of(run, summary))
        full = summary["full"]
        seeds = sorted({run["seed"] for run in summary["runs"]})
        # Trained for each of a summary's seeds, in their order, or of a merged one's for some.
        for seed, dice in zip(seeds, full["per_seed"]):
            line = {**lines_of(summary["runs"][0], summary)[0], "correlations": {}, "share": 1.0}
            write_lines(experiment, RunKey(FULL, seed), [
                {**line, "mean_dice": dice, "dice": full["dice"]}
            ])
    return experiment


def lines_of(run: dict, summary: dict) -> list[dict]:
    """A run's rounds.jsonl from its arrays; its effort is cumulative."""
    def of(arrays: dict, number: int) -> dict:
        return {name: values[number] for name, values in arrays.items()}

    effort = {
        name: [values[0], *(b - a for a, b in zip(values, values[1:]))]
        for name, values in run["effort"].items()
    }
    last = len(run["units"]) - 1
    return [
        {
            **{name: run[name][n] for name in ("units", "share", "foreground_share", "mean_dice")},
            "pool_dice": run["pool_dice"][n] if "pool_dice" in run else None,
            "round": n, "exhausted": False, "dice": of(run["dice"], n),
            "effort": of(effort, n), "correlations": of(run["correlations"], n),
            "seconds": {"all": run["seconds"] if n == last else 0.0},
            "versions": run.get("versions", summary["versions"]), "settings": summary["training"],
        }
        for n in range(last + 1)
    ]


def write_lines(experiment: Experiment, key: RunKey, lines: list[dict]) -> None:
    """Write a run."""
    folder = experiment.run_folder(key)
    folder.mkdir(parents=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / LINES).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
