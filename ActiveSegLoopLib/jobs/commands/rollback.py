"""Use an earlier round of a study again, or a later one; nothing is deleted.

Its model is the one that segments, proposes and is gone on from, until the next training ends.

  activesegloop rollback kidneys 2
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs, positive

SUMMARY = "use an earlier round again"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument("round", type=positive, metavar="ROUND", help="its number, see status")
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Make the round the current one."""
    study = job.open_study(options.study)
    before = study.current_round()
    now = study.roll_back(options.round)
    job.result(
        f"Round {now.number} is in use now.",
        round=now.number, before=before and before.number, model=now.folder,
    )
