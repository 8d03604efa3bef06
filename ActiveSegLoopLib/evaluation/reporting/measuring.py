"""Everything that a report says of a study, measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ActiveSegLoopLib.evaluation.agreement import annotator_agreement
from ActiveSegLoopLib.evaluation.reporting.effort_tables import (
    SUM,
    TOTAL_OF_CASE,
    agreement_case_rows,
    agreement_summary,
    time_case_rows,
    time_summaries,
)
from ActiveSegLoopLib.evaluation.reporting.lineage import (
    case_table,
    round_rows,
    training_rows,
    versions,
)
from ActiveSegLoopLib.evaluation.reporting.scores import (
    ROLES,
    Gap,
    Scores,
    score_predictions,
)
from ActiveSegLoopLib.evaluation.reporting.stage_tables import (
    MEAN,
    StageEvaluation,
    case_rows,
    comparison_rows,
    evaluate_stages,
    stage_rows,
)
from ActiveSegLoopLib.evaluation.reporting.surface_pairs import (
    ComparedPair,
    compare_surfaces,
    find_pairs,
)
from ActiveSegLoopLib.evaluation.reporting.surface_tables import (
    surface_case_rows,
    surface_summary,
)
from ActiveSegLoopLib.evaluation.reporting.table import Table
from ActiveSegLoopLib.evaluation.reporting.volume_table import volume_rows
from ActiveSegLoopLib.evaluation.reporting.worst import Ranked, rank, worst_rows
from ActiveSegLoopLib.evaluation.stage_table import TOTAL
from ActiveSegLoopLib.evaluation.timing import labeling_times
from ActiveSegLoopLib.evaluation.verdict import PRINT_LIMIT_MM
from ActiveSegLoopLib.study.rounds import Round
from ActiveSegLoopLib.study.study import Study


@dataclass(frozen=True)
class ReportSettings:
    """What a report can be asked for.

    limit_mm: of the verdict whether a surface is fit for print; tolerance_mm: of the surface Dice;
    worst: of how many cases there are pictures; seed: of the bootstrap intervals.
    """

    limit_mm: float = PRINT_LIMIT_MM
    tolerance_mm: float = 1.0
    worst: int = 5
    seed: int = 0


DEFAULTS = ReportSettings()


@dataclass(frozen=True)
class Measured:
    """The numbers of a report.

    round: the one whose surfaces and worst cases are shown. main: the stages over the test cases,
    or the validation cases if no test case could be scored. tables: all of them by name.
    """

    study: Study
    settings: ReportSettings
    names: dict[str, str]
    round: Round | None
    scores: Scores
    evaluations: tuple[StageEvaluation, ...]
    compared: tuple[ComparedPair, ...]
    ranked: tuple[Ranked, ...]
    gaps: tuple[Gap, ...]
    tables: dict[str, Table]
    versions: dict[str, str]

    @property
    def main(self) -> StageEvaluation | None:
        """The evaluation that counts: on the test cases if there is one."""
        return self.evaluations[0] if self.evaluations else None

    def shown(self, *names: str) -> list[Table]:
        """The tables of these names that have rows."""
        return [self.tables[n] for n in names if n in self.tables and self.tables[n].rows]


def measure(
    study: Study,
    settings: ReportSettings = DEFAULTS,
    report: Callable[..., None] = lambda kind, **data: None,
    go_on: Callable[[], None] = lambda: None,
) -> Measured:
    """Measure a study for a report; go_on is called now and then and raises to stop."""
    names = {label.id: _apart(label.name) for label in study.schema.labels}
    values = {label.id: label.value for label in study.schema.labels}
    scores = score_predictions(study, report, go_on)
    current = study.current_round()
    rounds = study.rounds()
    evaluations = tuple(
        evaluation
        for role in ROLES
        if (evaluation := evaluate_stages(
            scores, rounds, current.number if current else None, role, names
        )) is not None
    )
    reference = study.round(evaluations[0].reference) if evaluations else current
    shown = [
        s for s in scores.scored
        if evaluations and s.round == evaluations[0].reference
        and s.truth.case.role == evaluations[0].role
    ]
    pairs = find_pairs(study, reference, [s.truth for s in shown])
    found = list(compare_surfaces(
        study, pairs, settings.limit_mm, settings.tolerance_mm, report, go_on
    ))
    compared = tuple(entry for entry in found if isinstance(entry, ComparedPair))
    ranked = tuple(rank(shown))

    tables: list[Table | None] = []
    for evaluation in evaluations:
        tables += [stage_rows(evaluation), comparison_rows(evaluation, settings.seed),
                   volume_rows(evaluation)]
    tables += [case_rows(scores, names), surface_summary(compared, names, settings.limit_mm),
               surface_case_rows(compared, names)]
    if ranked:
        tables.append(worst_rows(ranked, compared, names, evaluations[0].reference))
    revisions = [r for case in study.cases() for r in study.revisions(case)]
    times = labeling_times(revisions, study.repeats())
    tables += [*time_summaries(times, names), time_case_rows(times, names)]
    agreement = agreement_case_rows(annotator_agreement(study, go_on), values, names)
    tables += [agreement, agreement_summary(agreement, names)]
    tables += [round_rows(study), training_rows(study), case_table(study)]
    return Measured(
        study, settings, names, reference, scores, evaluations, compared, ranked,
        (*scores.gaps, *(entry for entry in found if isinstance(entry, Gap))),
        {table.name: table for table in tables if table is not None}, versions(),
    )


def _apart(name: str) -> str:
    """A label's name, told from the rows that a table has for all labels."""
    return f"{name} (label)" if name in (TOTAL, MEAN, SUM, TOTAL_OF_CASE) else name
