"""The experiments that show what to label next, with fixed settings, on real images.

    python Testing/Benchmarks/active_learning.py hippocampus-slices --work /tmp/al --jobs 2
    python Testing/Benchmarks/active_learning.py hippocampus-volumes --work /tmp/al --jobs 2
    python Testing/Benchmarks/active_learning.py headneck-slices --work /tmp/al --jobs 2
    python Testing/Benchmarks/active_learning.py hippocampus-attention --work /tmp/al --jobs 2
    python Testing/Benchmarks/active_learning.py hippocampus-virtues --work /tmp/al --jobs 2

Each is a call of `activesegloop simulate` in WORK/NAME, and goes on from there when it is repeated;
its options, like `--seeds 2`, are handed on. Writes summary.json, table.txt and pictures to
Testing/Benchmarks/results/NAME. merge_results.py makes one of several with other seeds. The
head-and-neck CTs are brought to cubes of 4 mm and cut to the organs' region (the labels' box, 20 mm
wider) first, and one network without a locator learns them, so that the experiment ends in two
hours on two cores: it compares strategies, it doesn't say how well organs are found.
hippocampus-volumes takes seeds 0 to 7, the others 0 to 3. The committed hippocampus-slices joins
seeds 0 to 3 (--no-full) and 12 to 15 (--first-seed 12). All seeds have the same test cases,
those that strategies were chosen by, too, and begin with the same labels. Of `balanced`, how it
counts what is labeled already was chosen on hippocampus-slices, seeds 8 to 11; that slices beyond
the structures have a vote, on headneck-slices, seeds 0 to 3; that their share is the error that the
model expects, on its seeds 12 to 15, where that error was fitted, too, on cases of the pool; that
the preset of headneck-slices takes the Dice of a batch, on its seeds 0 and 1. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

from coarse_images import make_coarse
from table import ROOT, machine

from ActiveSegLoopLib.jobs.command_line import main as activesegloop

DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "Testing" / "Benchmarks" / "results"
HIPPOCAMPUS = ["--classes", "1=anterior,2=posterior", "--pool", "100", "--test", "30"]
# Classes 6 and 7 are contoured in some cases only.
HEADNECK = [
    "--classes", "1=brainstem,2=spinal cord,3=right parotid,4=left parotid,5=mandible",
    "--pool", "30", "--test", "10",
]
BASELINES = "random,equal_interval,random_foreground"
# Folder of the images, and the options of `simulate`.
EXPERIMENTS = {
    "hippocampus-slices": ("hippocampus", [
        *HIPPOCAMPUS, "--unit", "slice", "--strategy", f"default,{BASELINES}",
        "--start", "72", "--step", "72", "--rounds", "5", "--iterations", "400", "--seeds", "4",
    ]),
    "hippocampus-volumes": ("hippocampus", [
        *HIPPOCAMPUS, "--unit", "volume", "--strategy", "default,random",
        "--start", "8", "--step", "7", "--rounds", "4", "--seeds", "8",
    ]),
    "headneck-slices": ("headneck_ct", [
        *HEADNECK, "--unit", "slice", "--strategy", f"default,{BASELINES}",
        "--start", "60", "--step", "60", "--rounds", "3", "--iterations", "1000", "--seeds", "4",
        "--preset", "simulation-small", "--no-full",
    ]),
    "hippocampus-attention": ("hippocampus", [
        *HIPPOCAMPUS, "--unit", "slice", "--strategy", "default,attention",
        "--start", "72", "--step", "72", "--rounds", "3", "--iterations", "400", "--seeds", "4",
        "--preset", "simulation-attention", "--no-full",
    ]),
    "hippocampus-virtues": ("hippocampus", [
        "--virtues", *HIPPOCAMPUS, "--intervals", "1,2,4,8", "--diversity", "0.05,0.1,0.3,1",
        "--completeness", "0.1,0.3,1",
    ]),
}


def main() -> None:
    """Run one experiment and keep its results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--work", type=Path, required=True, help="folder for studies and models")
    parser.add_argument("--data", type=Path, default=DATA, help=f"default {DATA}")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"default {RESULTS}")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options, more = parser.parse_known_args()
    folder, arguments = EXPERIMENTS[options.experiment]
    images = options.data / folder
    if folder == "headneck_ct":
        images = options.work / "headneck_4mm"
        make_coarse(options.data / folder, images, 4.0, range(1, 6), 20.0)
    out = options.work / options.experiment
    started = time.perf_counter()
    status = activesegloop([
        "simulate", "--out", str(out), "--images", str(images / "images"),
        "--labels", str(images / "labels"), *arguments, *more,
        "--jobs", str(options.jobs), "--device", options.device,
    ])
    minutes = (time.perf_counter() - started) / 60
    print(f"{minutes:.1f} min; {machine()}")
    if status == 0:
        keep(out, options.results / options.experiment)


def keep(out: Path, results: Path) -> None:
    """Copy what is worth keeping of an experiment, with the machine that it was done on."""
    results.mkdir(parents=True, exist_ok=True)
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    summary["machine"] = machine()
    write_summary(results / "summary.json", summary)
    for path in sorted(out.iterdir()):
        if path.name == "table.txt" or path.suffix == ".png":
            shutil.copyfile(path, results / path.name)
    print(f"Results are in {results}.")


def write_summary(path: Path, summary: dict) -> None:
    """Write a summary, one line per run."""
    text = json.dumps(summary, separators=(",", ":")).replace('},{"strategy"', '},\n{"strategy"')
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
