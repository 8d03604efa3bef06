"""Scores of a study's rounds, and the tables made of them."""

import math
import shutil

import numpy as np
import pytest
from scipy import stats

from ActiveSegLoopLib.evaluation.overlap import dice
from ActiveSegLoopLib.evaluation.reporting.scores import Gap, score_predictions, truth_of
from ActiveSegLoopLib.evaluation.reporting.stage_tables import (
    MEAN,
    comparison_rows,
    evaluate_stages,
    reading,
    stage_rows,
)
from ActiveSegLoopLib.images.segmentation import read_segmentation, write_segmentation
from ActiveSegLoopLib.study import Annotation, LabelSchema, Study
from Testing.evaluation.report_study import LIVER, NAMES, make_study, moved, truth, write_image


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The study; only read."""
    return make_study(tmp_path_factory.mktemp("made"))


@pytest.fixture
def study(made, tmp_path):
    """A copy of the study, to change."""
    shutil.copytree(made.folder.parent, tmp_path / "copy")
    return Study.open(tmp_path / "copy" / "study")


def the_stages(study, role="test"):
    """The stages of a role."""
    scores = score_predictions(study)
    current = study.current_round().number
    return evaluate_stages(scores, study.rounds(), current, role, NAMES)


def test_rounds_are_scored_on_the_cases_that_all_of_them_predicted(made):
    evaluation = the_stages(made)
    assert [r.number for r in evaluation.rounds] == [1, 2, 3] and evaluation.reference == 3
    assert evaluation.cases == ("t1", "t2", "t3l", "t3r"), "Round 1 didn't predict t4."
    assert evaluation.patients() == 3
    assert the_stages(made, "validation").cases == ("v1",)


def test_a_score_is_the_dice_of_the_stored_files(made):
    scores = score_predictions(made)
    for scored in scores.scored:
        case, current = scored.truth.case, made.round(scored.round)
        prediction, _ = read_segmentation(made.prediction(current, case))
        labels = made.labelmap(made.latest(case))
        expected = dice(labels.array, prediction.array, LIVER)
        assert scored.overlaps["liver"].dice == expected < 1
    assert len(scores.scored) == 3 * 6 - 1


def test_the_stage_table_has_mean_sd_and_n(made):
    evaluation = the_stages(made)
    table = stage_rows(evaluation)
    row = next(r for r in table.rows if r["structure"] == NAMES["vein"])
    values = [s.overlaps["vein"].dice for s in evaluation.scored(3)]
    assert row["round_3_mean"] == pytest.approx(np.mean(values)) and row["round_3_n"] == 4
    assert row["round_3_sd"] == pytest.approx(np.std(values, ddof=1))
    cyst = next(r for r in table.rows if r["structure"] == NAMES["cyst"])
    assert cyst["round_3_n"] == 2, "Only two of the cases have it."
    assert "not every round has their prediction: t4." in table.notes[-1]
    assert "(n = 4)" in table.html() and "round 3 (4 training cases, in use)" in table.html()


def test_tests_are_paired_by_patient_and_adjusted_together(made):
    evaluation = the_stages(made)
    table = comparison_rows(evaluation)
    assert {(r["from_round"], r["to_round"]) for r in table.rows} == {(1, 3), (2, 3)}
    row = next(r for r in table.rows if (r["structure"], r["from_round"]) == (NAMES["liver"], 2))
    before, after = (
        {s.truth.case.name: s.overlaps["liver"].dice for s in evaluation.scored(n)} for n in (2, 3)
    )
    differences = [after[name] - before[name] for name in ("t1", "t2")]
    differences.append(np.mean([after[name] - before[name] for name in ("t3l", "t3r")]))
    assert row["n"] == 3, "Both sides of a patient count once."
    assert row["mean_difference"] == pytest.approx(np.mean(differences))
    assert row["t_p"] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    raw = [r["t_p"] for r in table.rows if not math.isnan(r["t_p"])]
    assert row["t_p_holm"] >= row["t_p"]
    smallest = min(table.rows, key=lambda r: (math.isnan(r["t_p"]), r["t_p"]))
    assert smallest["t_p_holm"] == pytest.approx(min(1, len(raw) * smallest["t_p"]))
    cyst = next(r for r in table.rows if r["structure"] == NAMES["cyst"])
    assert cyst["n"] == 2 and math.isnan(cyst["t_p"]) and "too few" in cyst["reading"]
    assert any(r["structure"] == MEAN for r in table.rows)


def test_a_higher_mean_alone_is_never_called_better():
    row = {"t_p": 0.02, "t_p_holm": 0.06, "wilcoxon_p_holm": 0.25, "mean_difference": 0.1}
    assert reading(row) == "chance may explain the difference."
    assert reading(row | {"t_p_holm": 0.04}) == (
        "higher by more than chance explains by the t-test (Holm p = 0.040), but not by Wilcoxon's "
        "test."
    )
    lower = row | {"t_p_holm": 0.0001, "wilcoxon_p_holm": 0.01, "mean_difference": -0.1}
    assert reading(lower) == "lower by more than chance explains by the t-test (Holm p < 0.001)."
    assert reading(row | {"t_p": math.nan, "note": "Only 2 cases."}) == "Only 2 cases."


def test_the_round_in_use_is_the_one_that_others_are_compared_with(study):
    study.roll_back(2)
    evaluation = the_stages(study)
    assert evaluation.reference == 2
    assert {r["from_round"] for r in comparison_rows(evaluation).rows} == {1, 3}


def test_what_cant_be_scored_is_a_gap_in_words(study):
    study.add_revision(study.case("t1"), truth(0), origin="model", model_round=1)
    other = LabelSchema.parse("5=bone")
    write_segmentation(
        study.prediction(study.round(3), study.case("t2")),
        truth(0).with_array(np.zeros_like(truth(0).array)), other.segments(),
    )
    gaps = {(gap.case, gap.round): gap.reason for gap in score_predictions(study).gaps}
    assert "uncorrected output" in gaps["t1", None]
    assert "isn't the study's" in gaps["t2", 3]
    assert gaps["t4", 1] == "no prediction is kept"
    assert len(gaps) == 3


def test_truth_that_began_with_a_model_is_told_from_independent_truth(study, tmp_path):
    assert truth_of(study, study.case("t1")).origin == "manual"
    study.add_revision(study.case("t1"), truth(0), origin="corrected", model_round=2)
    found = truth_of(study, study.case("t1"))
    assert (found.origin, found.began_with) == ("corrected", (2,))
    study.add_case([write_image(tmp_path, "new", truth(50), 50)], "new", "test")
    assert truth_of(study, study.case("new")) == Gap("new", "test", None, "no labels")


def test_only_annotated_voxels_are_scored(tmp_path, study):
    labels = truth(0)
    case = study.add_case([write_image(tmp_path, "t9", labels, 99)], "t9", "test")
    study.add_revision(case, labels, Annotation({"axial": (6, 7)}, ("liver",)))
    study.save_prediction(study.round(3), case, moved(labels, 2))
    (scored,) = [s for s in score_predictions(study).scored if s.truth.case.name == "t9"]
    assert set(scored.overlaps) == {"liver"}
    slices = slice(6, 8)
    expected = dice(labels.array[slices], moved(labels, 2).array[slices], LIVER)
    assert scored.overlaps["liver"].dice == expected
