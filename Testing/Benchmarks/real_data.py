"""What the benchmarks on real images share: their options, their split, what training says."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from table import ROOT


def options(description: str, folder: str, pool: int, test: int) -> argparse.ArgumentParser:
    """A parser of the options of a training on the images of ../shared/data/`folder`."""
    parser = argparse.ArgumentParser(description=description)
    data = ROOT.parent / "shared" / "data" / folder
    parser.add_argument("--data", type=Path, default=data, help=f"default {data}")
    parser.add_argument("--out", type=Path, required=True, help="new folder for the study")
    parser.add_argument("--train", type=int, default=pool, help="train on so many of the pool")
    parser.add_argument("--test", type=int, default=test, help="test on so many of the others")
    parser.add_argument("--split", type=int, default=0, metavar="N", help="which one (default 0)")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0, help="of the training, not of the split")
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    return parser


def split(chosen: argparse.Namespace, pool: int) -> list[tuple[str, str]]:
    """(role, file name) of each case: a permutation of the sorted names, seeded with --split.

    Its first `pool` names are the pool, the others the test cases, however few of them are used.
    """
    names = sorted(path.name for path in (chosen.data / "images").iterdir())
    order = np.random.default_rng(chosen.split).permutation(len(names))
    names = [names[index] for index in order]
    trained = [("pool", name) for name in names[: min(chosen.train, pool)]]
    return trained + [("test", name) for name in names[pool : pool + chosen.test]]


def say(kind: str, **data) -> None:
    """Print what training reports that is worth reading."""
    if kind in ("message", "warning"):
        print(data["text"], flush=True)
    elif kind == "validation":
        text = f"{data['stage']}, step {data['step']}: validation Dice {data['dice']:.4f}"
        print(text, flush=True)
