"""Add images to a study. They stay where they are; the study refers to them.

A folder stands for all volumes in it, a folder with a DICOM series for one image. Label files
are found by name: ct/p1.nii.gz and labels/p1.nii.gz. What is in the study already is skipped.

  activesegloop add kidneys ct/ --labels labels/ --group-regex "(patient\\d+)"
  activesegloop add brains mr/ --channels 2        # p1_0000.nii.gz and p1_0001.nii.gz are case p1
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs, positive
from ActiveSegLoopLib.jobs.wording import counted

if TYPE_CHECKING:
    from ActiveSegLoopLib.jobs.case_files import CaseFiles, LabelFolder
    from ActiveSegLoopLib.study.study import Study

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
        "--role", choices=["pool", "validation", "test"], default="pool",
        help="what the cases are for; it never changes (default: pool)",
    )
    parser.add_argument(
        "--group-regex", type=_regex, metavar="RE",
        help="finds the patient in an image's name; a patient's images share one role",
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
    from ActiveSegLoopLib.jobs.case_files import LabelFolder, find_cases

    study = job.open_study(options.study)
    cases = find_cases(options.images, options.channels)
    labels = LabelFolder(options.labels) if options.labels else None
    added: list[str] = []
    labeled: list[str] = []
    for index, case in enumerate(cases):
        job.should_stop.require_going_on(
            f"Stopped after {index} of {len(cases)} images; run the same command again to add the "
            "others."
        )
        try:
            new, has_labels = _add(study, case, labels, options)
            if new or has_labels:
                job.report("added", case=case.name, new=new, labels=has_labels)
            added += [case.name] if new else []
            labeled += [case.name] if has_labels else []
        except ActiveSegLoopError as error:
            job.problem(str(error))
        job.report("progress", stage="adding", step=index + 1, total=len(cases))
    missing = sorted(set(added) - set(labeled))
    if labels is not None and missing:
        job.report(
            "message",
            text=f"{len(missing)} of the images have no label file of their name, such as "
            f"{missing[0]}.",
        )
    known = len(cases) - len(added)
    if added or labeled or not job.failed:
        job.result(
            f"Added {counted(len(added), f'{options.role} case')}, {len(labeled)} with labels"
            + (f"; {known} were not added." if job.failed else
               f"; {known} were in the study already." if known else "."),
            added=added,
            labeled=labeled,
        )


def _add(
    study: Study, files: CaseFiles, labels: LabelFolder | None, options: Namespace
) -> tuple[bool, bool]:
    """Add one case; returns whether it is new and whether it got labels.

    What may be wrong with its labels is found before anything is added.
    """
    from ActiveSegLoopLib.images.reading import read_image
    from ActiveSegLoopLib.jobs.case_files import group_of
    from ActiveSegLoopLib.jobs.label_files import read_label_file

    path = labels.of(files.name) if labels is not None else None
    known = {case.name: case for case in study.cases()}.get(files.name)
    if known is not None:
        if not all(map(_is_at, known.channels, files.images)):
            raise ActiveSegLoopError(
                f"The study already has a case '{files.name}' with another image, "
                f"{known.channels[0]}; rename {files.images[0]}."
            )
        if path is None or study.latest(known) is not None:
            return False, False
    labelmap = None
    if path is not None:
        grid = read_image(files.images[0], options.series).geometry
        labelmap = read_label_file(path, study.schema, grid, files.images[0])
    case = known or study.add_case(
        files.images, files.name, options.role, group_of(files, options.group_regex),
        series=None if options.series is None else [options.series],
    )
    if labelmap is not None:
        study.add_revision(case, labelmap)
    return known is None, labelmap is not None


def _is_at(known: Path, given: Path) -> bool:
    """Whether a case's image is the one given, which may be a folder above a DICOM series."""
    return given.resolve() in (known.resolve(), *known.resolve().parents)
