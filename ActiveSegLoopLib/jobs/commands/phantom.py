"""Make kidney CT phantoms with their true labels, to try the program on.

  activesegloop phantom phantoms -n 6

Writes images/kidney-001.nrrd and labels/kidney-001.seg.nrrd and on. The same seed gives the same
images. Needs no PyTorch.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ActiveSegLoopLib.jobs.cancel import Cancelled
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs, not_negative, positive

SUMMARY = "make kidney CT phantoms to try the program on"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("out", type=Path, metavar="DIR", help="folder for the images and labels")
    parser.add_argument(
        "-n", "--count", type=positive, default=3, metavar="N", help="how many (default: 3)"
    )
    parser.add_argument(
        "--seed", type=not_negative, default=0, metavar="N", help="which ones (default: 0)"
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Make one after the other; each event "progress" names the case whose files are written."""
    from ActiveSegLoopLib.images.segmentation import write_segmentation
    from ActiveSegLoopLib.images.writing import write_volume
    from ActiveSegLoopLib.simulation.phantom import KIDNEY_LABELS, make_cohort
    from ActiveSegLoopLib.study.files import make_folder

    images, labels = options.out / "images", options.out / "labels"
    for folder in (images, labels):
        make_folder(folder)
    for step, case in enumerate(make_cohort(options.count, options.seed), 1):
        if job.should_stop():
            raise Cancelled(f"Stopped with {step - 1} of {options.count} phantoms made.")
        write_volume(images / f"{case.name}.nrrd", case.image)
        write_segmentation(
            labels / f"{case.name}.seg.nrrd", case.labels, KIDNEY_LABELS.segments()
        )
        job.report(
            "progress", stage="making phantoms", step=step, total=options.count, case=case.name
        )
    names = ",".join(f"{label.value}={label.name}" for label in KIDNEY_LABELS.labels)
    job.result(
        f"The images are in {images}, their true labels ({names}) in {labels}.",
        images=images.absolute(), labels=labels.absolute(), count=options.count,
    )
