"""Options that several commands share, and how the values of options are read."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

_MOST_SLICES = 100_000  # of any image


def for_programs(parser: argparse.ArgumentParser) -> None:
    """Options for a program that runs a command and follows it."""
    group = parser.add_argument_group("for programs")
    output = group.add_mutually_exclusive_group()
    output.add_argument(
        "--events", choices=["json"], help="print one JSON event per line instead of progress bars"
    )
    output.add_argument("--json", action="store_true", help="print the result as one JSON object")
    group.add_argument(
        "--cancel-file", type=Path, metavar="FILE", help="stop kindly when this file appears"
    )
    group.add_argument(
        "--cancel-on-stdin-close", action="store_true",
        help="stop kindly when standard input is closed",
    )
    debugging(parser)


def debugging(parser: argparse.ArgumentParser) -> None:
    """What a developer wants."""
    parser.add_argument(
        "--debug", action="store_true", help="show where in the program an error arose"
    )


def device(parser: argparse.ArgumentParser) -> None:
    """Where the model runs."""
    parser.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda",
        help="where the model runs (default: the GPU if there is one)",
    )


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not re.fullmatch(r"\d+", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' isn't a whole number from 1 on")
    return int(text)


def not_negative(text: str) -> int:
    """A whole number from 0 on."""
    if not re.fullmatch(r"\d+", text):
        raise argparse.ArgumentTypeError(f"'{text}' isn't a whole number from 0 on")
    return int(text)


def millimeters(text: str) -> float:
    """A distance of 0 mm or more."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' isn't a distance in mm, 0 or more")
    return number


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise argparse.ArgumentTypeError("at least one name is needed")
    return found


def slices(text: str) -> tuple[str, tuple[int, ...]]:
    """The plane and slice numbers of "axial:12,40,60-64"; numbers count from 0."""
    plane, _, numbers = text.partition(":")
    found: dict[int, None] = {}
    for part in numbers.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if plane not in ("axial", "coronal", "sagittal") or not match:
            raise argparse.ArgumentTypeError(
                f"'{text}' isn't a plane and slice numbers such as axial:12,40,60-64 "
                "(axial, coronal or sagittal)"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise argparse.ArgumentTypeError(f"'{part.strip()}' in '{text}' runs backwards")
        if last >= _MOST_SLICES:
            raise argparse.ArgumentTypeError(
                f"'{part.strip()}' in '{text}' goes beyond slice {_MOST_SLICES - 1}, which no "
                "image has"
            )
        found |= dict.fromkeys(range(first, last + 1))
    return plane, tuple(found)


def seconds(text: str) -> dict[str, float]:
    """Seconds per label of "artery=310,vein=42.5"."""
    found = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        if not name.strip() or not re.fullmatch(r"\s*\d+(\.\d+)?\s*", number):
            raise argparse.ArgumentTypeError(
                f"'{part}' isn't a label and seconds such as artery=310"
            )
        found[name.strip()] = float(number)
    return found
