"""The command line `activesegloop`, which is also `python -m ActiveSegLoopLib`.

Only what parsing needs is imported here and at the top of the commands' files, so that --help
and a typing error answer at once.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from typing import NoReturn

from ActiveSegLoopLib import __version__
from ActiveSegLoopLib.jobs.commands import (
    add,
    advise,
    check,
    compare,
    demo,
    exclude,
    export,
    fill,
    init,
    label,
    phantom,
    propose,
    relocate,
    report,
    rollback,
    segment,
    serve,
    simulate,
    status,
    train,
)
from ActiveSegLoopLib.jobs.job import USAGE, run_job
from ActiveSegLoopLib.jobs.torchrun import part_and_parts

# Each has SUMMARY, add_arguments(parser) and run(options, job).
COMMANDS = {
    "demo": demo, "init": init, "add": add, "label": label, "train": train, "segment": segment,
    "status": status, "export": export, "check": check, "serve": serve,
    "relocate": relocate, "exclude": exclude, "fill": fill,
    "rollback": rollback, "report": report,
    "compare": compare, "simulate": simulate, "advise": advise, "propose": propose,
    "phantom": phantom,
}
# What several processes of torchrun can share among them.
SHARED = ("train", "segment", "simulate")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"activesegloop: {message}; see {self.prog} --help\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(
        prog="activesegloop",
        description="Train a segmentation model of your own while labeling as little as possible.",
    )
    parser.add_argument("--version", action="version", version=f"activesegloop {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        inner = commands.add_parser(
            name,
            help=command.SUMMARY,
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(inner)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line (default: that of this process); returns the exit status.

    0 is success, 1 an error, 2 a mistake in the command itself, 130 a job that was stopped.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console that lacks a letter of a label's name is no reason to fail.
            stream.reconfigure(errors="replace")
    try:
        options = make_parser().parse_args(arguments)
    except SystemExit as ended:  # argparse has printed the help or the error
        return int(ended.code or 0)
    part, parts = part_and_parts()
    if parts > 1 and options.command not in SHARED:
        if part == 0:
            print(
                f"activesegloop: '{options.command}' is work for one process; torchrun is for "
                f"{', '.join(SHARED[:-1])} and {SHARED[-1]}.", file=sys.stderr,
            )
        return USAGE
    return run_job(options.command, COMMANDS[options.command].run, options, arguments[1:])
