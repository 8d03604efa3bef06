"""Train on 79 head-and-neck CTs, test on the other 20: the cascade against the whole volume.

    python Testing/Benchmarks/headneck.py --out /tmp/headneck

Through the product as a user would: study, cases, label revisions, one round. The split is a
seeded permutation of the sorted names: the first 79 are the pool, the others the test cases, which
training never sees. Prints how much of the organs the locator's boxes hold, the Dice per organ,
and the same of the very segmenter run over the whole volume by MONAI's sliding windows (overlap
0.5), in turns; writes result.json into --out. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import real_data
import torch
from table import machine, print_table
from whole_volume import segment_whole

from ActiveSegLoopLib.evaluation.overlap import dice_per_label, summarize
from ActiveSegLoopLib.images.orientation import to_lps
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.prediction import Prediction, Predictor
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Study

ORGANS = "1=brainstem,2=spinal cord,3=right parotid,4=left parotid,5=mandible"
POOL = 79


def make_study(options: argparse.Namespace) -> tuple[Study, dict[str, Volume]]:
    """The study with its labeled pool, and the true labels of its test cases by name."""
    study = Study.create(options.out, LabelSchema.parse(ORGANS))
    truth = {}
    for role, name in real_data.split(options, POOL):
        case = study.add_case([options.data / "images" / name], role=role)
        labels = read_labelmap(options.data / "labels" / name)
        # 6 and 7, esophagus and larynx, are contoured in some cases only.
        labels = labels.with_array(np.where(labels.array <= 5, labels.array, 0).astype(np.uint8))
        if role == "pool":
            study.add_revision(case, labels)
        else:
            truth[case.name] = labels
    return study, truth


def containment(truth: Volume, prediction: Prediction) -> dict[str, float]:
    """Labeled voxels, how many of them the boxes hold, and the boxes' share of the volume."""
    labeled = to_lps(truth).array > 0
    inside = np.zeros(labeled.shape, bool)
    for box in prediction.boxes:
        inside[box.slices] = True
    return {
        "labeled": int(labeled.sum()), "inside": int((labeled & inside).sum()),
        "volume": float(inside.mean()), "boxes": len(prediction.boxes),
        "warnings": list(prediction.warnings),
    }


def segment_both(study: Study, truth: dict[str, Volume], predictor: Predictor) -> dict[str, dict]:
    """Per test case what the cascade and the whole volume come to, and how long they take."""
    found = {}
    for name, labels in truth.items():
        volumes = study.volumes(study.case(name))
        cascade = predictor.segment(volumes)
        whole = segment_whole(predictor.model, volumes, predictor.device)
        found[name] = {
            "cascade": dice_per_label(labels.array, cascade.labelmap.array, study.schema.names),
            "whole": dice_per_label(labels.array, whole.labelmap.array, study.schema.names),
            "cascade seconds": cascade.seconds, "whole seconds": whole.seconds,
            "windows": whole.windows, **containment(labels, cascade),
        }
    return found


def print_result(found: dict[str, dict]) -> dict:
    """Print containment and table; return their figures."""
    cases = list(found.values())
    shares = [case["inside"] / case["labeled"] for case in cases]
    pooled = sum(case["inside"] for case in cases) / sum(case["labeled"] for case in cases)
    volume = np.mean([case["volume"] for case in cases])
    print(f"The boxes hold {pooled:.2%} of the foreground of {len(cases)} unseen cases (mean over "
          f"cases {np.mean(shares):.2%}, least {min(shares):.2%}) in {volume:.1%} of the volume; "
          f"{sum(bool(case['warnings']) for case in cases)} cases with a warning.")
    rows = []
    summary = {"contained": pooled, "contained least": min(shares), "boxes of volume": volume}
    for organ in (*cases[0]["cascade"], "mean"):
        row = [organ]
        for how in ("cascade", "whole"):
            values = [float(np.nanmean(list(case[how].values()))) if organ == "mean"
                      else case[how][organ] for case in cases]
            overall = summarize(values)
            row += [f"{overall.mean:.4f}", f"{overall.sd:.4f}", f"{np.nanmin(values):.4f}"]
            summary[f"{how} {organ}"] = overall.mean
        rows.append(row)
    seconds = {how: sum(case[f"{how} seconds"] for case in cases) for how in ("cascade", "whole")}
    ratios = [case["whole seconds"] / case["cascade seconds"] for case in cases]
    summary |= {"seconds": seconds, "times as fast": seconds["whole"] / seconds["cascade"]}
    windows = np.median([case["windows"] for case in cases])
    print_table(("Dice", "cascade", "SD", "min", "whole", "SD", "min"), rows, (
        f"cascade {seconds['cascade'] / len(cases):.2f} s a case, whole volume "
        f"{seconds['whole'] / len(cases):.2f} s ({windows:.0f} windows): "
        f"{summary['times as fast']:.1f} times as long (median over cases "
        f"{np.median(ratios):.1f}, least {min(ratios):.1f})",
    ))
    return summary


def main() -> None:
    """Train, segment the test cases both ways, print and write the result."""
    parser = real_data.options(__doc__.splitlines()[0], "headneck_ct", POOL, 20)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    started = time.perf_counter()
    study, truth = make_study(options)
    finished = train_round(
        study, options.preset, options.device, options.iterations, options.seed, real_data.say
    )
    trained = time.perf_counter()
    predictor = Predictor.load(finished.folder, options.device)
    print(machine(predictor.device))
    found = segment_both(study, truth, predictor)
    summary = print_result(found)
    minutes = {"training": (trained - started) / 60, "all": (time.perf_counter() - started) / 60}
    print(f"- {minutes['training']:.1f} min to read and train, {minutes['all']:.1f} min in all")
    result = {
        "summary": summary, "minutes": minutes, "cases": found, "threads": torch.get_num_threads(),
        "plan": predictor.model.plan.to_dict(), "round": dict(finished.metrics),
        "settings": dict(finished.settings), "preset": options.preset, "seed": options.seed,
        "versions": dict(finished.versions),
    }
    (options.out / "result.json").write_text(json.dumps(result, indent=1, default=float))


if __name__ == "__main__":
    main()
