"""What a model's Dice owes to windows as large as the patches that it was trained on.

    python Testing/Benchmarks/windows.py STUDY --labels DIR

STUDY has trained rounds and test cases, such as the --out of hippocampus.py or the study of a run
of active_learning.py; DIR their true labels by name. Every round's model segments the test cases in
windows of the patch's size, as where there is no locator, and then with images up to 1.3 times as
large (per axis) in one piece, as in a cascade. Prints the mean Dice of both, and the difference
over the cases with its 95 % interval.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from table import machine, print_table

from ActiveSegLoopLib.evaluation.overlap import dice_per_label, mean_dice
from ActiveSegLoopLib.evaluation.statistics import paired_comparison
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.model.device import choose_device
from ActiveSegLoopLib.model.model_files import load_model
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.study.study import Study


def dice_of_cases(predictor: Predictor, study: Study, labels: Path) -> list[float]:
    """The mean Dice over the labels of each test case."""
    values = []
    for case in study.cases("test"):
        truth = read_labelmap(labels / f"{case.name}.nii.gz").array
        found = predictor.segment(study.volumes(case)).labelmap.array
        values.append(mean_dice(dice_per_label(truth, found, study.schema.names)))
    return values


def main() -> None:
    """Segment with both, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument("--labels", type=Path, required=True, metavar="DIR")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(machine())
    study = Study.open(options.study)
    rows = []
    for trained in study.rounds():
        if trained.state != "finished":
            continue
        model = load_model(trained.folder)
        dice = []
        for one_piece in (1.0, 1.3):
            stage = replace(model.plan.segmenter, one_piece=one_piece)
            changed = replace(model, plan=replace(model.plan, segmenter=stage))
            predictor = Predictor(changed, choose_device(options.device))
            dice.append(dice_of_cases(predictor, study, options.labels))
        found = paired_comparison(dice[1], dice[0])
        rows.append([
            str(trained.number), *(f"{np.nanmean(values):.4f}" for values in dice),
            f"{found.mean_difference:+.4f}",
            " to ".join(f"{end:+.4f}" for end in found.interval),
        ])
    print_table(["round", "patch-sized windows", "one piece", "difference", "95 %"], rows)


if __name__ == "__main__":
    main()
