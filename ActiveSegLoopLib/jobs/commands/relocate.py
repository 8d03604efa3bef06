"""Tell a study where the image of a case lies now; it has to be the very image that was added."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs

SUMMARY = "tell a study where an image lies now"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument("case", metavar="CASE", help="name of the case")
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE",
        help="its image file or DICOM folder; of a case with several channels, all in their order",
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Compare the image with the one that was added, and note where it is."""
    study = job.open_study(options.study)
    case = study.relocate(study.case(options.case), options.images)
    places = ", ".join(map(str, case.channels))
    job.result(
        f"The image of case '{case.name}' is read from {places} now.",
        case=case.name, images=[str(path) for path in case.channels],
    )
