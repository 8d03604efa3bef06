"""The command line of ActiveSegLoop inside Slicer without its window; its exit status is Slicer's.

  Slicer --no-splash --no-main-window --python-script headless.py -- segment STUDY ct.nrrd --out DIR
  Slicer --no-splash --no-main-window --python-script headless.py -- segment STUDY *.nrrd --out DIR
      --mrb
  Slicer --no-splash --no-main-window --python-script headless.py -- compare A B --csv table.csv

With --mrb every segmented image also becomes a scene of Slicer, NAME.mrb, with image and segments.
Without that, `PythonSlicer -m ActiveSegLoopLib ...` does the same.
"""

import sys
from pathlib import Path


def main() -> int:
    """Run what stands behind "--" and return the exit status."""
    try:
        import ActiveSegLoopLib  # noqa: F401
    except ModuleNotFoundError:
        # It lies beside the module's file once installed, beside the module's folder in sources.
        homes = Path(__file__).resolve().parents
        home = next((p for p in homes if (p / "ActiveSegLoopLib" / "__init__.py").is_file()), None)
        if home is None:
            print("headless.py: ActiveSegLoopLib isn't beside this file.", file=sys.stderr)
            return 1
        sys.path.append(str(home))
    from ActiveSegLoopLib.scene.headless import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
