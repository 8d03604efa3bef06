"""The panel's parameter node: connected to the widgets while the scene has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.util import VTKObservationMixin
from vtk import vtkCommand

from ActiveSegLoopLib.panel.parameters import CHOICES, Parameters


class Memory(VTKObservationMixin):
    """What the scene remembers of the panel, and who is told when it changes.

    logic: the module's, which has the node; ui: the panel's widgets by name.
    """

    def __init__(self, logic: Any, ui: Any) -> None:
        VTKObservationMixin.__init__(self)
        self.parameters: Any = None
        self._logic = logic
        self._ui = ui
        self._tag: int | None = None
        self._choices: dict[str, Any] = {}
        self._followers: list[Callable[[], None]] = []

    @property
    def is_connected(self) -> bool:
        """Whether there is a node to remember things in."""
        return self._tag is not None

    def use(self) -> None:
        """Connect the widgets to the scene's node."""
        self.release()
        node = self._logic.getParameterNode()
        self.parameters = Parameters(node)
        self._tag = self.parameters.connectGui(self._ui)
        self.addObserver(node, vtkCommand.ModifiedEvent, self._changed)
        self._changed()

    def release(self) -> None:
        """Let go of the node: the scene is about to be closed, or the panel ends."""
        self.removeObservers()
        if self._tag is not None:
            self.parameters.disconnectGui(self._tag)
            self._tag = None

    def scene_closes(self) -> None:
        """Let go of the node, but not of what was chosen."""
        self._choices = {name: getattr(self.parameters, name) for name in CHOICES}
        self.release()

    def scene_closed(self, has_study: bool) -> None:
        """The scene is empty; a study that stays open keeps what was chosen for it."""
        self.use()
        if has_study:
            for name, choice in self._choices.items():
                setattr(self.parameters, name, choice)

    def when_changed(self, follow: Callable[[], None]) -> None:
        """Call this whenever a parameter may have changed.

        A widget's own signal isn't for that: its slot that sets the parameter comes after those of
        the sections once the widgets were connected to another node.
        """
        self._followers.append(follow)

    def _changed(self, caller: Any = None, event: Any = None) -> None:
        for follow in self._followers:
            follow()
