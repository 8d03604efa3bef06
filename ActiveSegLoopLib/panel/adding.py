"""Adding images to the study: from the scene, from files, from a folder of DICOM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ActiveSegLoopLib.errors import ActiveSegLoopError, StudyError
from ActiveSegLoopLib.panel.icons import set_icons
from ActiveSegLoopLib.panel.overview import role_text
from ActiveSegLoopLib.panel.section import Section, pressed

if TYPE_CHECKING:
    from ActiveSegLoopLib.images.volume import Volume
    from ActiveSegLoopLib.study.study import Study

ROLES = ("pool", "validation", "test")
ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".tif", ".tiff")
IMAGES = "images"  # in the study's folder: volumes that had no file of their own
_LAST_FOLDER = "ActiveSegLoop/LastImageFolder"


class Adding(Section):
    """The part of the section Study with which images enter the study."""

    name = "study"

    def __init__(self, section: Section) -> None:
        super().__init__(section.panel)
        self.setup()

    def setup(self) -> None:
        """Fill and connect the widgets."""
        set_icons(
            (self.ui.addFilesButton, "SP_FileIcon"), (self.ui.addDicomButton, "SP_DirIcon")
        )
        for role in ROLES:
            self.ui.roleComboBox.addItem(role_text(role), role)
        self.ui.addVolumesButton.connect("clicked(bool)", self.on_add_volumes)
        self.ui.addFilesButton.connect("clicked(bool)", self.on_add_files)
        self.ui.addDicomButton.connect("clicked(bool)", self.on_add_dicom)
        self.show()

    def show(self) -> None:
        """Images can be added to an open study only."""
        self.ui.addGroupBox.enabled = self.study is not None

    def close_study(self) -> None:
        """The next study's images are of other patients, and to be labeled until one says else."""
        self.ui.roleComboBox.currentIndex = 0
        self.ui.groupLineEdit.text = ""

    @pressed
    def on_add_volumes(self) -> None:
        """Add the volumes of the scene that are checked."""
        nodes = list(self.ui.addVolumeSelector.checkedNodes())
        if not nodes:
            self.tell(_("Check at least one volume in the list first."))
            return
        self.add([self._image_of(node) for node in nodes])

    @pressed
    def on_add_files(self) -> None:
        """Ask for image files and add them."""
        files = qt.QFileDialog.getOpenFileNames(
            slicer.util.mainWindow(), _("Images to add to the study"), self._last_folder(),
            _("Images") + f" ({' '.join(f'*{ending}' for ending in ENDINGS)});;"
            + _("All files") + " (*)",
        )
        if files:
            self._remember_folder(Path(files[0]).parent)
            self.add([Path(file) for file in files])

    @pressed
    def on_add_dicom(self) -> None:
        """Ask for a folder of DICOM files and add the series in it."""
        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Folder with DICOM images"), self._last_folder()
        )
        if folder:
            self._remember_folder(Path(folder))
            self.add_dicom(Path(folder))

    def add(self, images: Sequence[Path | tuple[str, Volume]]) -> None:
        """Add each image as a case of the chosen role and patient, in the background."""
        study, role, group = self.study, self._role(), self._group()

        def work() -> Added:
            files = [i if isinstance(i, Path) else keep_image(study, *i) for i in images]
            return add_images(study, [(file, None, None) for file in files], role, group)

        self._start(work)

    def add_dicom(self, folder: Path) -> None:
        """Add every series of a DICOM folder as a case."""
        study, role, group = self.study, self._role(), self._group()

        def work() -> Added:
            from ActiveSegLoopLib.images.dicom import list_series

            series = list_series(folder)
            images = [
                (folder, found.uid, None if len(series) == 1 else _series_name(folder, found))
                for found in series
                if found.count > 1
            ]
            if not images:
                raise StudyError(f"{folder} holds single DICOM slices only, no volume.")
            return add_images(study, images, role, group)

        self._start(work)

    def _start(self, work: Any) -> None:
        self.ui.addGroupBox.enabled = False
        self.tell(_("Adding images..."))
        self.panel.background.start(work, self._added, self._failed)

    def _added(self, added: Added) -> None:
        self.ui.groupLineEdit.text = ""  # the next images are of another patient
        self.panel.show_study()
        text = _("Images added: {count}.").format(count=added.count)
        self.tell(" ".join([text, *added.problems]))

    def _failed(self, error: Exception) -> None:
        self.show()
        self.tell_error(error)

    def _role(self) -> str:
        return ROLES[self.ui.roleComboBox.currentIndex]

    def _group(self) -> str | None:
        return self.ui.groupLineEdit.text.strip() or None

    def _image_of(self, node: Any) -> Path | tuple[str, Volume]:
        """The file of a volume node; where it has none of its own, its name and voxels."""
        storage = node.GetStorageNode()
        file = storage.GetFullNameFromFileName() if storage is not None else ""
        is_one = file.lower().endswith(ENDINGS) and not storage.GetNumberOfFileNames()
        is_same = is_one and not node.GetModifiedSinceRead() and not node.GetParentTransformNode()
        if is_same and Path(file).is_file():
            return Path(file)
        from ActiveSegLoopLib.scene.volumes import volume_of

        return node.GetName(), volume_of(node)

    def _last_folder(self) -> str:
        return str(qt.QSettings().value(_LAST_FOLDER) or "")

    def _remember_folder(self, folder: Path) -> None:
        qt.QSettings().setValue(_LAST_FOLDER, str(folder))


class Added:
    """How many images were added, and a sentence for each that wasn't."""

    def __init__(self) -> None:
        self.count = 0
        self.problems: list[str] = []


def add_images(
    study: Study, images: Sequence[tuple[Path, str | None, str | None]], role: str,
    group: str | None,
) -> Added:
    """Add images (path, DICOM series, name) to the study; for a thread.

    One that can't be added doesn't keep the others out; raises when not one could be.
    """
    added = Added()
    for path, series, name in images:
        try:
            study.add_case([path], name, role, group, series=None if series is None else [series])
            added.count += 1
        except ActiveSegLoopError as error:
            if len(images) == 1:
                raise
            added.problems.append(str(error))
    return added


def keep_image(study: Study, name: str, volume: Volume) -> Path:
    """Write a volume that has no file of its own into the study's folder."""
    from ActiveSegLoopLib.images.writing import write_volume
    from ActiveSegLoopLib.study.naming import case_name, unique_name

    folder = Path(study.folder) / IMAGES
    folder.mkdir(exist_ok=True)
    taken = [path.name.removesuffix(".nrrd") for path in folder.iterdir()]
    path = folder / f"{unique_name(case_name(Path(name)), taken)}.nrrd"
    write_volume(path, volume)
    return path


def _series_name(folder: Path, series: Any) -> str:
    from ActiveSegLoopLib.study.naming import case_name

    # The description is a technical one ("t1_mprage"), never a patient's name.
    return case_name(Path(f"{folder.name}-{series.description or series.uid[-8:]}"))
