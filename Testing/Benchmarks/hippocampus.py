"""Train on 100 hippocampi, test on the other 30; with --every 8, on every 8th slice only.

    python Testing/Benchmarks/hippocampus.py --out /tmp/hippocampus
    python Testing/Benchmarks/hippocampus.py --every 8 --out /tmp/hippocampus-8

Through the product as a user would: study, cases, label revisions, one round. The split is a
permutation of the sorted names (--split N: seeded with N): the first 100 are the pool, the others
the test cases, which training never sees. With --every N only every N-th axial slice of the pool is
labeled, and nothing else is in the label files. Prints Dice per label and minutes; writes
result.json into --out.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import real_data
import torch
from table import machine, print_table

from ActiveSegLoopLib.evaluation.overlap import dice_per_label, summarize
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.study.annotation import Annotation
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Study

POOL, TEST = 100, 30


def make_study(options: argparse.Namespace) -> tuple[Study, dict[str, Volume]]:
    """The study with its labeled pool, and the true labels of its test cases by name."""
    study = Study.create(options.out, LabelSchema.parse("1=anterior,2=posterior"))
    truth = {}
    for role, name in real_data.split(options, POOL):
        case = study.add_case([options.data / "images" / name], role=role)
        labels = read_labelmap(options.data / "labels" / name)
        if role == "test":
            truth[case.name] = labels
        elif options.every == 1:
            study.add_revision(case, labels)
        else:
            axis = labels.geometry.axis_of("axial")
            slices = range(options.every // 2, labels.geometry.shape[axis], options.every)
            drawn = np.zeros_like(labels.array)
            chosen = (slice(None),) * axis + (list(slices),)
            drawn[chosen] = labels.array[chosen]
            study.add_revision(case, labels.with_array(drawn), Annotation({"axial": tuple(slices)}))
    return study, truth


def main() -> None:
    """Train, test, print, write."""
    parser = real_data.options(__doc__.splitlines()[0], "hippocampus", POOL, TEST)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="label every N-th slice")
    parser.add_argument(
        "--no-hold-out", action="store_true",
        help="train on all cases of the pool and keep the last weights",
    )
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(machine())
    started = time.perf_counter()
    study, truth = make_study(options)
    finished = train_round(
        study, options.preset, options.device, options.iterations, options.seed, real_data.say,
        hold_out=False if options.no_hold_out else None,
    )
    predictor = Predictor.load(finished.folder, options.device)
    names = study.schema.names
    dice = {}
    for name, labels in truth.items():
        found = predictor.segment(study.volumes(study.case(name))).labelmap
        dice[name] = dice_per_label(labels.array, found.array, names)
    minutes = (time.perf_counter() - started) / 60
    rows = {name: [row[name] for row in dice.values()] for name in names.values()}
    rows["mean of both"] = [float(np.mean(list(row.values()))) for row in dice.values()]
    table = []
    for name, values in rows.items():
        found = summarize(values)
        table.append([name, f"{found.mean:.4f}", f"{found.sd:.4f}", f"{min(values):.4f}"])
    print_table([f"Dice, {len(dice)} unseen cases", "mean", "SD", "least"], table)
    print(f"{minutes:.1f} min for all of it with {torch.get_num_threads()} thread(s)")
    result = {
        "dice": dice, "mean": float(np.mean(rows["mean of both"])), "minutes": round(minutes, 1),
        "every": options.every, "split": options.split,
        "threads": torch.get_num_threads(), "machine": machine(),
        "preset": finished.preset, "seed": finished.seed, "settings": dict(finished.settings),
        "versions": dict(finished.versions), "stages": finished.metrics["stages"],
    }
    text = json.dumps(result, indent=1)
    (options.out / "result.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
