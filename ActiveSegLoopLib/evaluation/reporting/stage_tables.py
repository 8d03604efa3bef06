"""The rounds as stages over the same cases (Kim 2020, Table 1), and how sure the differences are.

The paper tests stage 1 against 3 and 2 against 3; here every other round is tested against the one
in use. Cases of one patient aren't independent: they are averaged before a test, so that its n
counts patients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.evaluation.overlap import Summary
from ActiveSegLoopLib.evaluation.reporting.scores import Scored, Scores
from ActiveSegLoopLib.evaluation.reporting.table import (
    NOTHING,
    Column,
    Row,
    Table,
    between,
    number,
    p_value,
    words,
)
from ActiveSegLoopLib.evaluation.stage_table import TOTAL, Stage
from ActiveSegLoopLib.evaluation.statistics import PairedComparison, holm, paired_comparison
from ActiveSegLoopLib.study.rounds import Round

ALPHA = 0.05
MEAN = "mean of the structures"


@dataclass(frozen=True)
class StageEvaluation:
    """The rounds of a study over the cases of one role that all of them have predictions of.

    reference: the round that the others are compared with; names: of the labels by id.
    """

    role: str
    rounds: tuple[Round, ...]
    reference: int
    cases: tuple[str, ...]
    scores: Scores
    names: dict[str, str]

    def stages(self) -> list[Stage]:
        """The rounds as stages."""
        return self.scores.stages(self.rounds, self.cases, self.names)

    def scored(self, round: int) -> list[Scored]:
        """One round's scores over the common cases."""
        return self.scores.of(round, self.cases)

    def left_out(self) -> list[str]:
        """The cases that the reference has a prediction of, but another round hasn't."""
        own = self.scores.common_cases([self.reference], self.role)
        return [name for name in own if name not in self.cases]

    def patients(self) -> int:
        """How many patients the cases are of."""
        return len({scored.truth.case.group for scored in self.scored(self.reference)})


def evaluate_stages(
    scores: Scores, rounds: Sequence[Round], current: int | None, role: str, names: dict[str, str]
) -> StageEvaluation | None:
    """The stages of one role; None when no round has a prediction of such a case.

    Rounds without any are left out; the others are compared on the cases that all of them have.
    """
    numbers = scores.rounds(role)
    if not numbers:
        return None
    reference = current if current in numbers else numbers[-1]
    cases = scores.common_cases(numbers, role)
    if not cases:
        # No case that all have: the reference's own cases still say how good it is.
        numbers = [reference]
        cases = scores.common_cases(numbers, role)
    used = tuple(r for r in rounds if r.number in numbers)
    return StageEvaluation(role, used, reference, tuple(cases), scores, names)


def stage_rows(evaluation: StageEvaluation) -> Table:
    """Mean ± SD of the Dice of each structure and round, and their total as in the paper."""
    stages = evaluation.stages()
    structures = list(dict.fromkeys(n for stage in stages for n in stage.structures))
    rows = []
    for name in (*structures, TOTAL):
        row: dict = {"structure": name}
        for stage in stages:
            key = stage.name.replace(" ", "_")
            summary = stage.dice(name)
            row |= {f"{key}_mean": summary.mean, f"{key}_sd": summary.sd, f"{key}_n": summary.count}
        rows.append(row)
    columns = [words("structure", "Dice, %")]
    for stage, trained in zip(stages, evaluation.rounds):
        in_use = ", in use" if trained.number == evaluation.reference else ""
        heading = f"{stage.name} ({stage.training_cases} training cases{in_use})"
        columns.append(_dice_column(stage.name.replace(" ", "_"), heading))
    notes = [
        "Mean ± SD over the cases (n) that have the structure in the labels or the prediction; "
        "total: over all these values together, as in Kim et al. 2020. Only where annotated.",
    ]
    notes += _false_positives(stages, structures)
    left_out = evaluation.left_out()
    if left_out:
        notes.append(
            f"Left out, because not every round has their prediction: {', '.join(left_out)}."
        )
    title = f"Dice by round, {_cases(len(evaluation.cases))} ({evaluation.role})"
    return Table(f"stages_{evaluation.role}", title, rows, columns, notes)


def _dice_column(key: str, heading: str) -> Column:
    def text(row: Row) -> str:
        summary = Summary(row[f"{key}_mean"], row[f"{key}_sd"], row[f"{key}_n"])
        if summary.count == 0:
            return NOTHING
        spread = "" if math.isnan(summary.sd) else f" ± {100 * summary.sd:.2f}"
        return f"{100 * summary.mean:.2f}{spread} (n = {summary.count})"

    return Column(heading, text)


def _false_positives(stages: Sequence[Stage], structures: Sequence[str]) -> list[str]:
    found = []
    for stage in stages:
        for name in structures:
            volumes = stage.false_positives(name)
            if volumes:
                mean = sum(volumes) / len(volumes)
                found.append(
                    f"{stage.name}: {name} was found in {_cases(len(volumes))} without any "
                    f"({mean:.1f} ml on average); its Dice there is 0."
                )
    return found


