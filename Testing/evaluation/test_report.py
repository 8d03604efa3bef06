"""The report of a study: a page that stands alone, its pictures, its numbers as CSV and JSON."""

import base64
import csv
import io
import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from matplotlib.image import imread

from ActiveSegLoopLib.errors import EvaluationError
from ActiveSegLoopLib.evaluation.reporting.measuring import ReportSettings, measure
from ActiveSegLoopLib.evaluation.reporting.report import write_report
from ActiveSegLoopLib.evaluation.reporting.scores import Scores, score_predictions
from ActiveSegLoopLib.evaluation.reporting.sentences import essence, missing
from ActiveSegLoopLib.evaluation.reporting.stage_tables import evaluate_stages
from ActiveSegLoopLib.evaluation.reporting.volume_table import volume_rows
from ActiveSegLoopLib.study import LabelSchema, Study
from Testing.evaluation.report_study import ANNOTATORS, NAMES, make_study, truth, write_image


class Page(HTMLParser):
    """What a browser would make of the page: texts, attributes, tables, and unclosed elements."""

    VOID = {"meta", "img", "br"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.texts, self.attributes, self.images = [], [], [], []
        self.tables, self.tags = {}, set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        values = dict(attributes)
        if tag == "img":
            self.images.append(values)
        if tag == "table":
            self.rows = self.tables[values["id"]] = []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study and its report; only read."""
    folder = tmp_path_factory.mktemp("made")
    study = make_study(folder)
    settings = ReportSettings(worst=2)
    return study, write_report(study, folder / "report", settings, "my study")


@pytest.fixture(scope="module")
def page(made):
    return Page(made[1].page.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tables(made):
    """The CSV files by name, each as a list of rows."""
    return {
        path.stem: list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        for path in (made[1].folder / "tables").glob("*.csv")
    }


def test_the_page_is_well_formed_and_needs_nothing_else(page):
    assert page.open == [] and {"html", "title", "h1"} <= page.tags
    assert not page.tags & {"script", "link", "iframe", "object", "base", "form"}
    for tag, name, value in page.attributes:
        if name in ("src", "href"):
            start = "data:image/png;base64," if tag == "img" else "#"
            assert value.startswith(start)
        assert not name.startswith("on")
    anchors = {value for _, name, value in page.attributes if name == "id"}
    assert {v[1:] for t, n, v in page.attributes if n == "href"} <= anchors


def test_every_picture_on_the_page_decodes_and_lies_beside_it(made, page):
    beside = sorted((made[1].folder / "pictures").iterdir())
    assert len(page.images) == len(beside) >= 8
    contents = {path.read_bytes() for path in beside}
    for image in page.images:
        data = base64.b64decode(image["src"].partition(",")[2], validate=True)
        pixels = imread(io.BytesIO(data))
        assert data in contents and image["alt"]
        assert pixels.shape[0] > 200 and pixels[..., :3].std() > 0.02, "It isn't blank."


def test_all_that_the_issue_asks_for_is_on_the_page(page):
    assert {
        "stages_test", "comparisons_test", "volumes_test",
        "stages_validation", "comparisons_validation", "volumes_validation",
        "surface_summary", "time_summary_case", "time_summary_slice", "agreement_summary",
        "cases_by_dice", "rounds", "training", "cases",
    } == set(page.tables)
    alts = " ".join(image["alt"] for image in page.images)
    for words in ("Learning curve (test)", "Dice of every case (test)", "labels and model",
                  "model and corrected", "Labeling time", "mean Dice"):
        assert words in alts


def test_every_number_in_a_table_of_the_page_is_in_its_csv(page, tables):
    unit = re.compile(r"(\d+) min (\d+) s")
    for name, (_, *shown) in page.tables.items():
        assert len(shown) == len(tables[name])
        for cells, row in zip(shown, tables[name]):
            known = " ".join(row.values())
            numbers = {float(n) for n in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", known)}
            for cell in cells:
                said = unit.sub(lambda m: str(60 * int(m[1]) + int(m[2])), cell)
                for text in re.findall(r"−?\d+(?:\.\d+)?", said):
                    value = float(text.replace("−", "-"))
                    digits = len(text.partition(".")[2])
                    close = 0.5001 * 10**-digits
                    assert any(
                        abs(value - factor * n) <= close for n in numbers for factor in (1, 100)
                    ) or text in known or text == "0.001", (name, cell, row)


def test_volumes_are_told_with_what_is_found_where_there_is_none(tables):
    rows = {row["structure"]: row for row in tables["volumes_test"]}
    scores = [r for r in tables["scores"] if (r["round"], r["role"]) == ("3", "test")]
    for name, row in rows.items():
        own = [r for r in scores if r["structure"] == name and r["case"] != "t4"]
        there = [r for r in own if r["iou"]]
        assert int(row["n"]) == len(there) > 0
        for key in ("iou", "labeled_ml", "predicted_ml", "difference_ml"):
            mean = sum(float(r[key]) for r in there) / len(there)
            assert float(row[f"{key}_mean"]) == pytest.approx(mean)
        assert int(row["absent_n"]) == len(own) - len(there)
        assert (row["absent_found_n"], row["absent_ml_mean"]) == ("0", "")


def test_what_is_found_in_a_case_without_it_has_its_volume(made):
    study, _ = made
    later = [s for s in score_predictions(study).scored if s.round > 1]
    evaluation = evaluate_stages(Scores(tuple(later), ()), study.rounds(), 3, "test", NAMES)
    row = next(r for r in volume_rows(evaluation).rows if r["structure"] == NAMES["cyst"])
    assert (row["n"], row["absent_n"], row["absent_found_n"]) == (3, 3, 1)
    assert row["absent_ml_mean"] == pytest.approx(8 * 2.0 * 1.1 * 0.9 / 1000)


def test_json_holds_the_same_rows_as_the_csv_files(made, tables):
    data = json.loads(
        (made[1].folder / "report.json").read_text(encoding="utf-8"), parse_constant=pytest.fail
    )
    filled = {name: rows for name, rows in data["tables"].items() if rows}
    assert set(filled) == set(tables)
    for name, rows in filled.items():
        for row, written in zip(rows, tables[name], strict=True):
            assert {k: "" if v is None else str(v) for k, v in row.items()} == written
    assert data["labels"]["labels"][0]["name"] == NAMES["liver"]
    assert data["rounds"][0]["settings"] == {"recipe": {"rate": 0.5, "note": "</pre><b>"}}
    assert data["evaluations"][0]["cases"] == ["t1", "t2", "t3l", "t3r"]


def test_names_of_any_characters_are_shown_as_they_are(made, page):
    text = made[1].page.read_text(encoding="utf-8")
    assert "<b>artery" not in text and "Dr. <" not in text and "</pre><b>" not in text
    structures = {row[0] for row in page.tables["stages_test"]}
    assert set(NAMES.values()) <= structures
    annotators = {row[5] for row in page.tables["training"]}
    assert set(ANNOTATORS) <= annotators


def test_the_lineage_names_every_revision_that_a_round_used(made, tables):
    study = made[0]
    for current in study.rounds():
        rows = [r for r in tables["training"] if r["round"] == str(current.number)]
        used = {(r["case"], r["revision"], r["sha256"], r["use"]) for r in rows}
        expected = {(r.case, str(r.number), r.sha256, "training") for r in current.revisions}
        expected |= {(r.case, str(r.number), r.sha256, "held out") for r in current.validation}
        assert used == expected


def test_kims_comparisons_are_made_of_what_the_study_has(made, tables):
    rows = tables["surfaces"]
    found = {(r["comparison"], r["case"], r["round"]) for r in rows}
    assert {("labels and model", c, "3") for c in ("t1", "t2", "t3l", "t3r", "t4")} == {
        entry for entry in found if entry[0] == "labels and model"
    }
    assert {e[1:] for e in found if e[0] == "model and corrected"} == {("p3", "1"), ("p4", "2")}
    # Moved by 3 and 2 voxels of 0.9 mm: no point is farther from the other surface than that.
    for row in rows:
        if row["comparison"] == "model and corrected" and row["symmetric_rms"]:
            assert 0 < float(row["symmetric_rms"]) < (2.7 if row["case"] == "p3" else 1.8) + 1e-6
    assert not any(r["case"] == "t2" and not r["symmetric_rms"] for r in rows)


def test_manual_model_and_corrected_of_one_case_are_all_three_compared(tmp_path):
    study = make_study(tmp_path)
    case, labels = study.case("p1"), truth(6, cyst=True)
    new = study.add_case([write_image(tmp_path, "p9", labels, 77)], "p9")
    study.add_revision(new, labels)
    study.save_prediction(study.round(3), new, labels.with_array(labels.array // 7 * 7))
    study.add_revision(new, labels, origin="corrected", model_round=3)
    study.save_prediction(study.round(2), case, labels)
    study.add_revision(case, labels, origin="corrected", model_round=2)
    rows = measure(study).tables["surfaces"].rows
    kinds = {name: {r["comparison"] for r in rows if r["case"] == name} for name in ("p9", "p1")}
    assert kinds["p9"] == {"labels and model", "model and corrected", "manual and corrected"}
    assert kinds["p1"] == {"model and corrected", "manual and corrected"}, "Round 2 knew it."


def test_what_is_missing_is_said_with_the_command_that_makes_it(made):
    (said,) = [text for text in made[1].missing if "Round 1 has no prediction" in text]
    assert "of t4." in said and "--round 1" in said
    assert "activesegloop segment 'my study' t4" in said


def test_predictions_missing_of_the_round_in_use_are_one_command_away(made, tmp_path):
    shutil.copytree(made[0].folder.parent, tmp_path / "copy")
    study = Study.open(tmp_path / "copy" / "study")
    for name in ("t1", "v1"):
        study.prediction(study.round(3), study.case(name)).unlink()
    text = " ".join(missing(measure(study), "kidneys"))
    assert "This makes them: activesegloop segment kidneys t1 v1" in text


def test_the_essence_never_calls_a_higher_mean_better(made):
    text = " ".join(made[1].essence)
    assert "From round 2 to round 3" in text and "effect size" in text
    assert "Holm-adjusted p" in text and "95 % interval" in text and "n = 3" in text
    assert not re.search(r"improv|better|signific", text)
    whole = made[1].page.read_text(encoding="utf-8")
    assert not re.search(r"improv", whole)


def test_an_image_that_is_gone_costs_its_picture_and_nothing_else(made, tmp_path):
    shutil.copytree(made[0].folder.parent, tmp_path / "copy")
    for path in (tmp_path / "copy" / "images").glob("t*.nii.gz"):
        path.unlink()
    study = Study.open(tmp_path / "copy" / "study")
    # The study still finds the originals by their absolute path; they are moved away meanwhile.
    originals = made[0].folder.parent / "images"
    originals.rename(originals.with_name("away"))
    try:
        report = write_report(study, tmp_path / "report", ReportSettings(worst=1))
    finally:
        originals.with_name("away").rename(originals)
    text = report.page.read_text(encoding="utf-8")
    assert text.count("There is no picture:") == 1
    assert "stages_test" in Page(text).tables


def test_excluded_cases_are_named_and_not_scored(made, tmp_path):
    study = Study.open(shutil.copytree(made[0].folder, tmp_path / "study"))
    study.exclude(study.case("t2"))
    report = write_report(study, tmp_path / "report", ReportSettings(worst=0))
    said, usual = (item.page.read_text(encoding="utf-8") for item in (report, made[1]))
    assert "Excluded by hand: t2." in said and "Excluded by hand" not in usual
    scored, all_scored = (
        {row["case"] for row in csv.DictReader(io.StringIO(text))}
        for text in ((item.folder / "tables" / "scores.csv").read_text(encoding="utf-8")
                     for item in (report, made[1]))
    )
    assert all_scored - scored == {"t2"}


def test_a_study_without_cases_or_models_has_a_report_that_says_so(tmp_path):
    study = Study.create(tmp_path / "study", LabelSchema.parse("1=liver"))
    report = write_report(study, tmp_path / "report")
    assert "No model has been trained yet" in report.essence[0]
    assert Page(report.page.read_text(encoding="utf-8")).open == []


def test_truth_that_began_with_a_model_is_warned_of(made, tmp_path):
    shutil.copytree(made[0].folder.parent, tmp_path / "copy")
    study = Study.open(tmp_path / "copy" / "study")
    study.add_revision(study.case("t1"), truth(0, cyst=True), origin="corrected", model_round=2)
    (said,) = [text for text in essence(measure(study)) if text.startswith("Beware")]
    assert "of 1 case were corrected from a model's output of round 2" in said


def test_a_former_report_is_replaced_and_anything_else_refused(made, tmp_path):
    study = Study.create(tmp_path / "study", LabelSchema.parse("1=liver"))
    out = tmp_path / "report"
    shutil.copytree(made[1].folder, out)
    write_report(study, out)
    assert {p.name for p in out.iterdir()} == {"report.html", "report.json", "tables", "pictures"}
    assert not list((out / "pictures").iterdir())
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "report.json").write_text("[]")
    with pytest.raises(EvaluationError, match="isn't empty and holds no report"):
        write_report(study, mine)
    assert [p.name for p in mine.iterdir()] == ["report.json"]
    with pytest.raises(EvaluationError, match="is a file"):
        write_report(study, mine / "report.json")


def test_stopping_leaves_the_folder_as_it_was(made, tmp_path):
    calls = []

    def go_on():
        calls.append(1)
        if len(calls) > 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(made[0], tmp_path / "report", go_on=go_on)
    assert not (tmp_path / "report").exists()
