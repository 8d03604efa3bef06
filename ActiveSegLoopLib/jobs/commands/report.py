"""Write a report of a study: an HTML page with pictures, and every number as CSV and JSON.

Accuracy of each round on test and validation cases with what the differences are worth, surface
error, labeling time, agreement between annotators, the worst cases, and what was trained on what.
Predictions aren't made here: segment the test cases after each training.

  activesegloop report kidneys --out kidneys-report
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs, not_negative

SUMMARY = "write a report: accuracy, surface error, time, pictures"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR",
        help="folder for the report: new, empty, or with a former report to replace",
    )
    parser.add_argument(
        "--limit", type=_millimeters, default=2.0, metavar="MM",
        help="largest surface RMS that is fit for print (default: 2)",
    )
    parser.add_argument(
        "--tolerance", type=_millimeters, default=1.0, metavar="MM",
        help="distance up to which surfaces agree, for the surface Dice (default: 1)",
    )
    parser.add_argument(
        "--worst", type=not_negative, default=5, metavar="N",
        help="draw slices of so many of the worst cases (default: 5)",
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Write the report and say what it says first."""
    from ActiveSegLoopLib.evaluation.reporting.measuring import ReportSettings
    from ActiveSegLoopLib.evaluation.reporting.report import write_report

    study = job.open_study(options.study)
    settings = ReportSettings(options.limit, options.tolerance, options.worst)
    written = write_report(
        study, options.out, settings, str(options.study), job.report,
        lambda: job.should_stop.require_going_on("Stopped; no report was written."),
    )
    missing = [f"Missing: {sentence}" for sentence in written.missing]
    job.result(
        "\n".join([*written.essence, *missing, f"The report is {written.page.absolute()}."]),
        page=written.page.absolute(),
        folder=written.folder.absolute(),
        essence=list(written.essence),
        missing=list(written.missing),
    )


def _millimeters(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1000:
        raise ArgumentTypeError(f"'{text}' isn't a distance in mm larger than 0")
    return value
