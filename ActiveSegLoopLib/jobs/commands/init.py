"""Make a study: a folder that will hold everything about one segmentation task.

  activesegloop init kidneys --labels "1=artery,2=vein"
  activesegloop init hippocampus --from Task04_Hippocampus/dataset.json
"""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs

SUMMARY = "make a study"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder to make")
    labels = parser.add_mutually_exclusive_group(required=True)
    labels.add_argument(
        "--labels", metavar="1=artery,2=vein", help="the structures: voxel value and name of each"
    )
    labels.add_argument(
        "--from", dest="dataset", type=Path, metavar="dataset.json",
        help="take the structures of a Decathlon or nnU-Net data set",
    )
    parser.add_argument(
        "--sides-alike", action="store_true",
        help="left and right look alike and no label tells them apart: training may mirror images",
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Make the study."""
    from ActiveSegLoopLib.study.schema import LabelSchema
    from ActiveSegLoopLib.study.study import Study

    if options.dataset is not None:
        schema = LabelSchema.from_dataset_json(options.dataset, not options.sides_alike)
    else:
        schema = LabelSchema.parse(options.labels, not options.sides_alike)
    study = Study.create(options.study, schema)
    names = ", ".join(f"{label.value}={label.name}" for label in schema.labels)
    job.result(
        f"Made the study {study.folder} with the labels {names}.\n"
        f"Next: activesegloop add {shlex.quote(str(study.folder))} IMAGE...",
        study=study.folder,
        **schema.to_dict(),
    )
