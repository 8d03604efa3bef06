"""Leave cases out of training, proposals, scores and exports; nothing of them is deleted.

For an image that is lost, or that turned out not to belong here. --undo takes them in again. Rounds
that were trained before stay as they are.

  activesegloop exclude kidneys patient17
  activesegloop exclude kidneys patient17 --undo
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs

SUMMARY = "leave cases out, or take them in again"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument("cases", nargs="+", metavar="CASE", help="names of cases")
    parser.add_argument("--undo", action="store_true", help="let them take part again")
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Exclude the cases, or include them again; all of them or, with a wrong name, none."""
    study = job.open_study(options.study)
    cases = [study.case(name) for name in dict.fromkeys(options.cases)]
    change = study.include if options.undo else study.exclude
    names = [change(case).name for case in cases]
    verb = "takes" if len(names) == 1 else "take"
    job.result(
        f"{', '.join(names)} {verb} part again." if options.undo else
        f"{', '.join(names)} {verb} no part from now on; --undo takes {_them(names)} in again.",
        cases=names, excluded=not options.undo,
    )


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
