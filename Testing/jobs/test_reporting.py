"""The report command."""

import json
import subprocess
import sys

import pytest

from Testing.evaluation.report_study import make_study
from Testing.jobs.running import call, content, environment


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a study with three rounds; only read."""
    return make_study(tmp_path_factory.mktemp("reporting")).folder


def test_a_report_is_written_and_its_essence_printed(study, tmp_path, capsys):
    assert call("report", study, "--out", tmp_path / "out", "--worst", 1, "--limit", 1.5) == 0
    said = capsys.readouterr().out
    assert "The model of round 3, the one in use" in said and "limit of 1.5 mm" in said
    assert "Missing: Round 1 has no prediction of t4. This makes them: " \
        f"activesegloop segment {study} t4 --round 1" in said
    assert said.endswith(f"The report is {tmp_path / 'out' / 'report.html'}.\n")
    data = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert data["settings"]["limit_mm"] == 1.5
    assert sum(p["section"] == "worst" for p in data["pictures"]) == 1


def test_programs_get_the_result_as_json_without_torch_being_there(study, tmp_path):
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("torch", "monai"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
from ActiveSegLoopLib.jobs.command_line import main
sys.exit(main(["report", {str(study)!r}, "--out", {str(tmp_path / "out")!r}, "--json",
               "--worst", "0"]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment() | {"DISPLAY": ""}, capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result["page"] == str(tmp_path / "out" / "report.html")
    assert any("Dice" in sentence for sentence in result["essence"])


def test_a_study_isnt_changed_by_its_report(study, tmp_path):
    before = {k: v for k, v in content(study).items() if not k.startswith("logs")}
    (tmp_path / "stop").touch()
    assert call("report", study, "--out", tmp_path / "out", "--cancel-file",
                tmp_path / "stop") == 130
    assert not (tmp_path / "out").exists(), "A stopped report leaves nothing."
    assert {k: v for k, v in content(study).items() if not k.startswith("logs")} == before


def test_a_folder_with_other_things_is_refused_in_one_line(study, tmp_path, capsys):
    (tmp_path / "mine.txt").touch()
    assert call("report", study, "--out", tmp_path) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "holds no report" in said
    assert list(content(tmp_path)) == ["mine.txt"]


@pytest.mark.parametrize("text", ["0", "-1", "two", "nan", "1e9"])
def test_a_limit_that_is_no_distance_is_refused(study, tmp_path, capsys, text):
    assert call("report", study, "--out", tmp_path / "out", f"--limit={text}") == 2
    assert f"'{text}' isn't a distance in mm" in capsys.readouterr().err
