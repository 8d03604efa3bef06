"""What every section of the panel has: its widgets, one line that tells, and guarded slots."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.panel.texts import fit_height


class Section:
    """A section of the panel; `name` begins the names of its widgets in the .ui file.

    panel: the whole panel; ui: its widgets by name; logic: what does the work.
    """

    name = ""

    def __init__(self, panel: Any) -> None:
        self.panel = panel
        self.ui = panel.ui
        self.logic = panel.logic

    @property
    def study(self) -> Any:
        """The open study, None when there is none."""
        return self.panel.study

    @property
    def parameters(self) -> Any:
        """What the scene remembers of the panel."""
        return self.panel.parameters

    def setup(self) -> None:
        """Fill and connect the widgets, once."""

    def show_study(self) -> None:
        """Show what the study now holds; called when another one is opened or it has changed."""

    def labels_changed(self) -> None:
        """A label of the study was added, renamed or colored."""

    def close_study(self) -> None:
        """Let go of the study, because another one or none is opened."""

    def enter(self) -> None:
        """The user turned to this module."""

    def exit(self) -> None:
        """The user turned to another module."""

    def cleanup(self) -> None:
        """The panel is about to be destroyed."""

    def scene_closes(self) -> None:
        """The scene is about to be closed: keep what is in it and nowhere else."""

    def scene_closed(self) -> None:
        """The scene was closed; its nodes are gone."""

    def restore(self, remembered: Any) -> None:
        """Show what the scene remembers of the study that is open, a parameters.Remembered."""

    def tell(self, text: str) -> None:
        """Show one sentence in the section; an empty one hides the line."""
        label = getattr(self.ui, f"{self.name}MessageLabel")
        label.text = text
        label.setVisible(bool(text))
        fit_height(label)

    def tell_error(self, error: BaseException) -> None:
        """Show an error in one sentence; what nobody foresaw goes to the log with its traceback."""
        if isinstance(error, ActiveSegLoopError):
            logging.error(str(error))
            self.tell(str(error))
            return
        logging.error("ActiveSegLoop: %s", error, exc_info=error)
        self.tell(
            _("This failed ({error}); the details are in the log (Help, Report a Bug).").format(
                error=" ".join(f"{type(error).__name__}: {error}".split())
            )
        )


def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """A slot of a section: its errors become one sentence in the section.

    Arguments of the signal beyond those that the method takes are left out.
    """
    count = method.__code__.co_argcount - 1

    @functools.wraps(method)
    def slot(self: Section, *arguments: Any) -> Any:
        try:
            return method(self, *arguments[:count])
        except Exception as error:
            self.tell_error(error)
            return None

    return slot


def pressed(method: Callable[..., Any]) -> Callable[..., Any]:
    """The slot of a button: guarded, and what the section told before goes away."""
    inner = guarded(method)

    @functools.wraps(method)
    def slot(self: Section, *arguments: Any) -> Any:
        self.tell("")
        return inner(self, *arguments)

    return slot
