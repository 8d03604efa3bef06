"""Train on 100 hippocampus cases, test on the other 30, through the product as a user would.

    python Testing/Benchmarks/hippocampus.py --out /tmp/hippocampus
    python Testing/Benchmarks/hippocampus.py --every 8 --out /tmp/hippocampus-8

The split is a seeded permutation of the sorted names: the first 100 are the pool, the others the
test cases, which training never sees. With --every N only every N-th axial slice of the pool is
labeled. Prints Dice per class and minutes; writes result.json into --out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Run the benchmark."""
    options = _options()
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    from ActiveSegLoopLib.evaluation.overlap import dice_per_label
    from ActiveSegLoopLib.images.reading import read_labelmap
    from ActiveSegLoopLib.model.prediction import Predictor
    from ActiveSegLoopLib.model.rounds import train_round
    from ActiveSegLoopLib.study.annotation import Annotation
    from ActiveSegLoopLib.study.schema import LabelSchema
    from ActiveSegLoopLib.study.study import Study

    started = time.perf_counter()
    names = sorted(path.name for path in (options.data / "images").iterdir())
    order = np.random.default_rng(0).permutation(len(names))
    study = Study.create(options.out, LabelSchema.parse("1=anterior,2=posterior"))
    truth = {}
    for rank, index in enumerate(order):
        role = "pool" if rank < options.train else "test"
        case = study.add_case([options.data / "images" / names[index]], role=role)
        labels = read_labelmap(options.data / "labels" / names[index])
        if role == "pool":
            slices = range(options.every // 2, labels.geometry.shape[0], options.every)
            annotation = Annotation({"axial": tuple(slices)}) if options.every > 1 else Annotation()
            study.add_revision(case, labels, annotation)
        elif rank < options.train + options.test:
            truth[case.name] = labels
    finished = train_round(
        study, options.preset, options.device, options.iterations, options.seed, _report
    )
    predictor = Predictor.load(finished.folder, options.device)
    dice = {}
    for name, labels in truth.items():
        found = predictor.segment(study.volumes(study.case(name))).labelmap
        dice[name] = dice_per_label(labels.array, found.array, study.schema.names)
    minutes = (time.perf_counter() - started) / 60
    values = np.array([list(row.values()) for row in dice.values()])
    for name, column in zip(study.schema.names.values(), values.T, strict=True):
        spread = f"± {column.std(ddof=1):.4f}, min {column.min():.4f}"
        print(f"{name:10} Dice {column.mean():.4f} {spread}")
    print(f"mean Dice of both on {len(values)} unseen cases: {values.mean():.4f}")
    print(f"everything took {minutes:.1f} min with {options.threads or 'all'} thread(s)")
    result = {
        "dice": dice, "mean": float(values.mean()), "minutes": round(minutes, 1),
        "every": options.every, "threads": options.threads, "round": finished.metrics["stages"],
        "settings": dict(finished.settings), "versions": dict(finished.versions),
    }
    (options.out / "result.json").write_text(json.dumps(result, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = ROOT.parent / "shared" / "data" / "hippocampus"
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--out", type=Path, required=True, help="new folder for the study")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--train", type=int, default=100)
    parser.add_argument("--test", type=int, default=30)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    return parser.parse_args()


def _report(kind: str, **data) -> None:
    if kind in ("message", "warning"):
        print(data["text"])
    elif kind == "validation":
        print(f"step {data['step']}: validation Dice {data['dice']:.4f}", flush=True)


if __name__ == "__main__":
    main()
