"""Rolling back from the command line."""

import json

from ActiveSegLoopLib.study import Study
from Testing.jobs.running import call


def test_an_earlier_round_is_used_again_and_only_a_finished_one(study, capfd):
    opened = Study.open(study)
    labeled = opened.latest(opened.case("p0"))
    for _ in range(2):
        opened.finish_round(opened.start_round("fast", {}, 0, [labeled]), {}, {})
    opened.fail_round(opened.start_round("fast", {}, 0, [labeled]), "out of memory")
    capfd.readouterr()
    for number, said in ((3, "Round 3 is failed"), (7, "no round 7")):
        assert call("rollback", study, number) == 1
        assert said in capfd.readouterr().err
    assert opened.current_round().number == 2
    assert call("rollback", study, 1) == 0
    assert capfd.readouterr().out == "Round 1 is in use now.\n"
    assert opened.current_round().number == 1
    assert call("rollback", study, 2, "--json") == 0
    said = json.loads(capfd.readouterr().out)
    assert (said["round"], said["before"]) == (2, 1)
    assert [round.state for round in opened.rounds()] == ["finished", "finished", "failed"]
