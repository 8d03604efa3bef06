"""Numbers and plans in words for people."""

from __future__ import annotations

from typing import Any


def duration(seconds: float) -> str:
    """A duration in words: "0.4 s", "45 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def plan_in_words(plan: dict[str, Any]) -> str:
    """What a person wants to know of a model's plan, in one sentence."""

    def grid(stage: dict[str, Any]) -> str:
        spacing = " x ".join(f"{s:.3g}" for s in stage["spacing"])
        return f"{spacing} mm with patches of {' x '.join(map(str, stage['patch']))} voxels"

    locator = plan["locator"]
    found = f"a locator at {grid(locator)} and " if locator else ""
    return f"Plan (z, y, x): {found}a segmenter at {grid(plan['segmenter'])}."
