"""Whether this process is one of several that torchrun started."""

from __future__ import annotations

import os


def part_and_parts() -> tuple[int, int]:
    """This process's number among those that torchrun started, and how many there are."""
    parts = int(os.environ.get("WORLD_SIZE", 1))
    return (int(os.environ.get("RANK", 0)) if parts > 1 else 0), parts
