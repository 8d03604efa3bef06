"""What status says of the rounds."""

import json

import pytest

from ActiveSegLoopLib.study import Study
from Testing.jobs.running import call, start
from Testing.study.test_rounds import training


def test_a_round_whose_process_died_is_interrupted_and_one_that_lives_is_running(study, capfd):
    process = training(Study.open(study))
    try:
        assert call("status", study) == 0
        assert "round 1: running, fast, 2 training cases\n" in capfd.readouterr().out
    finally:
        process.kill()
        process.communicate()
    assert call("status", study) == 0
    assert "round 1: interrupted, fast, 2 training cases\n" in capfd.readouterr().out
    assert Study.open(study).round(1).state == "running", "Looking changes nothing."


@pytest.mark.parametrize("reason", ["None of the cases holds any label.", ""])
def test_a_failed_round_says_why(study, capfd, reason):
    opened = Study.open(study)
    labeled = opened.latest(opened.case("p0"))
    opened.fail_round(opened.start_round("fast", {}, 0, [labeled]), reason)
    assert call("status", study) == 0
    why = " (None of the cases holds any label)" if reason else ""
    assert f"round 1: failed{why}, fast, 1 training case\n" in capfd.readouterr().out
    assert call("status", study, "--json") == 0
    assert json.loads(capfd.readouterr().out)["rounds"][0]["reason"] == reason


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_a_reader_that_has_gone_is_no_error(study, how):
    process = start("status", study, *how)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0
    process.stdin.close()
    process.stderr.close()
