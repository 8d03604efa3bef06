"""Segmenting images and cases with a model that stays loaded, and keeping the results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ActiveSegLoopLib.errors import ActiveSegLoopError, ImageError, StudyError
from ActiveSegLoopLib.images.dicom import choose_series
from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.images.resampling import resample_image
from ActiveSegLoopLib.images.segmentation import write_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.jobs.case_files import CaseFiles, find_cases
from ActiveSegLoopLib.jobs.map_files import Extras
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.selection.maps import uncertainty_maps
from ActiveSegLoopLib.study.channels import series_key
from ActiveSegLoopLib.study.database import NAME as STUDY
from ActiveSegLoopLib.study.files import make_folder
from ActiveSegLoopLib.study.model_folder import DESCRIPTION
from ActiveSegLoopLib.study.predictions import prediction_path
from ActiveSegLoopLib.study.rounds import Round
from ActiveSegLoopLib.study.study import Case, Study

# Where an image lies, and the key of its DICOM series.
_Image = tuple[Path, str | None]
# A segmentation and nothing else.
PLAIN = Extras()


def require_room_for(folder: Path, instead: str = "choose another place") -> None:
    """Raise ActiveSegLoopError when a folder is none, can't be made or can't be written to.

    `instead` is what the sentence asks for.
    """
    place = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not place.is_dir():
        raise ActiveSegLoopError(f"{place} isn't a folder: {instead}.")
    if not os.access(place, os.W_OK):
        raise ActiveSegLoopError(f"{place} can't be written to: {instead}.")


@dataclass(frozen=True)
class Task:
    """One thing to segment: a case of the study, or images (one per channel); and where to."""

    name: str
    case: Case | None
    images: tuple[Path, ...]
    out: Path | None
    series: str | None = None

    def outputs(self, extras: Extras) -> list[Path]:
        """The files that are written outside the study, the segmentation first."""
        return [] if self.out is None else [self.out, *extras.paths(self.out).values()]


class Segmenter:
    """The model of a study's round, or a model folder, in memory.

    `target` is the folder of either; `open_study` opens a study; `number` is the round, None the
    one in use. Raises ActiveSegLoopError when there is no model to load.
    """

    def __init__(
        self,
        target: Path,
        device: str,
        open_study: Callable[[Path], Study] = Study.open,
        number: int | None = None,
    ) -> None:
        self.study: Study | None = None
        self.round: Round | None = None
        self.folder = target
        if not (target / DESCRIPTION).is_file():
            if not (target / STUDY).is_file():
                raise ActiveSegLoopError(
                    f"{target} is neither a study nor a model folder (it has no {STUDY} and no "
                    f"{DESCRIPTION}): name one of them."
                )
            self.study = open_study(target)
            self.round = (
                self.study.current_round() if number is None else _finished(self.study, number)
            )
            if self.round is None:
                raise ActiveSegLoopError(
                    f"The study {target} has no model yet; train one first (activesegloop train)."
                )
            self.folder = self.round.folder
        elif number is not None:
            raise ActiveSegLoopError(
                f"{target} is the folder of one model and has no rounds; name the study instead."
            )
        sha256 = self.round and self.round.model_sha256
        self.predictor = Predictor.load(self.folder, device, sha256)

    @property
    def channels(self) -> int:
        """How many images make a case for this model."""
        return self.predictor.model.plan.segmenter.network.in_channels

    def tasks(
        self, images: Sequence[str], out: Path | None, ending: str, series: str | None = None
    ) -> list[Task]:
        """What to segment for names of cases and paths of images, each to `out`/NAME`ending`.

        An image that is a case of the study is that case: of a DICOM folder its `series`, which may
        be left out where it holds one. Raises ActiveSegLoopError when an image doesn't exist, when
        two results would have one name, or when an image has nowhere to go.
        """
        cases = {case.name: case for case in self.study.cases()} if self.study else {}
        tasks = []
        named = [n for n in images if n in cases and _is_of_series(cases[n], series)]
        for case in [cases[name] for name in named]:
            tasks.append(Task(case.name, case, (), out and out / f"{case.name}{ending}"))
        paths = [Path(name) for name in images if name not in named]
        for path in paths:
            if not _may_exist(path):
                if str(path) in cases:
                    raise ActiveSegLoopError(
                        f"The case '{path}' isn't the DICOM series {series}: leave the series out, "
                        "it has only its own."
                    )
                known = f" and is no case of the study {self.study.folder}" if self.study else ""
                raise ActiveSegLoopError(f"{path} doesn't exist{known}.")
        by_images = {_images_of(case): case for case in cases.values()}
        for files in find_cases(paths, self.channels if self.channels > 1 else None):
            case = None
            try:
                if by_images:
                    case = by_images.get(tuple(_image_at(p, series) for p in files.images))
            except ImageError:
                if out is None:
                    raise
                # It is told again when it is read, and doesn't keep the other images back.
            tasks.append(_task(files, case, out, ending, series))
        for name in (names := [task.name for task in tasks]):
            if names.count(name) > 1:
                raise ActiveSegLoopError(f"'{name}' is given twice, as a case and as an image.")
        return tasks

    def has_all(self, task: Task, extras: Extras) -> bool:
        """Whether everything that this model gives of a task is in its folder already."""
        outputs = task.outputs(extras.given_by(self.predictor.model.segmenter))
        return bool(outputs) and all(path.exists() for path in outputs)

    def segment(
        self, task: Task, extras: Extras = PLAIN, keep: bool = False
    ) -> dict[str, Any]:
        """Segment one case and write its result; returns what became of it.

        The case's segmentation is kept in the study, under the model's round, and its uncertainty
        where `extras` asks for it; the other things are written beside the segmentation, which is
        the same with and without. What the model doesn't give is a warning, and so is a study that
        can't be written to, where there is a folder. With `keep` a file in the folder that exists
        stays as it is: a person may have corrected it. Raises ActiveSegLoopError for what has
        nowhere to go.
        """
        if task.out is None and extras.outside:
            raise ActiveSegLoopError(
                f"The maps and scores of case '{task.name}' need a folder: give --out."
            )
        if task.case is not None:
            if task.out is None:
                kept = prediction_path(self.study.folder, self.round.number, task.case)
                require_room_for(kept.parent, "give --out, or make the study writable")
            volumes = self.study.volumes(task.case)
        else:
            read = [read_image(path, task.series) for path in task.images]
            for path, volume in zip(task.images, read):
                if not read[0].geometry.overlaps(volume.geometry):
                    raise ActiveSegLoopError(
                        f"{path} shows another place than {task.images[0]}: the images of a case "
                        "must be registered to each other."
                    )
            volumes = _on_first_grid(read)
        started = time.perf_counter()
        if extras.any:
            maps = uncertainty_maps(self.predictor, volumes, extras.passes, plain=True)
            labelmap, found = maps.plain, maps.regions
            network = self.predictor.model.segmenter
            warnings = [*maps.warnings, *extras.lacking(network)]
            extras = extras.given_by(network)
        else:
            maps = self.predictor.segment(volumes)
            labelmap, found, warnings = maps.labelmap, maps.boxes, list(maps.warnings)
        answer = {
            "name": task.name,
            "case": None if task.case is None else task.case.name,
            "out": task.out,
            "seconds": round(time.perf_counter() - started, 3),
            "regions": len(found),
            "warnings": warnings,
        }
        if task.out is not None and not (keep and task.out.exists()):
            make_folder(task.out.parent)
            self._write(task.out, labelmap)
        if task.case is not None:
            try:
                answer["prediction"] = self.study.save_prediction(self.round, task.case, labelmap)
                if extras.uncertainty:
                    answer["uncertainty"] = self.study.save_uncertainty(
                        self.round, task.case, maps.uncertainty()
                    )
            except StudyError as error:
                if task.out is None:
                    raise
                warnings.append(f"The study doesn't keep what {task.out.parent} now holds: {error}")
        if task.out is not None and extras.any:
            answer |= extras.write(maps, task.out, keep)
        return answer

    def _write(self, out: Path, labelmap: Volume) -> None:
        if out.name.lower().endswith(".seg.nrrd"):
            write_segmentation(out, labelmap, self.predictor.model.schema.segments())
        else:
            write_volume(out, labelmap)


def _finished(study: Study, number: int) -> Round:
    chosen = study.round(number)
    if chosen.state != "finished":
        raise ActiveSegLoopError(f"Round {number} of {study.folder} has no model: {chosen.state}.")
    return chosen


def _may_exist(path: Path) -> bool:
    """Also of what lies in a folder without permission, of which find_cases says so."""
    try:
        return path.exists()
    except PermissionError:
        return True


def _is_of_series(case: Case, series: str | None) -> bool:
    return series is None or all(key == series_key(series) for key in case.series)


def _images_of(case: Case) -> tuple[_Image, ...]:
    return tuple((path.resolve(), key) for path, key in zip(case.channels, case.series))


def _image_at(path: Path, series: str | None) -> _Image:
    """The image that is meant by a path, which may be a folder above that of a DICOM series."""
    if not path.is_dir() and series is None:
        return path.resolve(), None
    chosen = choose_series(path, series)
    return chosen.files[0].parent.resolve(), series_key(chosen.uid)


def _task(
    files: CaseFiles, case: Case | None, out: Path | None, ending: str, series: str | None
) -> Task:
    name = files.name if case is None else case.name
    if out is None and case is None:
        raise ActiveSegLoopError(
            f"{files.images[0]} is no case of the study, so its segmentation needs a folder: give "
            "--out."
        )
    return Task(name, case, files.images, out and out / f"{name}{ending}", series)


def _on_first_grid(volumes: list[Volume]) -> list[Volume]:
    grid = volumes[0].geometry
    return [volumes[0]] + [
        v if v.geometry.difference(grid) is None else resample_image(v, grid) for v in volumes[1:]
    ]
