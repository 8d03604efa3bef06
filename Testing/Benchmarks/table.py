"""What the benchmarks share: the machine in one line, interleaved timing, plain tables.

Every script here runs by its path (`python Testing/Benchmarks/training_rate.py`); this file also
makes the library beside it importable, installed or not.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(1, str(ROOT))


def machine(device: torch.device | None = None) -> str:
    """Processor, cores, memory, load, the GPU if one is used, and versions."""
    import monai

    parts = [_processor(), f"{os.cpu_count()} cores", f"{torch.get_num_threads()} threads used"]
    if hasattr(os, "sysconf"):
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        parts.append(f"{size / 1e9:.0f} GB")
    if hasattr(os, "getloadavg"):
        parts.append(f"load before {os.getloadavg()[0]:.1f}")
    if device is not None and device.type == "cuda":
        parts.append(torch.cuda.get_device_name(device))
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{', '.join(parts)}; {versions}, MONAI {monai.__version__}"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def print_table(header: Sequence[str], rows: Sequence[Sequence], notes: Sequence[str] = ()) -> None:
    """Rows under a header, the first column to the left, the others to the right; then notes."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for number, row in enumerate(cells):
        first, *others = row
        line = [first.ljust(widths[0])]
        line += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join(line).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    for note in notes:
        print(f"- {note}")


def seconds_of(work: Callable[[], object], device: torch.device, times: int = 1) -> float:
    """Seconds per call of `work`, over so many calls, the GPU's queue included."""
    _wait_for(device)
    started = time.perf_counter()
    for _ in range(times):
        work()
    _wait_for(device)
    return (time.perf_counter() - started) / times


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def interleaved(measures: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """The median of each measure, taken in turns: what else the machine does slows all alike."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(repeats):
        for name, measure in measures.items():
            found[name].append(measure())
    return {name: statistics.median(values) for name, values in found.items()}
