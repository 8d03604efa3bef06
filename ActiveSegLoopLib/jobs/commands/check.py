"""Verify every file of a study against its records; with --repair, mend what a crash left behind.

The exit status is 1 when problems remain.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs
from ActiveSegLoopLib.wording import counted

SUMMARY = "verify every file of a study"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument("--repair", action="store_true", help="mend what can be mended")
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """List the problems."""
    from ActiveSegLoopLib.study.checking import check

    study = job.open_study(options.study)
    problems = check(study, repair=options.repair)
    left = [problem for problem in problems if not problem.repaired]
    lines = [
        f"{'Repaired' if problem.repaired else 'Problem'}: {problem.message}"
        for problem in problems
    ]
    job.result(
        "\n".join(lines) or "No problems found.",
        problems=[asdict(problem) for problem in problems],
    )
    if left:
        mended = sum(problem.repairable for problem in left)
        hint = f"; --repair mends {mended}" if mended and not options.repair else ""
        job.problem(f"{counted(len(left), 'problem')} found in {study.folder}{hint}.")
