"""Events for programs are valid JSON lines and nothing else is on their stream."""

import io
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ActiveSegLoopLib.jobs.events import JsonEvents


def test_every_event_is_one_json_line_with_its_kind_and_time():
    stream = io.StringIO()
    report = JsonEvents(stream)
    report("progress", stage="segmenter", step=1, total=20, loss=0.5)
    report("message", text="two\nlines")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["progress", "message"]
    assert lines[0]["loss"] == 0.5 and lines[1]["text"] == "two\nlines"
    assert all(line["time"] > 1.7e9 for line in lines)


def test_what_json_lacks_becomes_null_and_other_types_their_plain_values():
    stream = io.StringIO()
    JsonEvents(stream)(
        "result", dice=np.float32(0.5), none=math.nan, rows=np.arange(2), path=Path("a"),
        pair=(1, math.inf), flag=np.bool_(True),
    )
    line = json.loads(stream.getvalue())
    del line["event"], line["time"]
    assert line == {
        "dice": 0.5, "none": None, "rows": [0, 1], "path": "a", "pair": [1, None], "flag": True,
    }


def test_a_type_that_has_no_plain_value_is_an_error_and_not_a_guess():
    with pytest.raises(TypeError, match="object"):
        JsonEvents(io.StringIO())("result", thing=object())


def test_prints_of_libraries_go_to_stderr_and_stdout_returns_afterwards():
    code = """
import ctypes, os
from ActiveSegLoopLib.jobs.events import machine_stdout, write_json
with machine_stdout() as stream:
    print("python")
    os.write(1, b"library\\n")
    write_json(stream, {"event": "end"})
print("after")
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout == '{"event": "end"}\nafter\n'
    assert sorted(ran.stderr.split()) == ["library", "python"]


def test_a_reader_that_has_gone_does_not_end_the_job():
    code = """
import sys
from ActiveSegLoopLib.jobs.events import JsonEvents, machine_stdout
with machine_stdout() as stream:
    report = JsonEvents(stream)
    sys.stdin.readline()
    for step in range(3):
        report("progress", step=step)
print("went on", file=sys.stderr)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )
    process.stdout.close()
    process.stdin.write("\n")
    process.stdin.close()
    assert process.stderr.read() == "went on\n"
    assert process.wait() == 0
