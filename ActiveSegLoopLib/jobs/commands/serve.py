"""Keep a model loaded and segment what is asked on standard input, one JSON object per line.

  {"id": 1, "command": "segment", "images": ["ct.nrrd"], "out": "ct.seg.nrrd"}
  {"id": 2, "command": "segment", "case": "patient17"}       a case of the study
  {"id": 3, "command": "reload"}                             after a training
  {"id": 4, "command": "cancel"}                             what was asked before
  {"id": 5, "command": "ping"}    {"id": 6, "command": "quit"}

Each is answered by one JSON line on standard output with the same "id" and "ok": true or false
and an "error". The folder of "out" is made if it is missing. "overwrite": true replaces an
existing "out"; "uncertainty": true also writes a map of how unsure the model is and answers its
path as "uncertainty". A segmentation that was canceled is answered with "ok": false and
"canceled": true, and writes nothing. The first line says {"event": "ready"}. The worker ends when
standard input is closed.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import debugging, device

SUMMARY = "keep a model loaded and segment on request (for programs)"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("model", type=Path, metavar="STUDY|MODEL")
    device(parser)
    debugging(parser)
    # Its output is always for a program; closing its input ends it anyway.
    parser.set_defaults(events=None, json=True, cancel_file=None, cancel_on_stdin_close=False)


def run(options: Namespace, job: Job) -> None:
    """Answer until the input ends."""
    from ActiveSegLoopLib.jobs.serve import serve

    serve(options.model, options.device, job)
