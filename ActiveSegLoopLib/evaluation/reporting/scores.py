"""How well each round's model does on the cases that it was never trained on.

Test and validation cases with labels of a person are compared with the predictions that the study
keeps of each finished round, only where the labels are annotated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ActiveSegLoopLib.errors import ActiveSegLoopError, ImageError
from ActiveSegLoopLib.evaluation.overlap import Overlap, compare_labels
from ActiveSegLoopLib.evaluation.stage_table import Stage
from ActiveSegLoopLib.images.segmentation import read_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.annotation import Annotated
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.rounds import Round
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Study

ROLES = ("test", "validation")


@dataclass(frozen=True)
class Truth:
    """What a person says of a case: the newest revision, and how its labels came about.

    origin: "manual" if everything in it was drawn, "corrected" if any of it began with a model.
    """

    case: Case
    revision: Revision
    origin: str
    began_with: tuple[int, ...]


@dataclass(frozen=True)
class Scored:
    """One round's prediction of one case against its truth: overlap by label id."""

    round: int
    truth: Truth
    overlaps: dict[str, Overlap]


@dataclass(frozen=True)
class Gap:
    """A case that can't be scored, or not for a round, and why in words."""

    case: str
    role: str
    round: int | None
    reason: str


@dataclass(frozen=True)
class Scores:
    """All that could be scored, in the order of cases and rounds, and what couldn't."""

    scored: tuple[Scored, ...]
    gaps: tuple[Gap, ...]

    def of(self, round: int, cases: Iterable[str]) -> list[Scored]:
        """One round's scores of some cases, in their order."""
        found = {s.truth.case.name: s for s in self.scored if s.round == round}
        return [found[name] for name in cases if name in found]

    def rounds(self, role: str) -> list[int]:
        """The rounds with at least one score of a case of a role."""
        return sorted({s.round for s in self.scored if s.truth.case.role == role})

    def common_cases(self, rounds: Sequence[int], role: str) -> list[str]:
        """The cases of a role that all these rounds have a score of."""
        names = dict.fromkeys(
            s.truth.case.name for s in self.scored if s.truth.case.role == role
        )
        done = {(s.round, s.truth.case.name) for s in self.scored}
        return [name for name in names if all((r, name) in done for r in rounds)]

    def stages(self, rounds: Sequence[Round], cases: Sequence[str], names: dict) -> list[Stage]:
        """The rounds as stages over the same cases; names: of the labels by id."""
        return [
            Stage(
                f"round {r.number}",
                len(r.revisions),
                [
                    {names[id]: overlap for id, overlap in scored.overlaps.items()}
                    for scored in self.of(r.number, cases)
                ],
            )
            for r in rounds
        ]


def score_predictions(
    study: Study,
    report: Callable[..., None] = lambda kind, **data: None,
    go_on: Callable[[], None] = lambda: None,
) -> Scores:
    """Compare every finished round's predictions of test and validation cases with their truth.

    go_on is called before each case and raises to stop. A prediction that can't be used is a gap,
    never an error.
    """
    schema, scored, gaps = study.schema, [], []
    rounds = [r for r in study.rounds() if r.state == "finished"]
    cases = [case for role in ROLES for case in study.cases(role)]
    for step, case in enumerate(cases, start=1):
        go_on()
        truth = truth_of(study, case)
        if isinstance(truth, Gap):
            gaps.append(truth)
            continue
        try:
            for entry in _scored_case(study, truth, rounds, schema):
                (scored if isinstance(entry, Scored) else gaps).append(entry)
        except ActiveSegLoopError as error:
            gaps.append(Gap(case.name, case.role, None, str(error)))
        report("progress", stage="scoring", step=step, total=len(cases))
    return Scores(tuple(scored), tuple(gaps))


def truth_of(study: Study, case: Case) -> Truth | Gap:
    """A case's truth, or why it has none."""
    revisions = study.revisions(case)
    if not revisions:
        return Gap(case.name, case.role, None, "no labels")
    newest = revisions[-1]
    origins = {r.origin for r in revisions}
    if "model" in origins:
        return Gap(case.name, case.role, None, "the labels hold a model's own, uncorrected output")
    began = tuple(dict.fromkeys(r.model_round for r in revisions if r.model_round is not None))
    return Truth(case, newest, "corrected" if "corrected" in origins else "manual", began)


def known_masks(annotated: Annotated, schema: LabelSchema) -> dict[int, object]:
    """Where each label, by value, is annotated; labels that are nowhere annotated are left out."""
    masks = {
        label.value: annotated.label(position) for position, label in enumerate(schema.labels)
    }
    return {value: mask for value, mask in masks.items() if mask.any()}


def read_prediction(study: Study, round: Round, case: Case) -> Volume | None:
    """What a round's model said of a case, in the study's values; None when it isn't kept.

    Raises ImageError for a file of other labels or another grid.
    """
    path = study.prediction(round, case)
    if path is None:
        return None
    labelmap, segments = read_segmentation(path)
    values = {label.id: label.value for label in study.schema.labels}
    for segment in segments:
        if values.get(segment.id) != segment.value:
            raise ImageError(
                f"{path} has the value {segment.value} for '{segment.id}', which isn't the study's:"
                " segment the case again."
            )
    return labelmap


def _scored_case(
    study: Study, truth: Truth, rounds: Sequence[Round], schema: LabelSchema
) -> Iterator[Scored | Gap]:
    case = truth.case
    labels = study.labelmap(truth.revision)
    masks = known_masks(study.annotated(truth.revision), schema)
    if not masks:
        yield Gap(case.name, case.role, None, "nothing is annotated")
        return
    ids = {label.value: label.id for label in schema.labels if label.value in masks}
    for current in rounds:
        try:
            prediction = read_prediction(study, current, case)
            if prediction is None:
                yield Gap(case.name, case.role, current.number, "no prediction is kept")
                continue
            overlaps = compare_labels(labels, prediction, ids, masks)
        except ActiveSegLoopError as error:
            yield Gap(case.name, case.role, current.number, str(error))
            continue
        yield Scored(current.number, truth, overlaps)
