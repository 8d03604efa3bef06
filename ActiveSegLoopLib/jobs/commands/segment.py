"""Segment images with a study's model, or with a model folder.

An IMAGE is a file, a folder of images, a folder with a DICOM series, or the name of a case of
the study. Segmentations are written to --out as NAME.seg.nrrd on the image's own grid; those of
the study's cases are also kept in the study, and need no --out. With --uncertainty a map of how
unsure the model is comes beside each, as NAME.uncertainty.nii.gz: 0 to 100 percent of the largest
possible entropy, 0 outside the regions of interest. --maps writes single maps in their own units,
NAME.variance.nii.gz and so on, --scores a table with a line for every slice, NAME.scores.csv.

  activesegloop segment kidneys new/*.nii.gz --out proposed/
  activesegloop segment kidneys/models/round-002 ct.nrrd --out proposed/
  activesegloop segment kidneys ct.nrrd --out maps/ --maps variance,entropy --scores axial
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import device, for_programs, names, positive
from ActiveSegLoopLib.jobs.torchrun import part_and_parts
from ActiveSegLoopLib.jobs.wording import duration
from ActiveSegLoopLib.wording import counted

SUMMARY = "segment images with a trained model"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("model", type=Path, metavar="STUDY|MODEL")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the segmentations")
    device(parser)
    parser.add_argument(
        "--round", type=positive, metavar="N", help="of a study: this round's model instead"
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--overwrite", action="store_true", help="replace segmentations that exist in --out"
    )
    existing.add_argument(
        "--skip-existing", action="store_true",
        help="leave out images of which everything is there; no file that exists is written over",
    )
    parser.add_argument(
        "--nifti", action="store_true", help="write NAME.nii.gz with the voxel values instead"
    )
    parser.add_argument(
        "--series", metavar="UID", help="which series of a DICOM folder that holds several"
    )
    parser.add_argument(
        "--uncertainty", action="store_true",
        help="also write a map of how unsure the model is, in percent",
    )
    parser.add_argument(
        "--maps", type=_maps, default=(), metavar="NAME,...",
        help="also write these maps: entropy, variance, mutual_information, attention",
    )
    parser.add_argument(
        "--scores", choices=["axial", "coronal", "sagittal"],
        help="also write the scores of each slice of this plane and of the volume, as a table",
    )
    parser.add_argument(
        "--passes", type=positive, default=10, metavar="N",
        help="of Monte Carlo dropout, for maps and scores (default: 10)",
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Segment the images; one that can't be segmented doesn't keep the others back."""
    from ActiveSegLoopLib.jobs.map_files import Extras
    from ActiveSegLoopLib.jobs.segmenting import Segmenter, require_room_for

    extras = Extras(options.uncertainty, options.maps, options.scores, options.passes)
    if extras.outside and options.out is None:
        raise ActiveSegLoopError("Maps and scores need a folder to be written to: give --out.")
    if options.out is not None:
        require_room_for(options.out)
    segmenter = Segmenter(options.model, options.device, job.open_study, options.round)
    ending = ".nii.gz" if options.nifti else ".seg.nrrd"
    work = segmenter.tasks(options.images, options.out, ending, options.series)
    if options.skip_existing:
        work = [item for item in work if not segmenter.has_all(item, extras)]
    outputs = [path for item in work for path in item.outputs(extras)]
    existing = [path for path in outputs if path.exists()]
    if existing and not (options.overwrite or options.skip_existing):
        raise ActiveSegLoopError(
            f"{existing[0]} exists already"
            + (f", and {len(existing) - 1} more" if len(existing) > 1 else "")
            + "; give --overwrite or --skip-existing, or another --out."
        )
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    # Under torchrun the images are shared out among the processes.
    part, parts = part_and_parts()
    work = work[part::parts]
    done = []
    for index, item in enumerate(work):
        job.should_stop.require_going_on(
            f"Stopped after {index} of {len(work)} images; to do the others, run the same command "
            "again with --skip-existing."
        )
        try:
            answer = segmenter.segment(item, extras, options.skip_existing)
            for text in answer["warnings"]:
                job.report("warning", text=f"{item.name}: {text}")
            job.report("segmented", **answer)
            done.append(answer)
        except ActiveSegLoopError as error:
            job.problem(str(error))
        job.report("progress", stage="segmenting", step=index + 1, total=len(work))
    seconds = sum(answer["seconds"] for answer in done)
    if done or not job.failed:
        job.result(
            f"Segmented {counted(len(done), 'image')} in {duration(seconds)}."
            + (f" They are in {options.out}." if options.out and done else ""),
            segmented=done,
        )


def _maps(text: str) -> tuple[str, ...]:
    """Names of maps, each once."""
    from ActiveSegLoopLib.jobs.map_files import MAPS

    found = tuple(dict.fromkeys(name.replace("-", "_") for name in names(text)))
    strange = [name for name in found if name not in MAPS]
    if strange:
        raise ArgumentTypeError(f"there is no map '{strange[0]}': use {', '.join(MAPS)}")
    return found
