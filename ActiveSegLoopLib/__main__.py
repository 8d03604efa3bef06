"""`python -m ActiveSegLoopLib ...` is the command line `activesegloop`."""

import sys

from ActiveSegLoopLib.jobs.command_line import main

if __name__ == "__main__":
    sys.exit(main())
