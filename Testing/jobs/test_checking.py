"""The check of a study from the command line: what it says of repairing."""

import json
import os

from ActiveSegLoopLib.study import Study
from Testing.jobs.running import call


def test_repair_is_only_recommended_for_what_it_mends(study, capfd):
    (label,) = (study / "labels" / "p0").iterdir()
    whole = label.read_bytes()
    label.write_bytes(whole + b"junk")
    assert call("check", study) == 1
    out, error = capfd.readouterr()
    assert f"{label}, revision 1 of case 'p0', has changed: restore it from a backup" in out
    assert error == f"activesegloop: 1 problem found in {study}.\n"

    stray = label.with_name("r0002.seg.nrrd")
    stray.write_bytes(b"stray")
    assert call("check", study) == 1
    assert capfd.readouterr().err.endswith(f"2 problems found in {study}; --repair mends 1.\n")
    label.write_bytes(whole)
    assert call("check", study, "--json") == 1
    out, error = capfd.readouterr()
    assert error.endswith("; --repair mends 1.\n")
    (problem,) = json.loads(out)["problems"]
    assert (problem["repairable"], problem["repaired"]) == (True, False)

    assert call("check", study, "--repair") == 0
    assert f"Repaired: {stray} is a label map that was never accepted" in capfd.readouterr().out
    assert call("check", study) == 0


def test_a_prediction_that_can_not_be_opened_is_a_problem_until_it_is_made_again(study, capsys):
    opened = Study.open(study)
    case = opened.case("p0")
    labels = opened.labelmap(opened.latest(case))
    started = opened.start_round("fast", {}, 0, [opened.latest(case)])
    kept = opened.save_prediction(started, case, labels)
    os.truncate(kept, 300)
    assert call("check", study) == 1
    assert f"{kept} can't be read: repair moves it" in capsys.readouterr().out
    opened.save_prediction(started, case, labels)
    assert call("check", study) == 0
