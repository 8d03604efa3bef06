"""Segmenting a 512 x 512 x 300 CT: the cascade against sliding windows over the whole volume.

    python Testing/Benchmarks/segment_ct.py [--model FOLDER] [--whole] [--repeats N]

The image is a kidney phantom at 0.7 x 0.7 x 1 mm, made once and kept in --cache. Without --model
the networks of the default plan are untrained: the locator's runs, but the boxes come from
the phantom's true labels, as those of an untrained one would mean nothing. Every variant has a
process of its own, whose peak memory is given. Reading files isn't timed. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from table import machine, print_table  # first: it makes the library importable

# isort: split
from ct_phantom import SHAPE, SPACING, TrueBoxes, make, read_phantom
from whole_volume import segment_whole

from ActiveSegLoopLib.evaluation.overlap import dice_per_label, mean_dice
from ActiveSegLoopLib.model.device import choose_device, half_precision
from ActiveSegLoopLib.model.model_files import load_model
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.simulation.phantom import KIDNEY_LABELS

VARIANTS = ("cascade", "half", "float32")
NUMBERS = ("seconds", "before", "peak", "gpu", "dice")


def measure(variant: str, options: argparse.Namespace, device: torch.device) -> dict:
    """Time and memory of one variant, in this process."""
    image = read_phantom(options.cache)
    if variant == "cascade":
        trained = options.model is not None
        predictor = (
            Predictor.load(options.model, options.device) if trained
            else TrueBoxes(options.cache, device)
        )
        model, before = predictor.model, peak_mb()
        found = predictor.segment([image])
        share = sum(box.volume for box in found.boxes) / image.array.size
        how = f"{len(found.boxes)} box(es), {share:.1%} of the volume"
    else:
        model, before = load_model(options.model or options.cache / "model"), peak_mb()
        windows = None if options.whole else options.windows
        found = segment_whole(model, [image], device, variant == "half", windows)
        how = f"{found.windows} windows of {found.seconds_per_window:.2f} s"
    gpu = torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else 0.0
    result = {"seconds": found.seconds, "before": before, "peak": peak_mb(), "gpu": gpu, "how": how}
    truth = np.load(options.cache / "labels.npy")
    result["dice"] = mean_dice(dice_per_label(truth, found.labelmap.array, KIDNEY_LABELS.names))
    return result | {"patch": model.plan.segmenter.patch, "mm": model.plan.segmenter.spacing}


def peak_mb() -> float:
    """The most memory this process ever had, in MB (10^6 bytes)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def report(found: dict[str, list[dict]], options: argparse.Namespace, half: str) -> None:
    """Print the medians and their ratios to the cascade's."""
    medians = {
        variant: {name: statistics.median(one[name] for one in results) for name in NUMBERS}
        for variant, results in found.items()
    }
    rows, cascade, first = [], medians["cascade"], found["cascade"][0]
    for variant, row in medians.items():
        name = "cascade" if variant == "cascade" else "sliding windows"
        rows.append((
            f"{name}, {'float32' if variant == 'float32' else half}",
            f"{row['seconds']:.1f}", f"{row['seconds'] / cascade['seconds']:.1f}",
            f"{row['peak']:.0f}", f"{row['peak'] / cascade['peak']:.1f}", f"{row['before']:.0f}",
            f"{row['gpu']:.0f}", f"{row['dice']:.3f}" if options.model else "-",
            found[variant][0]["how"],
        ))
    notes = [
        f"image {SHAPE} voxels of {SPACING} mm; segmenter: patches of {first['patch']} voxels of "
        f"{first['mm']} mm; sliding windows: overlap 0.5, Gaussian, one at a time",
        "MB: the process's peak; 'read' is what it was with image and model read",
        f"medians of {options.repeats}, in turns; x: times the cascade's",
    ]
    if options.model is None:
        notes.append("untrained networks: the locator's was run, then its boxes replaced by those "
                     "of the true labels with the plan's margin")
    if not options.whole:
        notes.append(f"the sliding windows' time is estimated: {options.windows} and one to warm "
                     "up were run, each of the others counts as the median; all were stitched")
    print_table(("how", "s", "x", "MB", "x", "read", "GPU MB", "Dice", ""), rows, notes)


def main() -> None:
    """Run every variant in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="folder of a model trained on kidney phantoms")
    parser.add_argument("--whole", action="store_true", help="run every window: takes long")
    parser.add_argument("--windows", type=int, default=8, help="windows to run without --whole")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each, in turns")
    parser.add_argument("--device", default="auto")
    folder = Path(tempfile.gettempdir()) / "activesegloop-benchmark-ct"
    parser.add_argument("--cache", type=Path, default=folder, help=f"default {folder}")
    parser.add_argument("--only", choices=["make", *VARIANTS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = choose_device(options.device)
    options.cache = options.cache / device.type  # the default plan depends on the device
    options.cache.mkdir(parents=True, exist_ok=True)
    if options.only == "make":
        return make(options.cache, device)
    if options.only:
        return print(json.dumps(measure(options.only, options, device)))

    def run(part: str) -> str:
        command = [sys.executable, *sys.argv, "--only", part]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    print(machine(device))
    run("make")
    half = half_precision(device)
    found = {variant: [] for variant in VARIANTS if variant != "half" or half is not None}
    for _ in range(options.repeats):
        for variant, results in found.items():
            results.append(json.loads(run(variant)))
    report(found, options, str(half or torch.float32).removeprefix("torch."))


if __name__ == "__main__":
    main()
