"""The loop of labeling and training in Slicer's process: each step is one call.

What needs torch is a job in another process, which is started here and followed by whoever asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ActiveSegLoopLib.errors import ActiveSegLoopError, StudyError
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.scene import accepting, comparing, opening
from ActiveSegLoopLib.scene.opening import Loaded, Opened
from ActiveSegLoopLib.scene.processes import Processes
from ActiveSegLoopLib.scene.segmentations import content_stamp
from ActiveSegLoopLib.scene.volumes import geometry_of, volume_of
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.drafts import Draft, draft_of, remove_draft
from ActiveSegLoopLib.study.files import make_folder
from ActiveSegLoopLib.study.naming import case_name, unique_name
from ActiveSegLoopLib.study.proposals import StoredProposal
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Study

IMAGES = "images"


class Loop(Processes):
    """One study, the case that is open, and the processes that work for them.

    Methods named start_... return at once; what they return has `poll`, `is_running`, `cancel` and
    `close`. `loading`, `acceptance`, `drafting` and `comparison` take what they need from the
    scene and return a function without arguments, which another thread may call. All others have
    done their work when they return. Errors are ActiveSegLoopErrors of one sentence.
    """

    def __init__(self, python: str | None = None) -> None:
        super().__init__(python)
        self.opened: Opened | None = None
        self._stored: dict[str, opening.Stored] = {}

    def open_study(self, folder: str | os.PathLike) -> Study:
        """Open the study in a folder and close the former one."""
        study = Study.open(folder)
        self.close_study()
        self.use(study)
        return study

    def create_study(
        self, folder: str | os.PathLike, labels: str | LabelSchema, sides_matter: bool = True
    ) -> Study:
        """Make a study in a new or empty folder; labels: "1=artery,2=vein" or a schema."""
        schema = (
            labels if isinstance(labels, LabelSchema) else LabelSchema.parse(labels, sides_matter)
        )
        study = Study.create(folder, schema)
        self.close_study()
        self.use(study)
        return study

    def close_study(self) -> None:
        """Let go of the study; its nodes stay in the scene."""
        self.use(None)
        self.opened = None
        self._stored.clear()

    def summary(self) -> str:
        """Cases, labels and rounds of the study in a few sentences."""
        study = self.study
        cases = study.cases()
        roles = list(dict.fromkeys(case.role for case in cases))
        counts = [f"{sum(case.role == role for case in cases)} {role}" for role in roles]
        labeled = sum(study.latest(case) is not None for case in cases)
        current = study.current_round()
        model = (
            "No model has been trained yet."
            if current is None
            else f"The current model is round {current.number}."
        )
        return (
            f"Cases: {len(cases)}{' (' + ', '.join(counts) + ')' if counts else ''}, {labeled} of "
            f"them labeled. Labels: {', '.join(label.name for label in study.schema.labels)}. "
            f"{model}"
        )

    def add_files(
        self,
        images: Sequence[str | os.PathLike],
        name: str | None = None,
        role: str = "pool",
        group: str | None = None,
        series: Sequence[str | None] | None = None,
    ) -> Case:
        """Add one case: an image file or DICOM folder, or several co-registered ones (channels)."""
        return self.study.add_case(images, name, role, group, series)

    def add_volume_nodes(
        self,
        nodes: Sequence[Any],
        name: str | None = None,
        role: str = "pool",
        group: str | None = None,
    ) -> Case:
        """Add one case from volumes of the scene, one per channel.

        A volume that was read from a file and is unchanged stays where it is; any other one is
        written to the folder images of the study.
        """
        taken = {case.name for case in self.study.cases()}
        name = name or unique_name(case_name(Path(nodes[0].GetName())), taken)
        files, written = [], []
        try:
            for i, node in enumerate(nodes):
                path = _file_of(node)
                if path is None:
                    path = self._free_path(name if len(nodes) == 1 else f"{name}_{i:04d}")
                    make_folder(path.parent)
                    write_volume(path, volume_of(node))
                    written.append(path)
                files.append(path)
            return self.study.add_case(files, name, role, group)
        except ActiveSegLoopError:
            for path in written:
                path.unlink(missing_ok=True)
            raise

    def loading(self, name: str, use_draft: bool = True) -> Callable[[], Loaded]:
        """What reads a case from the disk; `put` shows what it returns."""
        study, case = self.study, self.study.case(name)
        with_images = opening.needs_images(study, case)
        return lambda: opening.load(study, case, use_draft, with_images)

    def put(
        self, loaded: Loaded, plane: str | None = None, index: int | None = None
    ) -> Opened:
        """Show a case that was loaded, at a slice where one is given.

        What was drawn in an earlier opening and isn't stored yet is kept: its beginning's source
        is "scene".
        """
        opened = opening.put(self.study, loaded, plane, index, self._stored)
        if opened.beginning.source != opening.SCENE:
            node = opened.segmentation_node
            state = opening.Stored(content_stamp(node), opened.beginning)
            self._stored[opening.node_key(node)] = state
        self.opened = opened
        return opened

    def has_newer_prediction(self, opened: Opened) -> bool:
        """Whether the model in use has segmented a case since it was opened."""
        current, begun = self.study.current_round(), opened.beginning
        if current is None:
            return False
        if begun.source in (opening.DRAFT, opening.SCENE):
            if self.holds_unaccepted(opened):
                return False
        elif begun.predicted == current.number:
            return False
        return self.study.prediction(current, opened.case) is not None

    def holds_unaccepted(self, opened: Opened) -> bool:
        """Whether a case's segments hold what no revision does, as far as this loop knows."""
        node = opened.segmentation_node
        known = self._stored.get(opening.node_key(node))
        if known is None or known.stamp != content_stamp(node):
            return True
        return draft_of(self.study, opened.case) is not None

    def open_case(
        self,
        name: str,
        plane: str | None = None,
        index: int | None = None,
        use_draft: bool = True,
    ) -> Opened:
        """Load a case into the scene, with its draft, newest labels or the model's output."""
        return self.put(self.loading(name, use_draft)(), plane, index)

    def open_proposal(self, proposal: StoredProposal, use_draft: bool = True) -> Opened:
        """Load what a proposal names, at its slice."""
        return self.open_case(proposal.case, proposal.plane, proposal.index, use_draft)

    def proposals(self, state: str | None = "open") -> list[StoredProposal]:
        """The newest proposals, the best first; None for those of every state."""
        return self.study.proposals(state)

    def skip(self, proposal: StoredProposal | int, reason: str = "") -> StoredProposal:
        """Don't label this; it isn't proposed again."""
        return self.study.set_proposal_state(_id_of(proposal), "skipped", reason)

    def flag(self, proposal: StoredProposal | int, reason: str = "") -> StoredProposal:
        """Something is wrong with this case or slice; it isn't proposed again."""
        return self.study.set_proposal_state(_id_of(proposal), "flagged", reason)

    def acceptance(
        self,
        slices: Mapping[str, Sequence[int]] | None,
        seconds: Mapping[str, float] = (),
        annotator: str | None = None,
        classes: Sequence[str] | None = None,
    ) -> Callable[[], Revision]:
        """What stores the open case's segments as a revision: see accepting.acceptance."""
        opened = self._case_open()
        node = opened.segmentation_node
        key, state = opening.node_key(node), opening.Stored(content_stamp(node), opened.beginning)
        store = accepting.acceptance(self.study, opened, slices, seconds, annotator, classes)

        def store_and_note() -> Revision:
            revision = store()
            self._stored[key] = state
            return revision

        return store_and_note

    def accept_slice(
        self,
        plane: str | None = None,
        index: int | None = None,
        seconds: Mapping[str, float] = (),
        annotator: str | None = None,
    ) -> Revision:
        """Slice done: store the segments; only this slice was looked at.

        plane and index: by default those at which the case was opened.
        """
        opened = self._case_open()
        plane = opened.plane if plane is None else plane
        index = opened.index if index is None else index
        if plane is None or index is None:
            raise StudyError("No slice was opened: say which plane and slice are done.")
        return self.acceptance({plane: (index,)}, seconds, annotator)()

    def accept_volume(
        self, seconds: Mapping[str, float] = (), annotator: str | None = None
    ) -> Revision:
        """Volume done: store the segments; the whole volume was looked at."""
        return self.acceptance(None, seconds, annotator)()

    def drafting(
        self,
        slices: Mapping[str, Sequence[int]] | None = (),
        seconds: Mapping[str, float] = (),
    ) -> Callable[[], Draft]:
        """What keeps the open case's segments as a draft: see accepting.drafting."""
        return accepting.drafting(self.study, self._case_open(), slices, seconds)

    def discard_draft(self, name: str) -> None:
        """Forget a case's draft."""
        remove_draft(self.study, self.study.case(name))

    def comparison(
        self,
        chosen: Sequence[str] | Mapping[str, comparing.Source],
        name: str | None = None,
        structure: str | None = None,
        limit_mm: float = 2.0,
    ) -> Callable[[], comparing.Compared]:
        """What compares two or three of a case's "manual", "model", "corrected" and "on screen".

        name: the case, by default the open one. structure: the id of the label to be shown as a
        colored surface. comparing.show_comparison shows what the function returns.
        """
        study = self.study
        case = self._case_open().case if name is None else study.case(name)
        segments = study.schema.segments()
        if isinstance(chosen, Mapping):
            picked = dict(chosen)
        else:
            found: dict[str, comparing.Source] = dict(comparing.sources(study, case))
            if self.opened is not None and self.opened.case.name == case.name:
                found["on screen"] = comparing.on_screen(
                    self.opened.segmentation_node, case.geometry, segments
                )
            missing = [wanted for wanted in chosen if wanted not in found]
            if missing:
                raise StudyError(
                    f"Case '{case.name}' has no '{missing[0]}' labels; it has "
                    f"{', '.join(found) or 'none'}."
                )
            picked = {wanted: found[wanted] for wanted in chosen}
        return lambda: comparing.compare(picked, segments, structure, limit_mm=limit_mm)

    def _case_open(self) -> Opened:
        if self.opened is None:
            raise StudyError("No case is open: open a proposal or a case first.")
        if self.opened.segmentation_node.GetScene() is None:
            self.opened = None
            raise StudyError("The open case is no longer in the scene: open it again.")
        return self.opened

    def _free_path(self, stem: str) -> Path:
        folder = self.study.folder / IMAGES
        path, number = folder / f"{stem}.nrrd", 1
        while path.exists():
            number += 1
            path = folder / f"{stem}-{number}.nrrd"
        return path


def _file_of(node: Any) -> Path | None:
    """The file that a volume node was read from, if it still holds the same."""
    storage = node.GetStorageNode()
    if storage is None or storage.GetNumberOfFileNames() > 1 or node.GetModifiedSinceRead():
        return None  # never saved, a series of files, or changed
    name = storage.GetFileName()
    geometry_of(node)  # under a transform the file isn't what is seen
    return Path(name) if name and Path(name).is_file() else None


def _id_of(proposal: StoredProposal | int) -> int:
    return proposal if isinstance(proposal, int) else proposal.id
