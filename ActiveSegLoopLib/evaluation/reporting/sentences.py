"""What a report says in sentences: the essence, what is missing, and how it was measured."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from ActiveSegLoopLib.evaluation.reporting.measuring import Measured
from ActiveSegLoopLib.evaluation.reporting.stage_tables import MEAN, StageEvaluation
from ActiveSegLoopLib.evaluation.reporting.surface_pairs import LABELS_MODEL
from ActiveSegLoopLib.evaluation.reporting.table import Row, duration_text, p_text
from ActiveSegLoopLib.evaluation.stage_table import TOTAL

_NO_PREDICTION = "no prediction is kept"


def essence(measured: Measured) -> list[str]:
    """The few sentences to read if one reads no more."""
    said = []
    if measured.main is None:
        said.append(_nothing_scored(measured))
    else:
        said += _accuracy(measured, measured.main)
        said += _changes(measured, measured.main)
    said += _surface(measured) + _time(measured)
    return said


def _nothing_scored(measured: Measured) -> str:
    if measured.round is None:
        return "No model has been trained yet, so that there is no accuracy to report."
    if not any(measured.study.cases(role) for role in ("test", "validation")):
        return (
            "The study has no test or validation cases, so that no model can be scored on cases it "
            "was never trained on: add some with activesegloop add --role test."
        )
    return "No round could be scored on a test or validation case; see what is missing below."


def _accuracy(measured: Measured, main: StageEvaluation) -> list[str]:
    stage = next(s for s in main.stages() if s.name == f"round {main.reference}")
    total = stage.dice(TOTAL)
    current = measured.study.current_round()
    in_use = ", the one in use," if current and current.number == main.reference else ""
    said = [
        f"The model of round {main.reference}{in_use} was trained on {_cases(stage.training_cases)}"
        f" and scored on {_cases(len(main.cases))} of the role {main.role} "
        f"({_patients(main.patients())}), none of which it was trained on."
    ]
    if total.count:
        spread = "" if math.isnan(total.sd) else f" ± {100 * total.sd:.1f}"
        said[0] += f" Dice: {100 * total.mean:.1f}{spread} % (n = {total.count} structures)."
    if main.role == "validation":
        said.append(
            "These validation cases also chose the weights of the model, which flatters it: only "
            "test cases show how good it is on new ones."
        )
    by_structure = {
        name: stage.dice(name) for name in stage.structures if stage.dice(name).count
    }
    if len(by_structure) > 1:
        worst = min(by_structure, key=lambda name: by_structure[name].mean)
        found = by_structure[worst]
        said.append(
            f"The structure found worst is {worst}: Dice {100 * found.mean:.1f} % "
            f"(n = {found.count})."
        )
    corrected = [s.truth for s in main.scored(main.reference) if s.truth.origin == "corrected"]
    if corrected:
        rounds = sorted({number for truth in corrected for number in truth.began_with})
        began = f" of round {', '.join(map(str, rounds))}" if rounds else ""
        said.append(
            f"Beware: the labels of {_cases(len(corrected))} were corrected from a model's output"
            f"{began}, not drawn independently, which favors models like it."
        )
    return said


def _changes(measured: Measured, main: StageEvaluation) -> list[str]:
    (table,) = measured.shown(f"comparisons_{main.role}") or (None,)
    if table is None:
        return []
    others = [r.number for r in main.rounds if r.number != main.reference]
    before = max((n for n in others if n < main.reference), default=others[-1])
    row = next(r for r in table.rows if r["from_round"] == before and r["structure"] == MEAN)
    return [f"From round {before} to round {main.reference} the mean Dice changed by "
            f"{_change(row)}"]


def _change(row: Row) -> str:
    if math.isnan(row["mean_difference"]):
        return f"an unknown amount. {row['reading']}"
    points = f"{100 * row['mean_difference']:+.1f}".replace("-", "−")
    if math.isnan(row["t_p"]):
        return f"{points} points (n = {row['n']}). {row['reading']}"
    low, high = (
        f"{100 * row[key]:.1f}".replace("-", "−") for key in ("interval_low", "interval_high")
    )
    return (
        f"{points} points (95 % interval {low} to {high}, n = {row['n']}, effect size "
        f"{row['effect_size']:.2f}, Holm-adjusted p {_equals(row['t_p_holm'])}): "
        f"{row['reading']}"
    )


def _equals(p: float) -> str:
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def _surface(measured: Measured) -> list[str]:
    (table,) = measured.shown("surface_summary") or (None,)
    rows = [] if table is None else [
        r for r in table.rows if r["structure"] == TOTAL and r["comparison"] == LABELS_MODEL
    ]
    if not rows or not rows[0]["n"]:
        return []
    (row,) = rows
    sd = row["rms_sd_across_cases"]
    spread = "" if math.isnan(sd) else f" ± {sd:.2f}"
    return [
        f"Surface error of the model: RMS {row['rms_mean']:.2f}{spread} mm "
        f"(n = {row['n']} structures); {row['fit']} of {row['judged']} are below the limit of "
        f"{measured.settings.limit_mm:g} mm for 3D printing."
    ]


def _time(measured: Measured) -> list[str]:
    said = []
    for table in measured.shown("time_summary_case", "time_summary_slice"):
        row, unit = table.rows[-1], table.name.rpartition("_")[2]
        if not math.isnan(row["ratio"]):
            interval = ""
            if not math.isnan(row["ratio_low"]):
                interval = f", 95 % interval {row['ratio_low']:.2f} to {row['ratio_high']:.2f}"
            said.append(
                f"Labeling a {unit} took {duration_text(row['manual_mean'])} by hand "
                f"(n = {row['manual_n']}) and {duration_text(row['corrected_mean'])} corrected "
                f"(n = {row['corrected_n']}): {row['ratio']:.2f} times as long{interval}."
            )
    return said


def missing(measured: Measured, study_path: str) -> list[str]:
    """What isn't in the report and why, with the command that makes it where there is one."""
    said = []
    current = measured.study.current_round()
    lacking: dict[int, list[str]] = {}
    others: dict[tuple[str, int | None, str], list[str]] = {}
    for gap in measured.gaps:
        if gap.reason == _NO_PREDICTION:
            lacking.setdefault(gap.round, []).append(gap.case)
        else:
            others.setdefault((gap.role, gap.round, gap.reason), []).append(gap.case)
    for (role, number, reason), cases in others.items():
        of = "" if number is None else f", round {number}"
        said.append(f"{', '.join(cases)} ({role}{of}): {reason.rstrip('.')}.")
    for number, cases in sorted(lacking.items()):
        text = f"Round {number} has no prediction of {', '.join(cases)}. "
        which = [] if current is not None and number == current.number else ["--round", str(number)]
        command = f"activesegloop segment {_quoted([study_path, *cases, *which])}"
        text += f"This makes them: {command}"
        said.append(text)
    return said


