"""Preparing cases and drawing patches: our cache on disk against MONAI's two datasets.

    python Testing/Benchmarks/data_loading.py [--cases 4 16 64] [--repeats N]

The cases are kidney phantoms of 80 x 110 x 110 voxels in .nrrd files, prepared at 2 mm (about
100^3 voxels), whole. Both sides read, orient, resample and normalize a case once, and then draw
patches of 64^3 with alike variation, without worker processes. Each measurement has a process of
its own, whose peak memory is given. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from table import machine, print_table  # first: it makes the library importable

# isort: split
from loaders import BATCH_SIZE, PATCH, monais, ours

from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.simulation.phantom import make_case

VARIANTS = ("ActiveSegLoop", "CacheDataset", "PersistentDataset")


def paths(folder: Path, number: int) -> tuple[Path, Path]:
    """Image and label file of a case; made if they aren't there."""
    image, labels = (folder / f"{number:03d}-{what}.nrrd" for what in ("image", "labels"))
    if not labels.exists():
        case = make_case(number, (2.5, 1.8, 1.8), (80, 110, 110))
        write_volume(image, case.image)
        write_volume(labels, case.labels)
    return image, labels


def measure(variant: str, count: int, options: argparse.Namespace) -> dict[str, float]:
    """Seconds per case to prepare, patches per second and memory in MB, in this process."""
    cases = [paths(options.folder, number) for number in range(count)]
    before = peak_mb()
    with tempfile.TemporaryDirectory(dir=options.folder) as cache:
        started = time.perf_counter()
        if variant == "ActiveSegLoop":
            draw = ours(cases, Path(cache))
        else:
            draw = monais(cases, Path(cache) if variant == "PersistentDataset" else None)
        prepared = time.perf_counter() - started
        draw()
        batches = max(1, options.patches // BATCH_SIZE)
        started = time.perf_counter()
        for _ in range(batches):
            draw()
        seconds = time.perf_counter() - started
    return {
        "prepare": prepared / count, "rate": batches * BATCH_SIZE / seconds,
        "peak": peak_mb(), "more": peak_mb() - before,
    }


def peak_mb() -> float:
    """The most memory this process ever had, in MB (10^6 bytes)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def report(found: dict[tuple[int, str], list[dict]], options: argparse.Namespace) -> None:
    """Print the medians, and how ours compares to each."""
    medians = {
        key: {name: statistics.median(one[name] for one in results) for name in results[0]}
        for key, results in found.items()
    }
    rows = []
    for (count, variant), row in medians.items():
        base = medians[count, VARIANTS[0]]
        rows.append((
            variant, count, f"{row['prepare']:.2f}", f"{row['prepare'] / base['prepare']:.1f}",
            f"{row['rate']:.1f}", f"{base['rate'] / row['rate']:.1f}",
            f"{row['peak']:.0f}", f"{row['more']:.0f}", f"{row['peak'] / base['peak']:.1f}",
        ))
    header = ("", "cases", "s/case", "x", "patches/s", "x", "peak MB", "above start", "x")
    print_table(header, rows, (
        "s/case: reading and preparing a case; x: the time it takes, and its memory, over ours",
        f"varied patches of {PATCH} voxels with their classes one-hot, in batches of {BATCH_SIZE}; "
        "ours also carries which voxels are annotated for which class",
        f"medians of {options.repeats} x {options.patches} patches, in turns",
    ))


def main() -> None:
    """Measure each variant with each number of cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--patches", type=int, default=100, help="in each measurement")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each, in turns")
    folder = Path(tempfile.gettempdir()) / "activesegloop-benchmark-loading"
    parser.add_argument("--folder", type=Path, default=folder, help=f"of the phantoms: {folder}")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.only:
        variant, count = options.only
        return print(json.dumps(measure(variant, int(count), options)))
    print(machine())
    for number in range(max(options.cases)):
        paths(options.folder, number)
    found = {(count, variant): [] for count in options.cases for variant in VARIANTS}
    for _ in range(options.repeats):
        for (count, variant), results in found.items():
            command = [sys.executable, *sys.argv, "--only", variant, str(count)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            results.append(json.loads(output.splitlines()[-1]))
    report(found, options)


if __name__ == "__main__":
    main()
