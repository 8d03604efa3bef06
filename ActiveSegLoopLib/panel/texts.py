"""Labels of several lines: as high as their text needs."""

from __future__ import annotations

from typing import Any

_MARGIN = 20  # pixels beside a label that isn't shown yet


def fit_height(label: Any) -> None:
    """Give a label with wrapped words the height of its text.

    Slicer's module panel doesn't ask how high a text is at its width: what is below would move into
    the lines beyond the first.
    """
    width = label.width if label.visible else label.parent().width - _MARGIN
    height = max(label.heightForWidth(width), 0) if label.text else 0
    if label.minimumHeight != height:
        label.minimumHeight = height
