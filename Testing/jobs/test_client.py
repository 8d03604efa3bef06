"""Jobs as another program sees them: events without waiting, cancel, and nothing left behind."""

import os
import sys
import time

import pytest

from ActiveSegLoopLib.jobs.client import JobProcess, child_environment
from ActiveSegLoopLib.jobs.worker import WarmWorker
from ActiveSegLoopLib.study import Study


@pytest.fixture
def launcher(tmp_path):
    """A Python that starts the real one and waits for it, as PythonSlicer does."""
    path = tmp_path / "PythonLauncher"
    path.write_text(f'#!/bin/sh\necho a word of the launcher\n"{sys.executable}" "$@"\nexit $?\n')
    path.chmod(0o755)
    return str(path)


def all_events(job) -> list[dict]:
    """Everything that a job tells until its end."""
    events = []
    while job.is_running:
        events += job.poll()
        time.sleep(0.02)
    return events


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and waits to be counted doesn't."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_job_tells_its_events_its_result_and_its_end(tmp_path):
    job = JobProcess(["init", tmp_path / "kidneys", "--labels", "1=artery"])
    assert job.status is None and job.is_running
    events = all_events(job)
    assert [event["event"] for event in events] == ["started", "result", "end", "exit"]
    assert job.pid == events[0]["pid"] != os.getpid()
    assert events[-1]["status"] == job.status == 0
    assert job.result["labels"][0]["name"] == "artery"
    assert job.error is None and job.poll() == []
    assert Study.open(tmp_path / "kidneys").schema.ids == ("artery",)


def test_why_a_job_failed_is_one_sentence(tmp_path):
    missing = JobProcess(["status", tmp_path / "nothing"])
    wrong = JobProcess(["status", tmp_path, "--faster"])
    dead = JobProcess(["status", tmp_path], python=sys.executable, environment={
        **os.environ, "PYTHONHOME": str(tmp_path),
    })
    assert missing.wait(60) == 1
    assert str(tmp_path / "nothing") in missing.error and "\n" not in missing.error
    assert wrong.wait(60) == 2
    assert "--faster" in wrong.error and "\n" not in wrong.error
    assert dead.wait(60) not in (None, 0)
    assert dead.error and "\n" not in dead.error


def test_a_job_behind_a_launcher_is_cancelled_kindly_or_ended(study, launcher):
    def training():
        job = JobProcess(
            ["train", study, "--preset", "fast", "--device", "cpu"], python=launcher
        )
        while not (events := job.poll()):
            assert job.is_running
            time.sleep(0.02)
        assert [event["event"] for event in events] == ["started"]
        return job

    kindly, at_once, impatient = training(), training(), training()
    kindly.cancel()
    impatient.cancel(patience=0)
    at_once.close()
    end = time.monotonic() + 10  # the system takes a moment to end what was killed
    while is_alive(at_once.pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not is_alive(at_once.pid) and not at_once.is_running
    assert impatient.wait(60) not in (None, 0)
    while is_alive(impatient.pid) and time.monotonic() < end + 60:
        time.sleep(0.02)
    assert not is_alive(impatient.pid)
    events = all_events(kindly)
    assert [event["event"] for event in events[-3:]] == ["cancelled", "end", "exit"]
    assert kindly.status == 130 and kindly.error is None
    assert Study.open(study).unfinished_rounds() or not Study.open(study).rounds()


def test_a_job_stops_when_the_program_that_started_it_dies(study, tmp_path):
    code = f"""
import os, time
from ActiveSegLoopLib.jobs.client import JobProcess
job = JobProcess(["train", {str(study)!r}, "--preset", "fast", "--device", "cpu"])
while not job.poll():
    time.sleep(0.02)
print(job.pid, flush=True)
os._exit(1)
"""
    import subprocess

    ran = subprocess.run(
        [sys.executable, "-c", code], env=child_environment(), capture_output=True, text=True
    )
    pid, end = int(ran.stdout), time.monotonic() + 60
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_alive(pid)


def test_the_window_s_settings_stay_with_the_window():
    made = child_environment({"QT_PLUGIN_PATH": "x", "PYTHONPATH": "mine", "HOME": "/home/x"})
    assert "QT_PLUGIN_PATH" not in made and made["HOME"] == "/home/x"
    assert made["PYTHONPATH"].split(os.pathsep)[1:] == ["mine"]
    assert child_environment(made)["PYTHONPATH"] == made["PYTHONPATH"]


def test_a_worker_answers_dies_and_is_started_anew(trained, data, tmp_path):
    def answer_to(number):
        while True:
            for answer in worker.poll():
                assert answer["id"] == number
                return answer
            time.sleep(0.02)

    worker = WarmWorker(trained, "cpu")
    assert not worker.is_alive and worker.poll() == []
    out = tmp_path / "p3.seg.nrrd"
    first = answer_to(worker.segment_images([data.image(3)], out))
    assert first["ok"] and first["command"] == "segment" and out.is_file()
    assert worker.model["round"] == 1 and not worker.is_busy
    refused = answer_to(worker.segment_case("p9"))
    assert not refused["ok"] and "no case 'p9'" in refused["error"]
    assert answer_to(worker.reload())["round"] == 1

    before = worker.pid
    number = worker.segment_case("p2")
    os.kill(before, 9)
    lost = answer_to(number)
    assert not lost["ok"] and "ask again" in lost["error"] and not worker.is_busy
    assert answer_to(worker.ping())["ok"]
    assert worker.pid != before
    worker.close()
    assert not worker.is_alive


def test_a_worker_without_a_model_says_why(study):
    worker = WarmWorker(study, "cpu")
    number = worker.ping()
    while not (answers := worker.poll()):
        time.sleep(0.02)
    assert answers[0]["id"] == number and "has no model yet" in answers[0]["error"]
    worker.close()
