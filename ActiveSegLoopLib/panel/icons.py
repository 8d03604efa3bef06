"""Icons of buttons: the standard ones of the platform's style, so that they fit Slicer's theme."""

from __future__ import annotations

from typing import Any

import qt


def set_icons(*buttons: tuple[Any, str]) -> None:
    """Give each button the icon of a QStyle.StandardPixmap such as "SP_MediaPlay"."""
    for button, pixmap in buttons:
        button.icon = button.style().standardIcon(getattr(qt.QStyle, pixmap))
