"""Running the command line, in another process or in this one, and reading what it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

from ActiveSegLoopLib.jobs.command_line import main

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: object) -> list[str]:
    """How another process is asked to run the command line."""
    return [sys.executable, "-m", "ActiveSegLoopLib", *map(str, arguments)]


def environment() -> dict[str, str]:
    """This process's environment, with the library to be found and one thread to compute on."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def start(*arguments: object, **options) -> subprocess.Popen:
    """Begin the command in another process, connected by pipes."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        command(*arguments), env=environment(), text=True, encoding="utf-8", **(pipes | options)
    )


def run(*arguments: object) -> subprocess.CompletedProcess:
    """Run the command in another process; so long only a process that hangs takes."""
    return subprocess.run(
        command(*arguments), env=environment(), capture_output=True, encoding="utf-8",
        timeout=900, stdin=subprocess.DEVNULL,
    )


def call(*arguments: object) -> int:
    """Run the command in this process, which saves loading everything anew."""
    return main([str(argument) for argument in arguments])


def exported(source: Path, out: Path) -> Path:
    """The MONAI bundle of a study or a model folder, written to `out`."""
    assert call("export", source, "--format", "bundle", "--out", out) == 0
    return out


def events_of(text: str) -> list[dict]:
    """The events that a process printed; every line must be one."""
    return [json.loads(line) for line in text.splitlines()]


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder with what is in them."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
