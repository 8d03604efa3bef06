"""The case that is being labeled: opened, timed, kept as a draft, accepted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import qt
import slicer
from slicer.util import VTKObservationMixin

from ActiveSegLoopLib.panel.editor import Editor
from ActiveSegLoopLib.panel.stopwatch import Stopwatch

# A draft is kept after so long without an edit, but at least this often while one edits on.
QUIET_SECONDS = 5.0
LONGEST_SECONDS = 60.0


@dataclass(eq=False)
class _Way:
    """An opening that is on its way: no other one is equal to it, not even of the same case."""

    case: str


class Labeling(VTKObservationMixin):
    """At most one case is open. Reading and storing run in the background, in this order.

    tell_error gets what goes wrong there; on_change is called when a case is open or closed.
    """

    def __init__(
        self,
        panel: Any,
        editor: Editor,
        tell_error: Callable[[BaseException], None],
        on_change: Callable[[], None],
    ) -> None:
        VTKObservationMixin.__init__(self)
        self.panel = panel
        self.editor = editor
        self.stopwatch = Stopwatch()
        self.opened: Any = None
        self.study: Any = None  # of the open case; while another one is opened, not the panel's
        self.has_edits = False
        self._way: _Way | None = None
        self._storing = 0
        self._stamp = ""
        self._tell_error = tell_error
        self._on_change = on_change
        self._unkept_since: float | None = None
        self._autosave = qt.QTimer()
        self._autosave.setSingleShot(True)
        self._autosave.connect("timeout()", self.keep_draft)

    @property
    def loop(self) -> Any:
        """The engine."""
        return self.panel.logic.loop

    @property
    def case(self) -> Any:
        """The open case, None when there is none."""
        return None if self.opened is None else self.opened.case

    @property
    def opening(self) -> str | None:
        """The name of the case that is on its way, None when there is none."""
        return None if self._way is None else self._way.case

    @property
    def is_busy(self) -> bool:
        """Whether another case is on its way, or labels on theirs to the study."""
        return self.opening is not None or self._storing > 0

    def open(
        self,
        name: str,
        plane: str | None = None,
        index: int | None = None,
        use_draft: bool = True,
        again: bool = False,
    ) -> None:
        """Show a case at a slice; one that is open already only goes to the slice.

        again: read it anew, and forget what was changed.
        """
        is_open = self.case is not None and self.case.name == name and self._is_in_scene()
        if is_open and not again and not self._has_newer_prediction():
            self.stop_opening()
            self._go_to(plane, index)
            return
        if again:
            self._kept()
        else:
            self.keep_draft()
        load = self.loop.loading(name, use_draft)
        self._way = way = _Way(name)
        study = self.loop.study
        self._on_change()

        def put(loaded: Any) -> None:
            # Something else may have been opened, or this closed, before it was loaded.
            if self._way is not way or self.loop.study is not study:
                return
            try:
                self._put(loaded, plane, index)
            except Exception as error:
                self.loop.opened = None
                self._tell_error(error)
                self._on_change()

        def failed(error: Exception) -> None:
            if self._way is way:
                self.stop_opening()
                self._tell_error(error)
                self._on_change()

        self.panel.background.start(load, put, failed)

    def go_back(self, case: Any, plane: str, index: int | None, points: Any) -> None:
        """The open case is where it was at AtHand.place, if it is still that one."""
        from ActiveSegLoopLib.scene.jumping import go_back

        if self.case == case and self._is_in_scene():
            self.opened = self.loop.opened = self.opened.at(plane, index)
            go_back(points)

    def stop_opening(self) -> None:
        """The case that is on its way isn't wanted any more; the open one stays."""
        self._way = None

    def close(self) -> None:
        """Let go of the open case; what wasn't accepted is kept as a draft."""
        self.cleanup()
        self._on_change()

    def accept(
        self,
        slices: Mapping[str, Sequence[int]] | None,
        done: Callable[[Any], None],
        refused: Callable[[Exception], None],
    ) -> None:
        """Store the segments as they now are; slices None is the whole volume.

        One of the two is called later; what was refused is open still, and isn't lost.
        """
        self.stopwatch.edit(self._label())
        seconds = dict(self._known(self.stopwatch.seconds))
        store = self.loop.acceptance(slices, seconds)
        self.stopwatch.start()
        self._kept()
        self._storing += 1
        case = self.case

        def stored(revision: Any) -> None:
            self._storing -= 1
            done(revision)

        def failed(error: Exception) -> None:
            self._storing -= 1
            # The time is still to be told, if the same case is still there.
            if self.case == case:
                for label, spent in seconds.items():
                    spent_since = self.stopwatch.seconds.get(label, 0.0)
                    self.stopwatch.seconds[label] = spent_since + spent
                self._edited()
            refused(error)

        self.panel.background.start(store, stored, failed)

    def keep_draft(self) -> None:
        """Keep what was changed and isn't accepted, in case of a crash; tell what prevents it."""
        self._autosave.stop()
        if self.opened is None or not self.has_edits or self._is_gone():
            return
        from ActiveSegLoopLib.scene.accepting import drafting

        opened = self.opened
        plane, index = opened.plane, opened.index
        slices = {} if plane is None or index is None else {plane: (index,)}
        try:
            # Not through the loop, which may be at another study or case already.
            store = drafting(self.study, opened, slices, self._known(self.stopwatch.seconds))
        except Exception as error:
            self._tell_error(error)
            return
        self._kept()

        def failed(error: Exception) -> None:
            if self.case == opened.case:
                self._edited()
            self._tell_error(error)

        self.panel.background.start(store, lambda draft: None, failed)

    def cleanup(self) -> None:
        """Let go of it at the panel's end, when nobody is to hear of it."""
        self.stop_opening()
        self.keep_draft()
        self._release()

    def _put(self, loaded: Any, plane: str | None, index: int | None) -> None:
        self.stop_opening()
        self.keep_draft()  # of what was drawn while this was loaded
        self._release()
        self._take(self.loop.put(loaded, plane, index))

    def adopt(self, opened: Any) -> None:
        """Go on with a case that a script has opened."""
        if opened is None or opened is self.opened or self.opening is not None:
            return
        if opened.segmentation_node.GetScene() is None:
            return
        if self.opened is None or opened.segmentation_node is not self.opened.segmentation_node:
            self._release()
            self._take(opened)
        else:
            self.opened = opened
            self._on_change()

    def _take(self, opened: Any) -> None:
        self.opened, self.study = opened, self.panel.study
        self._stamp = self._content()
        self.editor.open(opened.segmentation_node, opened.volume_node)
        draft = opened.beginning.draft
        self.stopwatch.start({} if draft is None else draft.seconds)
        segmentation = opened.segmentation_node.GetSegmentation()
        for event in ("SourceRepresentationModified", "SegmentAdded", "SegmentRemoved"):
            number = getattr(slicer.vtkSegmentation, event)
            self.addObserver(segmentation, number, self._on_segments)
        # Undo and redo say no more than this, which a new name or color does, too.
        number = slicer.vtkSegmentation.SegmentModified
        self.addObserver(segmentation, number, self._on_segment)
        self._on_change()

    def _go_to(self, plane: str | None, index: int | None) -> None:
        from ActiveSegLoopLib.scene.jumping import jump_to_slice
        from ActiveSegLoopLib.scene.segmentations import apply_schema

        apply_schema(self.opened.segmentation_node, self.study.schema.segments())
        self.opened = self.loop.opened = self.opened.at(plane, index)
        if plane is not None and index is not None:
            jump_to_slice(self.case.geometry, plane, index)
        self._on_change()

    def _release(self) -> None:
        self.removeObservers()
        self._autosave.stop()
        self.stopwatch.stop()
        self._unkept_since = None
        self.has_edits = False
        if self.opened is not None:
            self.opened = self.study = None
            self.editor.close()

    def _kept(self) -> None:
        self.has_edits = False
        self._unkept_since = None
        self._autosave.stop()

    def _on_segments(self, caller: Any, event: Any) -> None:
        self.stopwatch.edit(self._label())
        self._edited()

    def _on_segment(self, caller: Any, event: Any) -> None:
        if self._content() != self._stamp:
            self._on_segments(caller, event)

    def _edited(self) -> None:
        self.has_edits = True
        self._stamp = self._content()
        now = self.stopwatch.now()
        if self._unkept_since is None:
            self._unkept_since = now
        left = LONGEST_SECONDS - (now - self._unkept_since)
        self._autosave.start(int(1000 * max(0.0, min(QUIET_SECONDS, left))))

    def _content(self) -> str:
        """Changes with every edit of the open segments."""
        from ActiveSegLoopLib.scene.segmentations import content_stamp

        return content_stamp(self.opened.segmentation_node)

    def _label(self) -> str:
        """The label that is edited; with a segment of the user's own, the study's first."""
        ids = self.study.schema.ids
        return self.editor.segment if self.editor.segment in ids else ids[0]

    def _known(self, seconds: Mapping[str, float]) -> dict[str, float]:
        ids = self.study.schema.ids
        return {label: spent for label, spent in seconds.items() if label in ids}

    def _has_newer_prediction(self) -> bool:
        """Whether a model segmented the open case since it was opened, and nothing is unkept."""
        return not self.has_edits and self.loop.has_newer_prediction(self.opened)

    def _is_in_scene(self) -> bool:
        nodes = (*self.opened.volume_nodes, self.opened.segmentation_node)
        return all(node.GetScene() is not None for node in nodes)

    def _is_gone(self) -> bool:
        return self.opened.segmentation_node.GetScene() is None
