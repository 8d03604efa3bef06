"""Fill in between a case's labeled slices, where that was measured to be as good as a label.

How good it is, is measured on the study's own labels: slices are left out and found again. The
result is a proposal, NAME.seg.nrrd in --out: look at it, correct it and hand it back by `label`.
Nothing in the study changes.

  activesegloop fill kidneys patient17 --out proposed/
"""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs
from ActiveSegLoopLib.wording import counted

SUMMARY = "interpolate between labeled slices, if that is good enough"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument("case", metavar="CASE", help="name of the case")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the proposal"
    )
    parser.add_argument(
        "--plane", choices=["axial", "coronal", "sagittal"],
        help="of the labeled slices (default: the one in which most are labeled)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a proposal that exists in --out"
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Measure, interpolate, write; or say why that would do harm."""
    from ActiveSegLoopLib.images.segmentation import write_segmentation
    from ActiveSegLoopLib.selection.between_slices import (
        interpolated,
        largest_good_gap,
        measured_on,
    )
    from ActiveSegLoopLib.selection.history import main_plane
    from ActiveSegLoopLib.study.files import make_folder

    study = job.open_study(options.study)
    case = study.case(options.case)
    revision = study.latest(case)
    if revision is None:
        raise StudyError(f"Case '{case.name}' has no labels to interpolate between.")
    out = options.out / f"{case.name}.seg.nrrd"
    if out.exists() and not options.overwrite:
        raise StudyError(f"{out} exists already; give --overwrite, or another --out.")
    plane = options.plane or main_plane(study)
    measured = measured_on(study, plane)
    found = interpolated(study, revision, measured, plane)
    make_folder(out.parent)
    write_segmentation(out, found, study.schema.segments())
    good = largest_good_gap(measured)
    command = shlex.join(["activesegloop", "label", str(options.study), case.name, str(out)])
    job.result(
        f"Between the labeled {plane} slices of {case.name} labels were interpolated: {out}. "
        f"{counted(good.measured.slices, 'slice')} left out, up to {good.gap_mm:.1f} mm apart, "
        f"were found again with an IoU of {good.measured.iou:.0%}. Look at it, then hand it back: "
        f"{command}",
        case=case.name, out=out, plane=plane, gap_mm=good.gap_mm, iou=good.measured.iou,
    )
