"""The script behind the README's commands, with a small stand-in for Python and pip.

The real installation is what every run of the tests on a clean machine shows.
"""

import os
import shutil
import subprocess
import sys

import pytest

from Testing.repository import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="run is a bash script")

TOOLS = "bash cat cp dirname id mkdir mktemp rm sed tail tee uname".split()

# Knows what `run` asks of Python; writes down each call of pip and each program it is to run.
PYTHON = """#!/bin/bash
case "$*" in
  *version_info*) exit "$OLD" ;;
  *ensurepip*) exit "$NO_VENV" ;;
  --version) echo "Python 3.12.0" ;;
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  "-m pip "*) echo "pip ${*:5}" >>"$CALLS"; [ -z "$NO_NETWORK" ] ;;
  -c*|-) ;;
  *) echo "python $*" >>"$CALLS" ;;
esac
"""


class Machine:
    """A folder with `run` and pyproject.toml, and a PATH that holds only what is put there."""

    def __init__(self, folder):
        self.clone, self.bin, self.calls = folder / "clone", folder / "bin", folder / "calls"
        self.clone.mkdir()
        self.bin.mkdir()
        for name in ("run", "pyproject.toml"):
            shutil.copy(ROOT / name, self.clone)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))

    def has_python(self):
        """Put a Python on the PATH."""
        (self.bin / "python3").write_text(PYTHON)
        (self.bin / "python3").chmod(0o755)

    def run(self, *arguments, **environment):
        """The finished process of `run`, started from another folder."""
        settings = {"OLD": "0", "NO_VENV": "0", "NO_NETWORK": "", "CALLS": str(self.calls)}
        paths = {"PATH": str(self.bin), "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
        return subprocess.run(
            [str(self.clone / "run"), *arguments],
            cwd=self.bin,
            env=paths | settings | environment,
            capture_output=True,
            text=True,
        )

    def called(self):
        """What was called since the last time, one line a call."""
        lines = self.calls.read_text(encoding="utf-8").splitlines() if self.calls.exists() else []
        self.calls.write_text("")
        return lines


@pytest.fixture
def machine(tmp_path):
    """An empty machine: no Python, no apt-get."""
    return Machine(tmp_path)


def test_without_arguments_it_says_what_it_can_do_and_installs_nothing(machine):
    ran = machine.run()
    assert ran.returncode == 0
    assert "./run demo" in ran.stdout and "./run test" in ran.stdout
    assert not (machine.clone / ".venv").exists()


@pytest.mark.parametrize(
    ("has_python", "environment", "words"),
    [
        (False, {}, "Python 3.11 or newer is needed"),
        (True, {"OLD": "1"}, "Python 3.11 or newer is needed"),
        (True, {"NO_VENV": "1"}, "venv module is missing"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(machine, has_python, environment, words):
    if has_python:
        machine.has_python()
    ran = machine.run("demo", **environment)
    assert ran.returncode == 1
    assert words in ran.stderr and len(ran.stderr.splitlines()) == 1
    assert not (machine.clone / ".venv").exists()


def test_the_first_time_it_installs_torch_by_its_version_before_all_else(machine):
    machine.has_python()
    ran = machine.run("train", "my study")
    assert ran.returncode == 0, ran.stderr
    torch, library, command = machine.called()
    assert torch == "pip --quiet torch==2.13.0"
    assert library.endswith(f"--editable {machine.clone}")
    assert command == "python -P -m ActiveSegLoopLib train my study"


def test_it_installs_again_only_when_pyproject_changed_or_the_tests_need_more(machine):
    machine.has_python()
    machine.run("demo")
    machine.called()
    assert machine.run("demo").stderr == ""
    assert machine.called() == ["python -P -m ActiveSegLoopLib demo"]
    machine.run("test", "-q")
    calls = machine.called()
    assert calls[1].endswith("[test]") and calls[-1] == "python -m pytest -q"
    with open(machine.clone / "pyproject.toml", "a") as file:
        file.write("# changed\n")
    machine.run("demo")
    assert len(machine.called()) == 3


def test_an_installation_that_failed_is_told_and_tried_again(machine):
    machine.has_python()
    failed = machine.run("demo", NO_NETWORK="1")
    assert failed.returncode == 1
    assert "check the network" in failed.stderr.splitlines()[-1]
    machine.called()
    assert machine.run("demo").returncode == 0
    assert len(machine.called()) == 3
