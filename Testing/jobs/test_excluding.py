"""Leaving cases out from the command line."""

import json

from ActiveSegLoopLib.study import Study
from Testing.jobs.running import call, content


def test_an_excluded_case_is_told_and_isnt_exported_or_proposed(study, tmp_path, capfd):
    assert call("exclude", study, "p0", "p2") == 0
    said = capfd.readouterr().out
    assert "p0, p2 take no part from now on; --undo takes them in again." in said
    assert call("status", study, "--json") == 0
    status = json.loads(capfd.readouterr().out)
    assert status["excluded"] == ["p0", "p2"]
    assert status["cases"]["pool"] == {"cases": 1, "labeled": 1}
    assert call("status", study) == 0
    assert "excluded: p0, p2" in capfd.readouterr().out
    assert call("export", study, "--format", "nnunet", "--out", tmp_path / "out") == 0
    names = {path.name for path in (tmp_path / "out").rglob("*.nii.gz")}
    assert any("p1" in name for name in names) and not any("p0" in name for name in names)
    assert call("propose", study, "-n", 1) == 1
    assert "Nothing is left to propose" in capfd.readouterr().err
    assert call("exclude", study, "p1") == 0
    assert call("export", study, "--format", "nnunet", "--out", tmp_path / "none") == 1
    assert "none is labeled yet but for excluded ones" in capfd.readouterr().err
    assert call("propose", study, "-n", 1) == 1
    assert "or include an excluded one again" in capfd.readouterr().err
    assert call("exclude", study, "p0", "p1", "--undo") == 0
    assert "p0, p1 take part again." in capfd.readouterr().out
    assert [case.name for case in Study.open(study).cases("pool")] == ["p0", "p1"]


def test_with_a_wrong_name_nothing_changes(study, capfd):
    def state():
        return {name: data for name, data in content(study).items() if "logs" not in name}

    before = state()
    assert call("exclude", study, "p0", "p9") == 1
    assert "p9" in capfd.readouterr().err
    assert state() == before
