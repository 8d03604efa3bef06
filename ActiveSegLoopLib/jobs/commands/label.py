"""Add a segmentation of a case to a study. Earlier ones are kept.

The file holds the study's voxel values, or is a .seg.nrrd whose segments have the ids or names
of the study's labels. Slices and classes say what a person vouches for: the rest of the file is
neither structure nor background.

With --repeat it is a second labeling of what is labeled already. It replaces nothing: `advise`
tells from it how good the labels are. Draw it without looking at the first labels.

  activesegloop label kidneys patient17 corrected/patient17.seg.nrrd --origin corrected
  activesegloop label kidneys patient18 patient18.nii.gz --slices axial:12,40,60-64
  activesegloop label kidneys patient18 again.seg.nrrd --slices axial:12,40 --repeat
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs, names, positive, seconds, slices
from ActiveSegLoopLib.wording import counted

if TYPE_CHECKING:
    from ActiveSegLoopLib.study.schema import LabelSchema
    from ActiveSegLoopLib.study.study import Case, Study

SUMMARY = "add a segmentation of a case"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument("case", metavar="CASE", help="name of the case")
    parser.add_argument("file", type=Path, metavar="FILE", help="label map or .seg.nrrd")
    parser.add_argument(
        "--origin", choices=["manual", "corrected"], default="manual",
        help="drawn by hand, or corrected after a model (default: manual)",
    )
    parser.add_argument(
        "--round", type=positive, metavar="N",
        help="the round whose segmentation was corrected (default: the one in use)",
    )
    parser.add_argument(
        "--slices", type=slices, action="append", metavar="axial:12,40",
        help="only these slices are labeled, counted from 0 (may be given for several planes)",
    )
    parser.add_argument(
        "--classes", type=names, metavar="artery,vein", help="only these structures are labeled"
    )
    parser.add_argument("--annotator", metavar="NAME", help="who labeled it")
    parser.add_argument(
        "--seconds", type=seconds, action="append", default=[], metavar="artery=310",
        help="how long each structure took (may be given for several)",
    )
    parser.add_argument(
        "--repeat", action="store_true",
        help="labeled a second time, to measure the labels' quality; replaces nothing",
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Add the segmentation as a new revision."""
    from ActiveSegLoopLib.jobs.label_files import read_label_file
    from ActiveSegLoopLib.study.annotation import Annotation

    study = job.open_study(options.study)
    case = study.case(options.case)
    if options.repeat and options.origin != "manual":
        raise StudyError("A second labeling is drawn by hand: leave --origin out.")
    model_round = None
    if options.origin == "corrected":
        model_round = _corrected_round(study, case, options.round)
    elif options.round is not None:
        raise StudyError(
            f"A round is only named with what was corrected: give --origin corrected, or leave "
            f"--round {options.round} out."
        )
    chosen: dict[str, tuple[int, ...]] = {}
    for plane, numbers in options.slices or ():
        chosen[plane] = chosen.get(plane, ()) + numbers
    classes = options.classes and tuple(_label_id(study.schema, name) for name in options.classes)
    labelmap = read_label_file(
        options.file, study.schema, case.geometry, f"the case '{case.name}'"
    )
    annotation = Annotation(chosen or None, classes)
    seconds_by_id = {
        _label_id(study.schema, k): v for given in options.seconds for k, v in given.items()
    }
    what = "the whole volume" if not chosen else ", ".join(
        counted(len(set(numbers)), f"{plane} slice") for plane, numbers in chosen.items()
    )
    if options.repeat:
        repeat = study.add_repeat(case, labelmap, annotation, options.annotator, seconds_by_id)
        job.result(
            f"Second labeling of {case.name}, revision {repeat.revision}: {what}.",
            case=case.name,
            revision=repeat.revision,
            repeat=repeat.number,
            sha256=repeat.sha256,
        )
        return
    revision = study.add_revision(
        case,
        labelmap,
        annotation,
        origin=options.origin,
        model_round=model_round,
        annotator=options.annotator,
        seconds=seconds_by_id,
    )
    job.result(
        f"Revision {revision.number} of {case.name}: {what}, {options.origin}.",
        case=case.name,
        revision=revision.number,
        sha256=revision.sha256,
    )


def _label_id(schema: LabelSchema, text: str) -> str:
    """The id of the label with this id or name."""
    for label in schema.labels:
        if text == label.id or text.casefold() == label.name.casefold():
            return label.id
    raise StudyError(
        f"There is no label '{text}'; the study has {', '.join(x.name for x in schema.labels)}."
    )


def _corrected_round(study: Study, case: Case, number: int | None) -> int:
    """The round whose segmentation of the case was corrected: the one given, or the one in use."""
    chosen = study.current_round() if number is None else study.round(number)
    if chosen is not None and study.prediction(chosen, case) is not None:
        return chosen.number
    others = [str(r.number) for r in study.rounds() if study.prediction(r, case) is not None]
    if chosen is None or not others:
        raise StudyError(
            f"No round has segmented case '{case.name}', so there is nothing to correct: leave "
            "--origin corrected out, or segment the case first."
        )
    raise StudyError(
        f"Round {chosen.number} hasn't segmented case '{case.name}': name the round whose "
        f"segmentation was corrected ({', '.join(others)}) with --round."
    )
