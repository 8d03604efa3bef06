"""Whatever the moment at which processes are killed, nothing that was accepted is lost."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from ActiveSegLoopLib.study import LabelSchema, Study
from ActiveSegLoopLib.study.checking import check
from Testing.repository import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")


def test_processes_killed_at_any_moment_lose_nothing_that_was_accepted(
    study, make_image, make_labels
):
    for name in "ab":
        study.add_revision(study.add_case([make_image(f"{name}.nrrd")]), make_labels(0))
    command = [sys.executable, "-m", "Testing.study.killing", str(study.folder), "40", "60"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(trials) == 100 and all(killed for killed, _ in trials)

    study = Study.open(study.folder)
    accepted = [event for _, said in trials for event in said]
    for name in "ab":
        stored = {revision.number: revision for revision in study.revisions(study.case(name))}
        for number, seed in (event[1:] for event in accepted if event[0] == name):
            labels = study.labelmap(stored.pop(number)).array
            assert np.array_equal(labels, make_labels(seed).array)
        for revision in stored.values():  # accepted, but killed before it could say so
            study.labelmap(revision)
    states = {round.number: round.state for round in study.rounds()}
    assert all(states[n] == "finished" for what, n, *_ in accepted if what == "finished")
    assert {n for what, n, *_ in accepted if what == "started"} <= set(states)

    found = check(study)
    assert found, "no kill left anything: the moments are chosen badly"
    assert all(problem.repaired for problem in check(study, repair=True))
    assert check(study) == []
    case = study.case("a")
    revision = study.add_revision(case, make_labels(5))
    assert np.array_equal(study.labelmap(revision).array, make_labels(5).array)
    assert study.finish_round(study.start_round("fast", {}, 0, [revision]), {}, {})


CREATE = """
import os, signal, sys
from ActiveSegLoopLib.study import LabelSchema, Study
left = int(sys.argv[2])
def trace(frame, event, argument):
    global left
    if "ActiveSegLoopLib/study" not in frame.f_code.co_filename:
        return None
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return trace
schema = LabelSchema.parse("1=artery,2=vein")
for count in range(1, 100000, int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        left = count
        sys.settrace(trace)
        Study.create(f"{sys.argv[1]}/{count}", schema)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
    print(count)
"""


def test_a_creation_killed_at_any_line_can_be_done_again(tmp_path):
    command = [sys.executable, "-c", CREATE, str(tmp_path), "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    killed = done.stdout.split()
    assert len(killed) > 20
    made = 0
    for count in killed:
        try:
            study = Study.open(tmp_path / count)
            made += 1
        except Exception:
            study = Study.create(tmp_path / count, LabelSchema.parse("1=artery,2=vein"))
        assert study.schema.ids == ("artery", "vein")
    assert 0 < made < len(killed)
