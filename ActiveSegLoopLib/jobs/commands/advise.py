"""Advise what to label next, by what this study has measured so far. Changes nothing.

It looks at the quality of the labels, at the learning curve of the rounds and at the labeling
times, says better labels, more volumes, more slices or stop, and shows the numbers.

  activesegloop advise kidneys
  activesegloop advise kidneys --target 0.85 --minutes 90
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs, not_negative, positive

SUMMARY = "advise what to label next, with the numbers"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument(
        "--target", type=_number, metavar="DICE", help="a mean Dice to reach, such as 0.85"
    )
    parser.add_argument(
        "--minutes", type=_number, default=60.0, metavar="N",
        help="labeling time to plan (default: 60)",
    )
    parser.add_argument(
        "--next", type=positive, metavar="N",
        help="how many more labels the expected gain is for (default: as many as a round brought)",
    )
    parser.add_argument(
        "--seed", type=not_negative, default=0, metavar="N", help="of the intervals (default: 0)"
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Show the advice."""
    from ActiveSegLoopLib.jobs.advising import sentences
    from ActiveSegLoopLib.selection.advice import advise

    study = job.open_study(options.study)
    advice = advise(study, options.target, options.minutes, options.next, options.seed)
    lines = sentences(advice)
    job.result("\n".join(lines), study=study.folder, sentences=lines, **advice.to_dict())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"'{text}' isn't a number") from None
