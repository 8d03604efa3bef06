"""Go through the whole loop on made-up kidney CTs, with a program in place of the person.

Makes a cohort of phantoms and runs the three stages of Kim et al. 2020: train on a few labeled
cases, let the model segment new ones, correct those, train again. Ends with the Dice of each
structure and stage, the share of voxels that had to be corrected, and pictures.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from itertools import count
from pathlib import Path

from ActiveSegLoopLib.jobs.cancel import Cancelled
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import device, for_programs, not_negative

SUMMARY = "the whole loop on built-in kidney CT phantoms"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="new or empty folder for everything (default: demo, or demo-2, ... if that is taken)",
    )
    parser.add_argument(
        "--seed", type=not_negative, default=0, metavar="N", help="which phantoms (default: 0)"
    )
    device(parser)
    parser.add_argument(
        "--quick", action="store_true", help="fewer cases and steps, to see what happens"
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Run the stages and say where everything lies."""
    from ActiveSegLoopLib.model.trainer import Stopped
    from ActiveSegLoopLib.simulation.stages import StageSettings, run_stages

    out = options.out or _free_folder()
    settings = StageSettings(seed=options.seed, device=options.device)
    if options.quick:
        settings = StageSettings(
            new_cases=(2, 1, 1), test_cases=1, iterations=(30, 30, 30), seed=options.seed,
            device=options.device,
        )
    job.log.folder = out / "study" / "logs"
    try:
        result = run_stages(out, settings, job.report, job.should_stop)
    except Stopped as stopped:
        raise Cancelled(
            f"{stopped} What was made so far is in {out}; a demo doesn't go on where it stopped, "
            "but begins anew in another folder."
        ) from stopped
    job.result(
        f"{result.table}\n\n"
        f"Everything is in {result.folder.absolute()}: the study (study), its images (images), and "
        f"the pictures {' and '.join(path.name for path in result.pictures)}. The report is "
        f"{result.page.absolute()}.",
        folder=result.folder.absolute(),
        table=result.table,
        pictures=[path.absolute() for path in result.pictures],
        report=result.page.absolute(),
    )


def _free_folder() -> Path:
    names = (Path("demo" if number == 1 else f"demo-{number}") for number in count(1))
    return next(path for path in names if not path.exists() or not any(path.iterdir()))
