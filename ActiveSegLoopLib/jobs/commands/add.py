"""Add images to a study. They stay where they are; the study refers to them.

A folder stands for all volumes in it, a folder with a DICOM series for one image. Label files
are found by name: ct/p1.nii.gz and labels/p1.nii.gz. What is in the study already is skipped.
Images of one name in several folders are called after these too: p1/ct.nii.gz is case p1-ct.

  activesegloop add kidneys ct/ --labels labels/ --group-regex "(patient\\d+)"
  activesegloop add brains mr/ --channels 2        # p1_0000.nii.gz and p1_0001.nii.gz are case p1
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs, positive
from ActiveSegLoopLib.wording import counted

if TYPE_CHECKING:
    from ActiveSegLoopLib.jobs.adding import Adding

SUMMARY = "add images, and labels that exist already"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE",
        help="image file, folder of images, or folder with a DICOM series",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="DIR",
        help="folder with whole-volume labels, each named like its image",
    )
    parser.add_argument(
        "--role", choices=["pool", "validation", "test"],
        help="what the cases are for; it never changes (default: pool)",
    )
    parser.add_argument(
        "--group-regex", type=_regex, metavar="RE",
        help="finds the patient in an image's name, or in its path where the pattern has a slash, "
        "as \"/(P[0-9]+)/\"; a patient's images share one role",
    )
    parser.add_argument(
        "--channels", type=positive, metavar="N",
        help="N images make a case: NAME_0000, NAME_0001, ...",
    )
    parser.add_argument(
        "--series", metavar="UID", help="which series of a DICOM folder that holds several"
    )
    for_programs(parser)


def _regex(text: str) -> re.Pattern:
    try:
        return re.compile(text)
    except re.error as error:
        raise ArgumentTypeError(f"'{text}' isn't a regular expression ({error})") from error


def run(options: Namespace, job: Job) -> None:
    """Add the images; one that can't be added doesn't keep the others out."""
    from ActiveSegLoopLib.jobs.adding import Adding
    from ActiveSegLoopLib.jobs.case_files import LabelFolder, find_cases, left_out

    study = job.open_study(options.study)
    cases = find_cases(options.images, options.channels, job.problem)
    for text in left_out(options.images):
        job.report("warning", text=text)
    labels = LabelFolder(options.labels) if options.labels else None
    adding = Adding(study, labels, options.role, options.group_regex, options.series)
    for index, case in enumerate(cases):
        job.should_stop.require_going_on(
            f"Stopped after {index} of {len(cases)} images; run the same command again to add the "
            "others."
        )
        try:
            adding.add(case, job.report)
        except ActiveSegLoopError as error:
            job.problem(str(error))
        job.report("progress", stage="adding", step=index + 1, total=len(cases))
    for text in _remarks(adding):
        job.report("message", text=text)
    added, labeled, role = adding.added, adding.labeled, options.role or "pool"
    known = len(cases) - len(added)
    if added or labeled or not job.failed:
        job.result(
            f"Added {counted(len(added), f'{role} case')}, {len(labeled)} with labels"
            + (f"; {known} were not added." if job.failed else
               f"; {known} were in the study already." if known else "."),
            added=added,
            labeled=labeled,
        )


def _remarks(adding: Adding) -> Iterator[str]:
    """What isn't wrong but may be other than expected."""
    if adding.renamed:
        name, image = next(iter(adding.renamed.items()))
        yield (
            f"{counted(len(adding.renamed), 'case')} got another name than the image's, which was "
            f"taken, such as '{name}' for {image}."
        )
    missing = sorted(set(adding.added) - set(adding.labeled))
    if adding.labels is not None and missing:
        yield (
            f"{len(missing)} of the images have no label file of their name, such as {missing[0]}."
        )
    if adding.kept:
        yield (
            f"{len(adding.kept)} of the cases have labels already, such as {adding.kept[0]}, and "
            "keep them: activesegloop label gives a case new ones."
        )
