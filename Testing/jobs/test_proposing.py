"""propose: a table for people, JSON for programs, and the proposals kept in the study."""

import json
import shutil

import pytest

from ActiveSegLoopLib.study import Study
from Testing.jobs.running import call, content, run


@pytest.fixture
def loop(tmp_path, trained):
    """A copy of the trained study, in which p2 isn't labeled."""
    return shutil.copytree(trained, tmp_path / "study")


def test_the_very_first_picks_need_no_model_and_no_torch(study):
    ran = run("propose", study, "-n", 3, "--json")
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert answer["strategy"] == "typical_diverse" and answer["round"] is None
    assert [p["case"] for p in answer["proposals"]] == ["p2"] * 3, "the others are labeled"
    kept = Study.open(study).proposals("open")
    assert [p.to_dict() for p in kept] == answer["proposals"]


def test_a_model_is_asked_and_the_answer_is_a_table_with_reasons(loop, capsys):
    assert call("propose", loop, "-n", 2, "--device", "cpu", "--passes", 2) == 0
    captured = capsys.readouterr()
    head, *rows = captured.out.splitlines()
    assert head.split() == ["case", "slice", "why"]
    assert len(rows) == 2 and all(row.split()[1:3] == ["p2", "axial"] for row in rows)
    assert all("in a volume without labeled slices" in row for row in rows)
    assert call("propose", loop, "--unit", "volume", "--strategy", "entropy.sum", "--passes", 2,
                "--device", "cpu") == 0
    captured = capsys.readouterr()
    assert "p2    whole volume  most uncertain on" in captured.out
    assert "Only 1 volume could be proposed, not 10" in captured.err
    stored = Study.open(loop).proposals(every_batch=True)
    assert [(p.batch, p.unit, p.round) for p in stored] == [
        (1, "slice", 1), (1, "slice", 1), (2, "volume", 1),
    ]


def test_per_class_names_the_structure(loop, capsys):
    assert call("propose", loop, "-n", 2, "--strategy", "entropy", "--per-class", "--passes", 1,
                "--device", "cpu") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["case", "slice", "for", "why"]
    assert sorted(row.split()[4] for row in rows) == ["liver", "spleen"]


def test_without_a_model_a_papers_preset_chooses_as_the_paper_began(study, capfd):
    for name, unit, strategy in (
        ("rahimi2021", "volume", "random"), ("zhang2020", "slice", "equal_interval"),
    ):
        capfd.readouterr()
        assert call("propose", study, "--preset", name, "--json") == 0
        answer = json.loads(capfd.readouterr().out)
        assert (answer["unit"], answer["strategy"]) == (unit, strategy)


def test_a_papers_preset_chooses_as_the_paper_did_as_far_as_nothing_else_is_asked(loop, capfd):
    ask = ("propose", loop, "--preset", "rahimi2021", "--device", "cpu", "--json")
    assert call(*ask) == 0
    answer = json.loads(capfd.readouterr().out)
    assert (answer["unit"], answer["strategy"]) == ("volume", "variance.sum")
    assert len(answer["proposals"]) == 1, "only p2 is left"
    assert call(*ask, "--strategy", "mutual_information", "--passes", 2) == 0
    answer = json.loads(capfd.readouterr().out)
    assert (answer["unit"], answer["strategy"]) == ("volume", "mutual_information")
    assert call("propose", loop, "--preset", "zhang2020", "--device", "cpu", "--json") == 0
    answer = json.loads(capfd.readouterr().out)
    assert (answer["unit"], answer["strategy"]) == ("slice", "attention")


@pytest.mark.parametrize(
    "options, status, words",
    [
        (["--preset", "kim2020"], 1, "'kim2020'; use one of rahimi2021, zhang2020"),
        (["--preset", "zhang2020", "--unit", "volume"], 1, "zhang2020 chooses slices, not volumes"),
        (["--strategy", "magic"], 1, "'magic' isn't a strategy: use one of attention, "),
        (["--strategy", "core_set"], 1, "needs a model and the study has none yet"),
        (["--strategy", "representative"], 1, "isn't one for slices"),
        (["--min-distance", "-1"], 2, "'-1' isn't a distance in mm, 0 or more"),
        (["--plane", "oblique"], 2, "invalid choice: 'oblique'"),
        (["--min-distance", "99", "--unit", "slice", "--strategy", "random", "-n", "1"], 0, ""),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(study, options, status, words, capsys):
    before = content(study)
    assert call("propose", study, *options) == status
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == (status > 0)
    if status:
        after = {name: data for name, data in content(study).items() if "logs" not in name}
        assert after == {name: data for name, data in before.items() if "logs" not in name}


def test_a_stopped_job_proposes_nothing(loop, tmp_path, capsys):
    (tmp_path / "stop").touch()
    assert call("propose", loop, "--cancel-file", tmp_path / "stop", "--device", "cpu") == 130
    assert "Stopped; nothing was proposed." in capsys.readouterr().err
    assert Study.open(loop).proposals() == []
