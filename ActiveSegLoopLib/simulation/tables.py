"""The results of an experiment as text: one block per question, columns aligned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ActiveSegLoopLib.wording import counted

_MEASURES = {"aubc": "AUBC", "final_dice": "final Dice"}
# Of runs that ended earlier than others.
_NAMED = 3


def results_table(summary: Mapping) -> str:
    """All tables of a summary (see results.summarize_experiment), for people to read."""
    settings = summary["settings"]
    unit = settings["unit"]
    blocks = [_heading(summary), _strategies(summary, unit)]
    if settings["score_pool"]:
        blocks.append(_pool(summary["strategies"]))
    if summary["penalties"] and len(summary["penalties"]["seeds"]) > 2:
        blocks.append(_penalties(summary["penalties"]))
    if summary["tests"]:
        blocks.append(_tests(summary["tests"]))
    if summary["correlations"]:
        blocks.append(_correlations(summary["correlations"]))
    if settings["corrected"]:
        blocks.append(_effort(summary["runs"]))
    return "\n\n".join(blocks)


def _heading(summary: Mapping) -> str:
    settings, full = summary["settings"], summary["full"]
    lines = [
        f"{counted(summary['pool_cases'], 'pool case')}, "
        f"{counted(summary['test_cases'], 'test case')} that no model sees; "
        f"{counted(settings['seeds'], 'seed')}; {counted(settings['start'], settings['unit'])} to "
        f"begin with ({settings['initial']}), then {settings['step']} a round."
    ]
    if full["mean_dice"] is not None:
        per_label = ", ".join(f"{name} {number(value, 3)}" for name, value in full["dice"].items())
        lines.append(
            f"Trained on all labels: Dice {spread(full['mean_dice'], full['sd'], 4)} ({per_label})."
        )
    if not summary["finished"]:
        lines.append("Not all runs are finished: these are the results so far.")
    if settings["resplit"]:
        lines.append("Each seed has other pool and test cases, drawn from all of them.")
    elif _same_start(summary["runs"]):
        lines.append(
            "All seeds begin with the same labels and test cases: they differ by training and by "
            "what follows."
        )
    lines += _compared(summary)
    if any(found["share"][-1:] == [1] for found in summary["strategies"].values()):
        lines.append(
            "The last budget that is compared is the whole pool: no choice was left there, so that "
            "its Dice can't tell the strategies apart."
        )
    return "\n".join(lines + _versions(summary["runs"]))


def _same_start(runs: Sequence[Mapping]) -> bool:
    """Whether the first labels of several seeds are as many and took as much, to the last mm."""
    starts = [
        (run["foreground_share"][0], {name: values[0] for name, values in run["effort"].items()})
        for run in runs
    ]
    several = len({run["seed"] for run in runs}) > 1
    return several and all(start == starts[0] for start in starts)


def _compared(summary: Mapping) -> list[str]:
    """Up to which budget runs are compared, where some have come further than others."""
    rounds, runs = summary["compared_rounds"], summary["runs"]
    ahead = max((run["units"][rounds] for run in runs if len(run["units"]) > rounds), default=None)
    if ahead is None:
        return []
    behind = [
        f"{run['strategy']} (seed {run['seed']})"
        for run in runs if run["units"][rounds : rounds + 1] != [ahead]
    ]
    named = ", ".join(behind[:_NAMED])
    if len(behind) > _NAMED:
        named += f" and {len(behind) - _NAMED} more"
    has = "has" if len(behind) == 1 else "have"
    unit = summary["settings"]["unit"]
    if rounds == 0:
        return [f"Nothing is compared: {named} {has} no first round with {counted(ahead, unit)}."]
    last = runs[0]["units"][rounds - 1]
    return [
        f"All runs are compared up to {counted(last, unit)} only: {named} {has} no round with "
        f"{ahead}."
    ]


def _versions(runs: Sequence[Mapping]) -> list[str]:
    """What the runs were done with, where that differs."""
    differing = []
    for name in dict.fromkeys(name for run in runs for name in run["versions"]):
        found = dict.fromkeys(run["versions"].get(name, "unknown") for run in runs)
        if len(found) > 1:
            differing.append(f"{name} {' or '.join(found)}")
    if not differing:
        return []
    return [f"Not all runs were done with the same programs and device: {'; '.join(differing)}."]


def _strategies(summary: Mapping, unit: str) -> str:
    rows = []
    for name, found in summary["strategies"].items():
        last = found["share"][-1] if found["share"] else None
        rows.append([
            name, found["seeds"],
            *(spread(found[key]["mean"], found[key]["sd"], 4) for key in ("aubc", "final_dice")),
            percent(found["of_full"]), percent(last),
            *(needed(found["needed"][target], unit) for target in ("95%", "99%")),
            spread(found["fg_efficiency"]["mean"], found["fg_efficiency"]["sd"], 2),
            found["score"] or "-",
            spread(found["correlation"]["mean"], found["correlation"]["sd"], 2),
        ])
    return columns(
        ["strategy", "seeds", "AUBC", "final Dice", "of full", "labeled", "95 % of full at",
         "99 % of full at", "FG-Eff", "reports", "its rank corr."],
        rows,
    )


def _pool(strategies: Mapping) -> str:
    rows = [
        [name, spread(found["pool_dice"]["mean"], found["pool_dice"]["sd"], 4)]
        for name, found in strategies.items()
    ]
    title = "On the pool's volumes themselves, whatever of them is labeled (part A of Zhang 2020)"
    return f"{title}\n{columns(['strategy', 'final Dice'], rows)}"


def _penalties(found: Mapping) -> str:
    rows = [
        [name, *(number(value, 2) for value in row)]
        for name, row in zip(found["names"], found["matrix"], strict=True)
    ]
    title = "Pairwise penalties: at which share of the budgets the row beats the column (p < 0.05)"
    return f"{title}\n{columns(['', *found['names']], rows)}"


def _tests(tests: Sequence[Mapping]) -> str:
    rows = [
        [
            f"{_MEASURES[t['measure']]}: {t['b']} - {t['a']}", t["n"],
            number(t["mean_difference"], 4, sign=True),
            f"{number(t['interval_low'], 4, sign=True)} to "
            f"{number(t['interval_high'], 4, sign=True)}",
            number(t["t_p"], 4), number(t["holm_p"], 4), number(t["effect_size"], 1),
        ]
        for t in tests
    ]
    title = "Paired over the seeds (t-test; p adjusted for all pairs of a measure by Holm)"
    header = ["difference", "seeds", "mean", "95 % interval", "p", "Holm p", "effect d_z"]
    return f"{title}\n{columns(header, rows)}"


def _correlations(found: Mapping) -> str:
    rows = [
        [score, spread(values["mean"], values["sd"], 3),
         spread(values["last"]["mean"], values["last"]["sd"], 3), values["count"]]
        for score, values in found.items()
    ]
    title = "Rank correlation (Spearman) of each slice's score with 1 - its true Dice, test cases"
    lines = [title, columns(["score", "all rounds", "last round", "models"], rows)]
    if len({values["count"] for values in found.values()}) > 1:
        lines.append("Only scores that were measured on as many models compare with each other.")
    lines.append(
        "A slice's score, which the first table's strategies report, tells how well the model "
        "expects the slice to be segmented; strategies such as balanced, core_set or "
        "representative choose by more than that."
    )
    return "\n".join(lines)


def _effort(runs: Sequence[Mapping]) -> str:
    rows = []
    for run in runs:
        # The first labels are drawn, and the arrays sum up.
        effort = {name: values[-1] - values[0] for name, values in run["effort"].items()}
        rows.append([
            f"{run['strategy']}, seed {run['seed']}", number(effort["slices"], 0),
            number(effort["slices_changed"], 0), number(effort["voxels_changed"], 0),
            percent(effort["voxels_changed"] / max(1, effort["voxels_foreground"])),
            number(effort["contour_mm"] / 1000, 2),
        ])
    header = ["effort", "slices", "changed", "voxels changed", "of foreground", "contour, m"]
    title = "Corrections of the model's segmentation (without the first labels, drawn by hand)"
    return f"{title}\n{columns(header, rows)}"


def columns(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows under a header, the first column to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for first, *others in cells:
        line = [first.ljust(widths[0])]
        line += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(line).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def number(value: float | None, digits: int, sign: bool = False) -> str:
    """A number with so many digits behind the point; "-" for None."""
    return "-" if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def percent(value: float | None) -> str:
    """A share in percent."""
    return "-" if value is None else f"{100 * value:.1f} %"


def spread(mean: float | None, sd: float | None, digits: int) -> str:
    """Mean and standard deviation; the mean alone where there is only one value."""
    return number(mean, digits) + ("" if sd is None else f" ± {sd:.{digits}f}")


def needed(found: Mapping | None, unit: str) -> str:
    """The budget at which the mean curve reached a target."""
    if found is None:
        return "not reached"
    return f"{counted(found['units'], unit)} ({percent(found['share'])})"
