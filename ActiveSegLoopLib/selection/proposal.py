"""What is worth labeling next: one slice or one volume, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

UNITS = ("slice", "volume")


@dataclass(frozen=True)
class Proposal:
    """A slice of a case, or a whole case (by name), that a strategy proposes to label.

    index: the slice's number from 0 along geometry.axis_of(plane); plane and index are None for a
    volume. score: the strategy's, comparable within one batch only. reason: in words. round: the
    round whose model was asked, None without one. label: the id of the label for which it was
    chosen, None for all.
    """

    case: str
    unit: str
    plane: str | None
    index: int | None
    score: float
    reason: str
    strategy: str
    round: int | None = None
    label: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
