"""Which surfaces of a study are compared: Kim 2020's three comparisons (Table 3).

Labels with a model's output, a model's output with what a person made of it, and labels drawn by
hand with corrected ones of the same case. Only labels that are annotated in the whole volume have
a surface worth the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.evaluation.comparison import StructureComparison, compare_segmentations
from ActiveSegLoopLib.evaluation.reporting.scores import Gap, Truth, read_prediction
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.rounds import Round
from ActiveSegLoopLib.study.study import Study

LABELS_MODEL = "labels and model"
MODEL_CORRECTED = "model and corrected"
MANUAL_CORRECTED = "manual and corrected"
KINDS = (LABELS_MODEL, MODEL_CORRECTED, MANUAL_CORRECTED)


@dataclass(frozen=True)
class Pair:
    """Two segmentations of one case to compare; each a stored revision or a round's prediction."""

    kind: str
    case: Case
    first: Revision | Round
    second: Revision | Round

    @property
    def round(self) -> int | None:
        """The round whose prediction is one of the two."""
        rounds = [one.number for one in (self.first, self.second) if isinstance(one, Round)]
        return rounds[0] if rounds else None

    def names(self) -> tuple[str, str]:
        """What the two are, in words."""
        return tuple(
            f"model of round {one.number}" if isinstance(one, Round) else
            f"{one.origin} labels (revision {one.number})"
            for one in (self.first, self.second)
        )

    def volumes(self, study: Study) -> tuple[Volume, Volume]:
        """Both label maps; raises ActiveSegLoopError when one can't be used."""
        return tuple(
            read_prediction(study, one, self.case) if isinstance(one, Round)
            else study.labelmap(one)
            for one in (self.first, self.second)
        )

    def labels(self, study: Study) -> dict[int, str]:
        """The ids by value of the labels that are annotated everywhere where a person labeled."""
        schema = study.schema
        known = [
            study.annotated(one) for one in (self.first, self.second) if isinstance(one, Revision)
        ]
        return {
            label.value: label.id
            for position, label in enumerate(schema.labels)
            if all(annotated.label(position).all() for annotated in known)
        }


@dataclass(frozen=True)
class ComparedPair:
    """A pair and what compare_segmentations says of each label, by id."""

    pair: Pair
    structures: dict[str, StructureComparison]


def find_pairs(study: Study, current: Round | None, truths: Sequence[Truth]) -> list[Pair]:
    """All pairs that the study has: the round's predictions of cases with truth, and corrections.

    Where a case has manual labels, a model's output and its correction, all three comparisons are
    made of it, the one with the model only if that wasn't trained on the case.
    """
    pairs = []
    if current is not None:
        pairs += [
            Pair(LABELS_MODEL, truth.case, truth.revision, current)
            for truth in truths
            if study.prediction(current, truth.case) is not None
        ]
    done = {pair.case.name for pair in pairs}
    rounds = {r.number: r for r in study.rounds() if r.state == "finished"}
    for case in study.cases():
        revisions = study.revisions(case)
        corrected = [r for r in revisions if r.origin == "corrected"]
        if not corrected or case.excluded:
            continue
        newest = corrected[-1]
        before = revisions[: revisions.index(corrected[0])]
        manual = before[-1] if before and {r.origin for r in before} == {"manual"} else None
        began = rounds.get(newest.model_round)
        kept = began is not None and study.prediction(began, case) is not None
        if kept:
            pairs.append(Pair(MODEL_CORRECTED, case, began, newest))
        if manual is not None:
            pairs.append(Pair(MANUAL_CORRECTED, case, manual, newest))
            trained = kept and case.name in {
                r.case for r in (*began.revisions, *began.validation)
            }
            if kept and not trained and case.name not in done:
                pairs.append(Pair(LABELS_MODEL, case, manual, began))
    return sorted(pairs, key=lambda pair: KINDS.index(pair.kind))


def compare_surfaces(
    study: Study,
    pairs: Sequence[Pair],
    limit_mm: float,
    tolerance_mm: float,
    report: Callable[..., None] = lambda kind, **data: None,
    go_on: Callable[[], None] = lambda: None,
) -> Iterator[ComparedPair | Gap]:
    """Compare every pair, or say why it can't be compared. go_on raises to stop."""
    for step, pair in enumerate(pairs, start=1):
        go_on()
        try:
            labels = pair.labels(study)
            if labels:
                found = compare_segmentations(
                    *pair.volumes(study), labels, tolerance_mm=tolerance_mm, limit_mm=limit_mm
                )
                yield ComparedPair(pair, {entry.name: entry for entry in found})
            else:
                yield Gap(
                    pair.case.name, pair.case.role, pair.round,
                    f"no label is annotated in the whole volume, so that {pair.kind} can't be "
                    "compared by their surfaces",
                )
        except ActiveSegLoopError as error:
            yield Gap(pair.case.name, pair.case.role, pair.round, str(error))
        report("progress", stage="comparing surfaces", step=step, total=len(pairs))
