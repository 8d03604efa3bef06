"""Train a model on the study's newest labels; it becomes the study's next round.

A training that was stopped or killed goes on with the same command, also after trainings with other
settings. With several GPUs:
torchrun --nproc-per-node 2 -m ActiveSegLoopLib train STUDY
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ActiveSegLoopLib.jobs.cancel import Cancelled
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import device, for_programs, not_negative, positive
from ActiveSegLoopLib.jobs.wording import duration
from ActiveSegLoopLib.wording import counted

if TYPE_CHECKING:
    from ActiveSegLoopLib.study.rounds import Round

SUMMARY = "train a model on what is labeled"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument(
        "--preset", default="default", metavar="NAME",
        help="the recipe: default, fast (a first impression), or a paper's: kim2020, rahimi2021, "
        "zhang2020",
    )
    device(parser)
    parser.add_argument(
        "--iterations", type=positive, metavar="N", help="how long (default: the preset's)"
    )
    parser.add_argument(
        "--seed", type=not_negative, default=0, metavar="N",
        help="for everything that is drawn at random (default: 0)",
    )
    parser.add_argument(
        "--no-hold-out", dest="hold_out", action="store_false", default=None,
        help="for a final model: train on all labeled cases of the pool, none of them held out to "
        "validate; the last weights are kept, and how good they are isn't measured",
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Train one round."""
    study = job.open_study(options.study)
    from ActiveSegLoopLib.model.rounds import train_round
    from ActiveSegLoopLib.model.trainer import Stopped

    try:
        finished = train_round(
            study, options.preset, options.device, options.iterations, options.seed,
            report=job.report, should_stop=job.should_stop, hold_out=options.hold_out,
        )
    except Stopped as stopped:
        raise Cancelled(f"{stopped} To go on, run the same command again.") from stopped
    metrics = {key: value for key, value in finished.metrics.items() if key != "stages"}
    job.result(_in_words(finished), round=finished.number, model=finished.folder, metrics=metrics)


def _in_words(finished: Round) -> str:
    metrics = finished.metrics
    lines = [
        f"Round {finished.number}: trained on {counted(metrics['training_cases'], 'case')} in "
        f"{duration(metrics['seconds'])}; the model is in {finished.folder}."
    ]
    if metrics.get("dice"):
        lines.append(f"Dice on {counted(len(metrics['validation']), 'held-out case')}:")
        width = max(map(len, metrics["dice"]))
        for name, value in metrics["dice"].items():
            shown = "none there" if value is None else f"{value:.3f}"
            lines.append(f"  {name:{width}}  {shown}")
    return "\n".join(lines)
