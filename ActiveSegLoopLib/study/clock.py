"""When something happened, as it is stored."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The present time in UTC as ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