def comparison_rows(evaluation: StageEvaluation, seed: int = 0) -> Table | None:
    """Every other round against the reference, paired by patient; None for a single round."""
    others = [r.number for r in evaluation.rounds if r.number != evaluation.reference]
    if not others:
        return None
    rows = []
    for other in others:
        for id, name in [*evaluation.names.items(), (None, MEAN)]:
            pairs = _pairs(evaluation, other, id)
            if pairs is not None:
                found = paired_comparison(*pairs, seed=seed)
                rows.append({
                    "structure": name, "from_round": other, "to_round": evaluation.reference,
                    **_fields(found),
                })
    for test in ("t", "wilcoxon"):
        for row, adjusted in zip(rows, holm([row[f"{test}_p"] for row in rows])):
            row[f"{test}_p_holm"] = adjusted
    for row in rows:
        row["reading"] = reading(row)
    tested = sum(not math.isnan(row["t_p"]) for row in rows)
    columns = (
        words("structure", "structure"),
        Column("rounds", lambda row: f"{row['from_round']} → {row['to_round']}", False),
        Column("n", lambda row: str(row["n"])),
        number("mean_difference", "difference, Dice points", 2, 100),
        between("interval_low", "interval_high", "95 % interval", 2, 100),
        number("effect_size", "effect size d"),
        p_value("t_p", "paired t-test p"),
        p_value("t_p_holm", "Holm-adjusted"),
        p_value("wilcoxon_p", "Wilcoxon p"),
        p_value("wilcoxon_p_holm", "Holm-adjusted"),
        words("reading", "in words"),
    )
    notes = [
        f"n counts patients. Holm's adjustment is over the {tested} tests of this table. d is the "
        "mean difference over the SD of the differences (Cohen's d_z). The bootstrap intervals "
        "aren't adjusted for the number of tests.",
        *dict.fromkeys(row["note"] for row in rows if row["note"] and not math.isnan(row["t_p"])),
    ]
    title = f"Rounds compared on the same cases ({evaluation.role})"
    return Table(f"comparisons_{evaluation.role}", title, rows, columns, notes)


def _fields(found: PairedComparison) -> dict:
    return {
        "n": found.n,
        "mean_difference": found.mean_difference,
        "interval_low": found.interval[0],
        "interval_high": found.interval[1],
        "effect_size": found.effect_size,
        "t_p": found.t_p,
        "wilcoxon_p": found.wilcoxon_p,
        "note": found.note,
    }


def reading(row: Row) -> str:
    """What a comparison says, and no more than that."""
    if math.isnan(row["t_p"]):
        return row["note"]
    adjusted = row["t_p_holm"]
    if adjusted < ALPHA:
        direction = "higher" if row["mean_difference"] > 0 else "lower"
        agreed = "" if row["wilcoxon_p_holm"] < ALPHA else ", but not by Wilcoxon's test"
        return (
            f"{direction} by more than chance explains by the t-test "
            f"(Holm p {_compared(adjusted)}){agreed}."
        )
    return "chance may explain the difference."


def _compared(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _pairs(
    evaluation: StageEvaluation, other: int, label: str | None
) -> tuple[list[float], list[float]] | None:
    """Each patient's Dice in two rounds, NaN where undefined; None for a label without scores.

    Without a label: the mean over the structures that are defined in both rounds.
    """
    groups: dict[str, list[tuple[float, float]]] = {}
    for before, after in zip(evaluation.scored(other), evaluation.scored(evaluation.reference)):
        pairs = [
            (before.overlaps[id].dice, after.overlaps[id].dice)
            for id in before.overlaps
            if label in (None, id) and id in after.overlaps
        ]
        defined = [pair for pair in pairs if not any(map(math.isnan, pair))]
        if pairs:
            mean = tuple(np.mean(defined, axis=0)) if defined else (math.nan, math.nan)
            groups.setdefault(before.truth.case.group, []).append(mean)
    if not groups:
        return None
    means = []
    for values in groups.values():
        defined = [pair for pair in values if not any(map(math.isnan, pair))]
        means.append(np.mean(defined, axis=0) if defined else (math.nan, math.nan))
    return [float(a) for a, _ in means], [float(b) for _, b in means]


def case_rows(scores: Scores, names: dict[str, str]) -> Table:
    """Every score: one row for each round, case and structure; only in the files."""
    rows = [
        {
            "round": scored.round,
            "case": scored.truth.case.name,
            "patient": scored.truth.case.group,
            "role": scored.truth.case.role,
            "revision": scored.truth.revision.number,
            "labels": scored.truth.origin,
            "structure": names[id],
            "dice": overlap.dice,
            "iou": overlap.iou,
            "labeled_ml": overlap.truth_ml,
            "predicted_ml": overlap.predicted_ml,
            "difference_ml": overlap.predicted_ml - overlap.truth_ml,
            "false_positive_ml": overlap.false_positive_ml,
        }
        for scored in scores.scored
        for id, overlap in scored.overlaps.items()
    ]
    return Table("scores", "Every score", rows)


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"
