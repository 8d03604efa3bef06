"""Compare two or three segmentations: overlap, volume, surface distance, fit for 3D printing.

A, B and C are files, or folders whose files are matched by name. Every two of them are compared,
such as manual, model and corrected. The segments of .seg.nrrd files are matched by name, else by
id; other label maps by value. Surface distances are in mm from the points of each surface to the
closest point on the other's triangles, each direction and both together; of folders only both are
shown, --json and --csv have each.

  activesegloop compare manual.seg.nrrd model.seg.nrrd corrected.seg.nrrd
  activesegloop compare labels/ predicted/ --names manual model --csv comparison.csv
  activesegloop compare a.nii.gz b.nii.gz --labels "1=artery,2=vein" --surface distance.vtp
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs, names, not_negative, positive

SUMMARY = "compare segmentations: overlap, volume, surface distance"
_MEASURING = ("criterion", "weighting", "samples", "smoothing", "seed")


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("first", type=Path, metavar="A", help="the reference")
    parser.add_argument("second", type=Path, metavar="B")
    parser.add_argument("third", type=Path, metavar="C", nargs="?")
    parser.add_argument(
        "--names", nargs="+", metavar="NAME", help="what A, B and C are called in the result"
    )
    parser.add_argument(
        "--labels", metavar="1=artery,2=vein",
        help="names of the values in label maps that aren't .seg.nrrd",
    )
    parser.add_argument(
        "--only", type=names, metavar="artery,vein", help="compare only these structures"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every number as a table")
    parser.add_argument(
        "--surface", type=Path, metavar="FILE.vtp",
        help="write A's surfaces with the distance from B (mm, negative inside) at every point; "
        "with several cases or pairs one file each, their names added",
    )
    group = parser.add_argument_group("how it is measured")
    group.add_argument(
        "--tolerance", type=_millimeters, default=1.0, metavar="MM",
        help="of the surface Dice (default: 1)",
    )
    group.add_argument(
        "--limit", type=_millimeters, default=2.0, metavar="MM",
        help="below which a surface is fit for print (default: 2)",
    )
    group.add_argument(
        "--criterion", choices=["rms", "p95", "maximum"], default="rms",
        help="what must be below the limit (default: rms)",
    )
    group.add_argument(
        "--weighting", choices=["points", "area"], default="points",
        help="count every point alike, or by the area around it (default: points)",
    )
    group.add_argument(
        "--samples", type=positive, metavar="N",
        help="measure at N points drawn evenly over each surface instead of at its own",
    )
    group.add_argument("--seed", type=not_negative, default=0, help="of --samples (default: 0)")
    group.add_argument(
        "--smoothing", type=_factor, default=0.0, metavar="F",
        help="smooth the surfaces as 3D Slicer does, 0 to 1; it moves them (default: 0)",
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Compare, case by case."""
    from ActiveSegLoopLib.jobs.comparing import Comparing, names_of, require_places
    from ActiveSegLoopLib.jobs.comparison_tables import (
        DIRECTIONS,
        in_words,
        summary_in_words,
        write_csv,
    )
    from ActiveSegLoopLib.study.schema import LabelSchema

    paths = [path for path in (options.first, options.second, options.third) if path is not None]
    require_places(options.csv, options.surface)
    comparing = Comparing(
        paths,
        names_of(paths, options.names),
        LabelSchema.parse(options.labels).names if options.labels else None,
        options.only,
        options.surface,
        {"limit_mm": options.limit, "tolerance_mm": options.tolerance}
        | {name: getattr(options, name) for name in _MEASURING},
    )
    cases, alone = comparing.cases()
    for name in alone:
        job.report("warning", text=f"The case '{name}' is left out: not every folder has it.")
    found, written = [], []
    for index, (case, members) in enumerate(cases.items()):
        job.should_stop.require_going_on(
            f"Stopped after {index} of {len(cases)} cases; nothing is written of the others."
        )
        try:
            compared, files = comparing.compare(case, members, job.report)
            found += compared
            written += files
        except ActiveSegLoopError as error:
            if len(cases) == 1:
                raise
            job.problem(str(error))
        job.report("progress", stage="comparing", step=index + 1, total=len(cases))
    if options.csv is not None and found:
        write_csv(options.csv, found)
        written.append(options.csv)
    directions = DIRECTIONS if len(cases) == 1 else DIRECTIONS[-1:]
    text = [in_words(compared, directions) for compared in found]
    if len(cases) > 1 and found:
        text.append(summary_in_words(found))
    if written:
        text.append("\n".join(f"Wrote {path}." for path in written))
    job.result(
        "\n\n".join(text),
        comparisons=[compared.to_dict() for compared in found],
        left_out=alone,
        written=written,
    )


def _millimeters(text: str) -> float:
    """A length in mm, 0 or more."""
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", text):
        raise ArgumentTypeError(f"'{text}' isn't a length in mm such as 2 or 0.5")
    return float(text)


def _factor(text: str) -> float:
    """A number from 0 to 1."""
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", text) or float(text) > 1:
        raise ArgumentTypeError(f"'{text}' isn't a number from 0 to 1")
    return float(text)
