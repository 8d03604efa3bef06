"""Propose what to label next: the slices or volumes that are worth an expert's time.

With a model its uncertainty is measured on the cases of the pool; before the first training the
most typical and most different images are chosen. The proposals are kept in the study.

  activesegloop propose kidneys -n 12
  activesegloop propose kidneys --unit volume -n 5 --strategy variance.sum
  activesegloop propose kidneys --preset rahimi2021                  the same, with its 5 passes
  activesegloop propose kidneys --plane coronal --min-distance 10 --per-case 2
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import (
    device,
    for_programs,
    millimeters,
    not_negative,
    positive,
)
from ActiveSegLoopLib.wording import counted

if TYPE_CHECKING:
    from ActiveSegLoopLib.study.proposals import StoredProposal
    from ActiveSegLoopLib.study.schema import LabelSchema

SUMMARY = "propose what to label next"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument(
        "--unit", choices=["slice", "volume"], help="what to propose (default: slice)"
    )
    parser.add_argument(
        "-n", "--count", type=positive, metavar="N", help="how many (default: 10)"
    )
    parser.add_argument(
        "--preset", metavar="NAME",
        help="choose as a paper did, rahimi2021 or zhang2020: unit, strategy, number and passes, "
        "as far as they aren't given",
    )
    parser.add_argument(
        "--strategy", metavar="NAME",
        help="how to choose (default: the best known for the unit; a wrong name lists all)",
    )
    parser.add_argument(
        "--plane", choices=["axial", "coronal", "sagittal"], default="axial",
        help="of the slices (default: axial)",
    )
    parser.add_argument(
        "--seed", type=not_negative, default=0, metavar="N",
        help="for everything that is drawn at random (default: 0)",
    )
    parser.add_argument(
        "--min-distance", type=millimeters, metavar="MM",
        help="between slices of a volume, proposed and labeled ones (default: 4 mm or 2 slices, "
        "less where too little is left)",
    )
    parser.add_argument(
        "--per-case", type=positive, metavar="N", help="at most so many slices of a volume"
    )
    parser.add_argument(
        "--per-class", action="store_true", help="as many proposals for each structure"
    )
    parser.add_argument(
        "--passes", type=positive, metavar="N",
        help="of Monte Carlo dropout (default: 10)",
    )
    device(parser)
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Propose, and keep the proposals in the study."""
    from ActiveSegLoopLib.selection.proposing import propose

    study = job.open_study(options.study)
    asked = _asked(options, study.current_round() is not None)

    def should_stop() -> bool:
        job.should_stop.require_going_on("Stopped; nothing was proposed.")
        return False

    found = propose(
        study, plane=options.plane, seed=options.seed, device=options.device,
        min_distance_mm=options.min_distance, per_case=options.per_case,
        per_class=options.per_class, report=job.report, should_stop=should_stop, **asked,
    )
    stored = study.save_proposals([proposal.to_dict() for proposal in found])
    unit, count = asked["unit"], asked["count"]
    if len(stored) < count:
        job.report(
            "message",
            text=f"Only {counted(len(stored), unit)} could be proposed, not {count}: "
            "nothing else is left under these rules.",
        )
    job.result(
        _table(stored, study.schema),
        unit=unit, strategy=found[0].strategy, round=found[0].round,
        batch=stored[0].batch, proposals=[proposal.to_dict() for proposal in stored],
    )


def _asked(options: Namespace, has_model: bool) -> dict[str, Any]:
    """What to choose and how: as given, else as the paper did, at first or with a model."""
    from ActiveSegLoopLib.selection.papers import paper_selection

    paper = options.preset and paper_selection(options.preset)
    if paper and options.unit in (None, paper.unit):
        strategy, count = (
            (paper.strategy, paper.count) if has_model else (paper.initial, paper.start)
        )
        usual = (paper.unit, strategy, count or 10, paper.passes)
    elif paper:
        raise SelectionError(
            f"{options.preset} chooses {paper.unit}s, not {options.unit}s: leave out --unit or "
            "--preset."
        )
    else:
        usual = ("slice", None, 10, 10)
    names = ("unit", "strategy", "count", "passes")
    given = (getattr(options, name) for name in names)
    return {
        name: one if value is None else value for name, value, one in zip(names, given, usual)
    }


def _table(stored: list[StoredProposal], schema: LabelSchema) -> str:
    """One line per proposal, the best first."""
    rows = [("", "case", "slice", "for", "why")]
    for proposal in stored:
        place = "whole volume" if proposal.plane is None else f"{proposal.plane} {proposal.index}"
        label = "" if proposal.label is None else schema.label(proposal.label).name
        rows.append(
            (str(proposal.position + 1), proposal.case, place, label, proposal.reason)
        )
    if not any(row[3] for row in rows[1:]):
        rows = [(*row[:3], row[4]) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column == 0 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )
