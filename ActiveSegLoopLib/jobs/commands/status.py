"""Show where the loop of a study stands: cases, labels, rounds. Changes nothing."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import for_programs
from ActiveSegLoopLib.wording import counted

SUMMARY = "show where the loop of a study stands"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Show the state."""
    study = job.open_study(options.study)
    current = study.current_round()
    cases = {}
    for role in ("pool", "validation", "test"):
        members = study.cases(role)
        labeled = sum(study.latest(case) is not None for case in members)
        cases[role] = {"cases": len(members), "labeled": labeled}
    excluded = study.excluded()
    rounds = [
        {
            "round": item.number,
            "state": study.round_store.state_of(item),
            "reason": item.reason if item.state == "failed" else None,
            "preset": item.preset,
            "training_cases": len(item.revisions),
            "mean_dice": (item.metrics or {}).get("mean_dice"),
            "current": current is not None and item.number == current.number,
        }
        for item in study.rounds()
    ]
    lines = ["labels: " + ", ".join(f"{x.value}={x.name}" for x in study.schema.labels)]
    lines += [
        f"{role}: {counted(count['cases'], 'case')}, {count['labeled']} labeled"
        for role, count in cases.items()
    ]
    if excluded:
        lines.append(f"excluded: {', '.join(excluded)}")
    for item in rounds:
        reason = "" if not item["reason"] else f" ({item['reason'].rstrip('.')})"
        dice = "" if item["mean_dice"] is None else f", mean Dice {item['mean_dice']:.3f}"
        lines.append(
            f"round {item['round']}: {item['state']}{reason}, {item['preset']}, "
            f"{counted(item['training_cases'], 'training case')}{dice}"
            + ", current" * item["current"]
        )
    job.result(
        "\n".join(lines), study=study.folder, **study.schema.to_dict(), cases=cases,
        excluded=excluded, rounds=rounds,
    )