def _quoted(arguments: Sequence[str]) -> str:
    return " ".join(shlex.quote(argument) for argument in arguments)


def methods(measured: Measured) -> list[str]:
    """How everything was measured, for a methods section."""
    study, settings = measured.study, measured.settings
    counts = {role: study.cases(role) for role in ("pool", "validation", "test")}
    patients = {role: len({case.group for case in cases}) for role, cases in counts.items()}
    split = "; ".join(
        f"{role}: {_cases(len(cases))} of {_patients(patients[role])}"
        for role, cases in counts.items()
    )
    excluded = study.excluded()
    left_out = f" Excluded by hand: {', '.join(excluded)}." if excluded else ""
    finished = [r for r in study.rounds() if r.state == "finished"]
    presets = ", ".join(dict.fromkeys(r.preset for r in finished)) or "none"
    return [
        f"Cases have fixed roles ({split}); all images of a patient have one role. Models are "
        "trained on labeled cases of the pool only. The label values and where they are annotated "
        f"come from the newest label revision of a case.{left_out}",
        f"{len(finished)} finished rounds of training, presets: {presets}. The exact revisions, "
        "settings, seeds and versions of each round are below and in report.json.",
        "Dice is 2|A∩B| / (|A|+|B|), counted only in voxels that are annotated for the structure; "
        "undefined, and left out of means, where a structure is in neither labels nor prediction; "
        "0 where it is in one of them. SD is the sample's (n − 1).",
        "Rounds are compared on the same cases. Differences are paired by patient (the mean of a "
        "patient's cases), with a 95 % bootstrap interval (expanded percentile, 2000 resamples, "
        f"seed {settings.seed}), the paired t-test, Wilcoxon's signed-rank test, Holm's adjustment "
        "over all tests of a table, and Cohen's d_z as the effect size. With fewer than 3 patients "
        "no test is made.",
        "Surface distances are from every point of an unsmoothed surface to the closest point on "
        "the other's triangles, in mm, both directions together: RMS as in equation 3 of Kim et "
        "al. 2020 (Scientific Reports 10:366), their mean, 95th percentile and largest value "
        "(Hausdorff distance), and the share of the surface area within "
        f"{settings.tolerance_mm:g} mm (surface Dice). Only structures annotated in the whole "
        f"volume count. Fit for print means an RMS below {settings.limit_mm:g} mm.",
    ]


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"


def _patients(count: int) -> str:
    return "1 patient" if count == 1 else f"{count} patients"
