"""The demo: the whole loop on phantoms, from the command to its pictures."""

import json

import pytest

from ActiveSegLoopLib.study.study import Study
from Testing.jobs.running import call, content, run


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The folder of a quick demo, and what it printed."""
    out = tmp_path_factory.mktemp("quick") / "demo"
    ran = run("demo", "--quick", "--device", "cpu", "--out", out)
    assert ran.returncode == 0, ran.stderr
    return out, ran


def test_it_ends_with_the_table_of_its_stages_printed_once(quick):
    out, ran = quick
    table = (out / "table.txt").read_text(encoding="utf-8").rstrip()
    assert ran.stdout.startswith(table) and table not in ran.stderr
    assert table.split("\n")[0].split() == ["stage", "I", "stage", "II", "stage", "III"]
    for row in ("training cases", "Dice, %", "parenchyma", "voxels corrected, %"):
        assert row in table
    before = ran.stderr.replace(" ", "")
    assert "stageIstageII\n" in before, "What the stages before came to is said on the way."


def test_it_says_where_pictures_and_report_lie_and_they_are_there(quick):
    out, ran = quick
    for name in ("slices.png", "learning-curve.png"):
        assert name in ran.stdout
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert str(out / "report" / "report.html") in ran.stdout
    assert "<html" in (out / "report" / "report.html").read_text(encoding="utf-8")


def test_its_study_holds_a_round_a_stage_with_corrected_labels_after_the_first(quick):
    study = Study.open(quick[0] / "study")
    rounds = study.rounds()
    assert [r.state for r in rounds] == ["finished"] * 3
    used = [{r.case: r.origin for r in (*one.revisions, *one.validation)} for one in rounds]
    assert [len(cases) for cases in used] == [2, 3, 4]
    assert set(used[0].values()) == {"manual"}
    assert [used[1][case] for case in used[1].keys() - used[0].keys()] == ["corrected"]
    assert [used[2][case] for case in used[2].keys() - used[1].keys()] == ["corrected"]
    tested = {case.name for case in study.cases("test")}
    assert tested and not tested & used[2].keys(), "No model has learned from a test case."


def test_its_summary_has_the_numbers_of_the_table(quick):
    text = (quick[0] / "summary.json").read_text(encoding="utf-8")
    stages = json.loads(text)["stages"]
    assert [stage["training_cases"] for stage in stages] == [2, 3, 4]
    row = next(x for x in quick[1].stdout.splitlines() if x.split()[:1] == ["parenchyma"])
    shares = [stage["dice"]["parenchyma"]["mean"] for stage in stages]
    assert row.split()[1:] == [f"{100 * share:.2f}" for share in shares]
    assert all(share > 0 for share in shares)


def test_a_demo_that_is_stopped_says_where_its_beginnings_are(tmp_path, monkeypatch, capsys):
    (tmp_path / "stop").touch()
    monkeypatch.chdir(tmp_path)
    assert call("demo", "--device", "cpu", "--cancel-file", "stop") == 130
    said = capsys.readouterr().err
    assert said.startswith("activesegloop: ") and "made so far is in demo; " in said
    assert said.endswith("doesn't go on where it stopped, but begins anew in another folder.\n")
    before = content(tmp_path / "demo")
    assert call("demo", "--device", "cpu", "--cancel-file", "stop") == 130
    assert "is in demo-2; " in capsys.readouterr().err, "A demo before it isn't touched."
    assert content(tmp_path / "demo") == before


def test_a_folder_that_holds_something_is_refused(tmp_path, capsys):
    (tmp_path / "mine.txt").touch()
    assert call("demo", "--device", "cpu", "--out", tmp_path) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert list(content(tmp_path)) == ["mine.txt"]
