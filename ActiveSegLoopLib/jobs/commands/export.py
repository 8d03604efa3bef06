"""Write a study's images and newest labels for other programs.

nnunet  the raw layout of nnU-Net v2; what wasn't annotated gets its ignore label
msd     the layout of the Medical Segmentation Decathlon; only wholly labeled cases

Test cases become the data set's test images, pool and validation cases its training images.
The exported label values are 1, 2, 3, ... in the order of the study's labels.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs
from ActiveSegLoopLib.jobs.wording import counted

SUMMARY = "write images and labels for nnU-Net or as a Decathlon data set"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument("--format", required=True, choices=["nnunet", "msd"])
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR",
        help="folder of the data set, new or empty (nnU-Net wants a name like Dataset001_Kidney)",
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Write the data set."""
    from ActiveSegLoopLib.jobs.exporting import export_dataset

    study = job.open_study(options.study)
    written = export_dataset(study, options.format, options.out, job.report, job.should_stop)
    job.result(
        f"Wrote {counted(written['training'], 'training case')} and "
        f"{counted(written['test'], 'test case')} to {options.out}.",
        **written,
    )
