"""A job stops kindly when it is asked to, in each of the ways there are."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ActiveSegLoopLib.jobs.cancel import Cancel, Cancelled

LOOP = """
import sys, time
from pathlib import Path
from ActiveSegLoopLib.jobs import cancel
from ActiveSegLoopLib.jobs.cancel import Cancel
cancel._SECONDS_OF_GRACE = {grace}
with Cancel(*{arguments}) as should_stop:
    print("ready", flush=True)
    while not should_stop():
        time.sleep(0.01)
    print("kindly", flush=True)
    {after}
"""


def start(arguments="()", after="pass", grace=60):
    """A process that loops until it is cancelled, and has begun to."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOOP.format(arguments=arguments, after=after, grace=grace)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_kindly_and_a_second_one_at_once(number):
    process = start(after="time.sleep(60)")
    process.send_signal(number)
    assert process.stdout.readline() == "kindly\n"
    process.send_signal(number)
    assert process.wait(5) == -number


def test_a_closed_stdin_stops_it_when_asked_for():
    process = start("(None, True)")
    process.stdin.write("input that nobody reads\n")
    process.stdin.flush()
    time.sleep(0.1)
    assert process.poll() is None
    process.stdin.close()
    assert process.stdout.readline() == "kindly\n"
    assert process.wait(5) == 0


def test_a_step_that_never_ends_is_ended_some_time_after_stdin_was_closed():
    process = start("(None, True)", after="time.sleep(60)", grace=0.2)
    process.stdin.close()
    assert process.stdout.readline() == "kindly\n"
    assert process.wait(10) == 130


def test_a_file_stops_it_when_it_appears(tmp_path):
    with Cancel(tmp_path / "stop") as should_stop:
        assert not should_stop()
        (tmp_path / "stop").touch()
        time.sleep(0.25)
        assert should_stop()
        (tmp_path / "stop").unlink()
        assert should_stop(), "A job that was asked to stop doesn't forget it."
        with pytest.raises(Cancelled, match="later"):
            should_stop.require_going_on("Go on later.")


def test_a_job_that_waits_is_interrupted():
    with Cancel() as should_stop:
        with pytest.raises(Cancelled), should_stop.interrupting():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        with pytest.raises(Cancelled), should_stop.interrupting():
            pytest.fail("It was asked to stop before it began to wait.")


def test_the_handlers_of_the_program_around_it_return():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Cancel():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
