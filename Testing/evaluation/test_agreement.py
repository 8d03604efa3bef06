"""Agreement of two annotators, counted where both annotated."""

import math

import numpy as np
import pytest

from ActiveSegLoopLib.evaluation.agreement import annotator_agreement
from ActiveSegLoopLib.evaluation.overlap import dice
from ActiveSegLoopLib.evaluation.reporting.effort_tables import (
    ONE_TWICE,
    TWO,
    UNKNOWN,
    agreement_case_rows,
    agreement_summary,
)
from ActiveSegLoopLib.study import Annotation
from Testing.evaluation.report_study import (
    ANNOTATORS,
    CYST,
    LIVER,
    NAMES,
    VEIN,
    make_study,
    moved,
    truth,
)

VALUES = {"liver": LIVER, "vein": VEIN, "cyst": CYST}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("study"))


def test_two_annotators_are_compared_where_both_annotated(study):
    found = {(a.case, a.label): a for a in annotator_agreement(study)}
    assert set(found) == {("p1", "liver"), ("p1", "vein"), ("p1", "cyst"), ("p2", "vein")}
    assert {(a.first, a.second) for a in found.values()} == {ANNOTATORS}
    whole, labels = found["p1", "liver"], truth(6, cyst=True)
    assert whole.overlap.dice == dice(labels.array, moved(labels, 1).array, LIVER)
    assert whole.share == 1 and whole.volumes is not None
    part, labels = found["p2", "vein"], truth(7)
    slices = slice(6, 8)
    assert part.overlap.dice == dice(
        labels.array[slices], moved(labels, 1).array[slices], VEIN
    )
    assert part.share == pytest.approx(2 / 14) and part.volumes is None


def test_the_table_has_surfaces_where_all_of_a_structure_was_annotated(study):
    cases = agreement_case_rows(annotator_agreement(study), VALUES, NAMES)
    assert {r["case"] for r in cases.rows if not math.isnan(r["surface_rms"])} == {"p1"}
    rows = {row["structure"]: row for row in agreement_summary(cases, NAMES).rows}
    assert (rows[NAMES["vein"]]["n"], rows[NAMES["vein"]]["rms_n"]) == (2, 1)
    # Moved by one voxel of 0.9 mm: no point is farther than that from the other surface.
    assert 0 < rows[NAMES["liver"]]["rms_mean"] < 0.9
    own = [r["dice"] for r in cases.rows if r["structure"] == NAMES["vein"]]
    assert rows[NAMES["vein"]]["dice_mean"] == pytest.approx(np.mean(own))


def test_one_annotator_or_none_has_no_agreement(tmp_path):
    study = make_study(tmp_path)
    before = list(annotator_agreement(study))
    for name in ("t1", "v1"):
        study.add_revision(study.case(name), truth(0), annotator=ANNOTATORS[0])
        study.add_revision(study.case(name), truth(1))
        study.add_revision(study.case(name), truth(2), origin="model", annotator=ANNOTATORS[1])
    again = list(annotator_agreement(study))
    assert [(a.case, a.label) for a in again] == [(a.case, a.label) for a in before]


def test_what_an_annotator_labels_later_replaces_only_what_was_annotated_then(tmp_path):
    study = make_study(tmp_path)
    case = study.case("t1")
    labels = truth(0, cyst=True)
    study.add_revision(case, moved(labels, 2), annotator="third")
    study.add_revision(case, labels, Annotation(None, ("vein",)), annotator="third")
    found = {a.label: a for a in annotator_agreement(study) if a.case == "t1"}
    assert found["vein"].overlap.dice == 1
    one, other = found["liver"].volumes
    assert found["liver"].overlap.dice == dice(one.array, other.array, LIVER) < 1


def test_second_labelings_are_compared_with_the_labels_that_they_repeat(tmp_path):
    study = make_study(tmp_path)
    case, labels = study.case("t1"), truth(0, cyst=True)
    again = Annotation({"axial": (6, 7)}, ("liver",))
    for annotator in (ANNOTATORS[0], "third", None):
        study.add_repeat(case, moved(labels, 1), again, annotator)
    found = [a for a in annotator_agreement(study) if a.case == "t1"]
    assert [(a.label, a.first, a.second) for a in found] == [
        ("liver", ANNOTATORS[0], annotator) for annotator in (ANNOTATORS[0], "third", None)
    ]
    expected = dice(labels.array[6:8], moved(labels, 1).array[6:8], LIVER)
    assert {a.overlap.dice for a in found} == {expected} and expected < 1
    assert {a.origins for a in found} == {("manual", "repeated")}
    cases = agreement_case_rows(found, VALUES, NAMES)
    rows = agreement_summary(cases, NAMES).rows
    assert [(r["between"], r["n"]) for r in rows] == [(TWO, 1), (ONE_TWICE, 1), (UNKNOWN, 1)]
