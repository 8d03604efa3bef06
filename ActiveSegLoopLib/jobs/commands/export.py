"""Write a study for other programs: its images and newest labels, or its model.

nnunet  the raw layout of nnU-Net v2; what wasn't annotated gets its ignore label
msd     the layout of the Medical Segmentation Decathlon; only wholly labeled cases
bundle  the model in use, or that of a model folder, as a MONAI bundle, which runs with MONAI alone

Test cases become the data set's test images, pool and validation cases its training images.
The label values of a data set are 1, 2, 3, ... in the order of the study's labels; a bundle gives
the study's own.

  activesegloop export kidneys --format nnunet --out Dataset001_Kidney
  activesegloop export kidneys --format bundle --out kidney_bundle
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs
from ActiveSegLoopLib.wording import counted

SUMMARY = "write images and labels for nnU-Net or as a Decathlon data set, or a MONAI bundle"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument(
        "source", type=Path, metavar="STUDY|MODEL",
        help="a study; for a bundle also a model folder, such as STUDY/models/round-002",
    )
    parser.add_argument("--format", required=True, choices=["nnunet", "msd", "bundle"])
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR",
        help="folder to write, new or empty (nnU-Net wants a name like Dataset001_Kidney)",
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Write the data set or the bundle."""
    from ActiveSegLoopLib.jobs.exporting import export_dataset, require_new

    if options.format == "bundle":
        from ActiveSegLoopLib.jobs.bundling import export_bundle
        from ActiveSegLoopLib.jobs.segmenting import Segmenter

        require_new(options.out)
        model = Segmenter(options.source, "cpu", job.open_study).predictor.model
        bundle = export_bundle(model, options.out)
        job.result(
            f"Wrote a MONAI bundle to {options.out}; docs/README.md in it says how to run it, and "
            "LICENSE and configs/metadata.json have places to fill in.",
            **bundle,
        )
        return
    study = job.open_study(options.source)
    written = export_dataset(study, options.format, options.out, job.report, job.should_stop)
    job.result(
        f"Wrote {counted(written['training'], 'training case')} and "
        f"{counted(written['test'], 'test case')} to {options.out}.",
        **written,
    )
