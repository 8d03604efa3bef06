"""Kills processes that work on a study and prints what was accepted before, as JSON lines.

Run with the study's folder and how many to kill at random moments and at random lines of code. The
processes are forked from this one, which has everything imported and nothing running: a trial takes
milliseconds instead of seconds.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from ActiveSegLoopLib.study import Study
from Testing.study.labeler import label
from Testing.study.samples import write_model

SEEDS_PER_TRIAL = 1000
CRITICAL = ("revisions.py", "rounds.py", "files.py", "database.py", "locks.py", "writing.py")


def main(folder: str, at_times: int, at_lines: int) -> None:
    """Every trial is a process that adds a revision or trains a round until it is killed."""
    chance = random.Random(0)
    for trial in range(at_times + at_lines):
        seconds, lines = chance.uniform(0.0, 0.12), chance.randrange(1, 1200)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            if trial >= at_times:
                kill_at_line(lines)
            try:
                work(folder, trial, write)
            finally:
                os._exit(1)
        os.close(write)
        if trial < at_times:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        with os.fdopen(read) as said:
            events = [json.loads(line) for line in said]
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(json.dumps([killed, events]), flush=True)


def work(folder: str, trial: int, pipe: int) -> None:
    """Revisions, and in every third trial rounds, until the kill comes."""
    def accepted(*event) -> None:
        os.write(pipe, f"{json.dumps(event)}\n".encode())

    study = Study.open(folder)
    while trial % 3 == 2:
        round = study.start_round("fast", {}, 0, [study.latest(study.case("a"))])
        accepted("started", round.number)
        write_model(round.folder)
        study.finish_round(round, {"dice": 0.5}, {})
        accepted("finished", round.number)
    seed = (trial + 1) * SEEDS_PER_TRIAL
    case = "ab"[trial % 2]
    label(folder, case, seed, SEEDS_PER_TRIAL, lambda *said: accepted(case, *said))


def kill_at_line(count: int) -> None:
    """Kill this process at the count-th line from now on in the code that touches files."""
    left = count

    def trace(frame, event, argument):
        nonlocal left
        if Path(frame.f_code.co_filename).name not in CRITICAL:
            return None
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
