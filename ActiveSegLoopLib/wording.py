"""Numbers of things in words, wherever the program speaks to people."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """A number of things: "1 case", "3 cases"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
