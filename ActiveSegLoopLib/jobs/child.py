"""The command line as a program's child: it first says its own process id.

A launcher such as PythonSlicer hides that id, and ending the launcher leaves the job alive.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> int:
    """Print {"event": "started", "pid": ...} and run the command line with this process's words."""
    print(json.dumps({"event": "started", "pid": os.getpid()}), flush=True)
    from ActiveSegLoopLib.jobs.command_line import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
