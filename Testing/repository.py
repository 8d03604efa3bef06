"""The files of this repository, for the tests that guard it."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "ActiveSegLoopLib"
MODULE = ROOT / "ActiveSegLoop"


def repository_files() -> list[Path]:
    """Every file that is in the repository or would enter it with the next `git add`.

    Outside a git checkout (an unpacked archive) it is every file but what tools leave behind.
    """
    asked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
    )
    if asked.returncode == 0:
        paths = {ROOT / name for name in asked.stdout.decode().split("\0") if name}
        return sorted(path for path in paths if path.is_file())
    left_behind = {".git", ".venv", "__pycache__", "build", "dist", "demo"}
    return sorted(
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(
            part in left_behind or part.endswith(("_cache", ".egg-info"))
            for part in path.relative_to(ROOT).parts
        )
    )


def python_files(folder: Path) -> list[Path]:
    """The repository's Python files below a folder."""
    return [path for path in repository_files() if path.suffix == ".py" and folder in path.parents]
