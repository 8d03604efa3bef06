"""A study's images and newest labels as a data set that other programs train on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.itk import to_sitk
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_sitk, write_volume
from ActiveSegLoopLib.jobs.cancel import Cancelled
from ActiveSegLoopLib.study.files import staging
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Case, Study
from ActiveSegLoopLib.wording import counted

# An image whose darkest values are below this is a CT in Hounsfield units.
_AIR_HU = -500.0


@dataclass(frozen=True)
class LabeledCase:
    """What is exported of a case: its channels' volumes and its labels, if it has any.

    `labels` has the network channels as values (0 background, c the schema's c-th label);
    `known` (bool; z, y, x) is where they say what a person vouched for.
    """

    case: Case
    volumes: list[Volume]
    labels: Volume | None
    known: np.ndarray | None


class NnunetLayout:
    """nnU-Net v2: imagesTr/NAME_0000.nii.gz, labelsTr/NAME.nii.gz and dataset.json.

    Voxels that weren't annotated get the ignore label, which nnU-Net wants to be the highest
    value (documentation/ignore_label.md and dataset_format.md of nnU-Net).
    """

    takes_partial_labels = True

    def __init__(self, folder: Path, schema: LabelSchema) -> None:
        if any(label.name.casefold() == "ignore" for label in schema.labels):
            raise StudyError("nnU-Net has a meaning of its own for a label called 'ignore'.")
        self._folder = folder
        self._schema = schema
        self._ignore = len(schema.labels) + 1
        self._ignored = False
        self._training = 0

    def write(self, item: LabeledCase, subset: str) -> None:
        """Add one case to the subset "Tr" or "Ts"."""
        for channel, volume in enumerate(item.volumes):
            name = f"{item.case.name}_{channel:04d}.nii.gz"
            write_volume(_made(self._folder / f"images{subset}") / name, volume)
        if item.labels is not None:
            values = np.where(item.known, item.labels.array, self._ignore).astype(np.uint8)
            self._ignored |= not item.known.all()
            write_volume(
                _made(self._folder / f"labels{subset}") / f"{item.case.name}.nii.gz",
                item.labels.with_array(values),
            )
        self._training += subset == "Tr"

    def finish(self, name: str, kinds: list[str]) -> None:
        """Write dataset.json; `kinds` names what each channel is."""
        labels = {"background": 0}
        labels |= {x.name: channel for channel, x in enumerate(self._schema.labels, start=1)}
        if self._ignored:
            labels["ignore"] = self._ignore
        write_json(
            self._folder / "dataset.json",
            {
                "name": name,
                "channel_names": {str(i): kind for i, kind in enumerate(kinds)},
                "labels": labels,
                "numTraining": self._training,
                "file_ending": ".nii.gz",
            },
        )


class DecathlonLayout:
    """Medical Segmentation Decathlon: imagesTr, labelsTr, imagesTs and dataset.json.

    Several channels make one 4D image. The layout can't say that something wasn't annotated, so
    only wholly labeled cases fit in.
    """

    takes_partial_labels = False

    def __init__(self, folder: Path, schema: LabelSchema) -> None:
        self._folder = folder
        self._schema = schema
        self._training: list[dict[str, str]] = []
        self._test: list[str] = []
        self._channels = 1

    def write(self, item: LabeledCase, subset: str) -> None:
        """Add one case to the subset "Tr" or "Ts"."""
        name = f"{item.case.name}.nii.gz"
        path = _made(self._folder / f"images{subset}") / name
        self._channels = len(item.volumes)
        if self._channels == 1:
            write_volume(path, item.volumes[0])
        else:
            arrays = [v.with_array(v.array.astype(np.float32)) for v in item.volumes]
            write_sitk(path, sitk.JoinSeries([to_sitk(v) for v in arrays]), path)
        if subset == "Ts":
            self._test.append(f"./imagesTs/{name}")
            return
        write_volume(_made(self._folder / "labelsTr") / name, item.labels)
        self._training.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})

    def finish(self, name: str, kinds: list[str]) -> None:
        """Write dataset.json; `kinds` names what each channel is."""
        names = ["background", *(label.name for label in self._schema.labels)]
        write_json(
            self._folder / "dataset.json",
            {
                "name": name,
                "description": "",
                "reference": "",
                "licence": "",
                "release": "",
                "tensorImageSize": "3D" if self._channels == 1 else "4D",
                "modality": {str(i): kind for i, kind in enumerate(kinds)},
                "labels": {str(value): label for value, label in enumerate(names)},
                "numTraining": len(self._training),
                "numTest": len(self._test),
                "training": self._training,
                "test": self._test,
            },
        )


LAYOUTS = {"nnunet": NnunetLayout, "msd": DecathlonLayout}


def require_new(out: Path) -> None:
    """Raise StudyError unless a folder is new or empty."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StudyError(f"{out} exists already and isn't an empty folder; choose another one.")


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to write to, which becomes the new or empty folder `out` when all went well."""
    require_new(out)
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with staging(out.absolute().parent) as temporary:
        folder = temporary / out.absolute().name
        folder.mkdir()
        yield folder
        if out.exists():
            out.rmdir()
        os.replace(folder, out)


def export_dataset(
    study: Study,
    layout: str,
    out: Path,
    report: Callable[..., None],
    should_stop: Callable[[], bool],
) -> dict:
    """Write the study as a data set in `layout` to the new or empty folder `out`.

    The folder appears whole or not at all. Returns the number of training and test cases.
    Raises StudyError when nothing in the study can be exported.
    """
    require_new(out)
    cases = [case for case in study.cases() if not case.excluded]
    chosen = [case for case in cases if case.role == "test" or study.latest(case) is not None]
    unlabeled = len(cases) - len(chosen)
    if unlabeled:
        report("message", text=f"{counted(unlabeled, 'case')} without labels left out.")
    _require_as_many_channels(chosen)
    counts = {"Tr": 0, "Ts": 0}
    partial = []
    darkest: list[list[float]] = []
    with whole_folder(out) as folder:
        writer = LAYOUTS[layout](folder, study.schema)
        for index, case in enumerate(chosen):
            if should_stop():
                raise Cancelled("Stopped; nothing was exported.")
            item = _labeled_case(study, case)
            subset = "Ts" if case.role == "test" else "Tr"
            if subset == "Tr" and not item.known.all() and not writer.takes_partial_labels:
                partial.append(case.name)
            else:
                writer.write(item, subset)
                counts[subset] += 1
                darkest.append([float(v.array.min()) for v in item.volumes])
            report("progress", stage="exporting", step=index + 1, total=len(chosen))
        if not counts["Tr"]:
            reason = (
                f"all {len(partial)} labeled ones are only partly labeled, which this format can't "
                "say; use --format nnunet" if partial else "none is labeled yet"
                + (" but for excluded ones" if len(cases) < len(study.cases()) else "")
            )
            raise StudyError(
                f"No case of the study {study.folder} can be exported to train on: {reason}."
            )
        brightest_dark = np.max(darkest, axis=0)
        writer.finish(out.name, ["CT" if v <= _AIR_HU else "other" for v in brightest_dark])
    if partial:
        report(
            "warning",
            text=f"{counted(len(partial), 'partly labeled case')} left out, such as {partial[0]}: "
            "this format can't say what wasn't labeled; --format nnunet can.",
        )
    return {"folder": out, "training": counts["Tr"], "test": counts["Ts"]}


def _require_as_many_channels(cases: Sequence[Case]) -> None:
    """Studies made before adding required it may differ in that."""
    for case in cases:
        if len(case.channels) != len(cases[0].channels):
            raise StudyError(
                f"Case '{cases[0].name}' has {counted(len(cases[0].channels), 'channel')} and case "
                f"'{case.name}' {len(case.channels)}; a data set needs as many of every case, so "
                "these can't be exported together."
            )


def _labeled_case(study: Study, case: Case) -> LabeledCase:
    revision = study.latest(case)
    if revision is None:
        return LabeledCase(case, study.volumes(case), None, None)
    labelmap = study.labelmap(revision)
    labels = labelmap.with_array(study.schema.to_channels(labelmap.array))
    annotated = study.annotated(revision)
    # Background is known where every label was looked for, a label where it was.
    table = np.column_stack([annotated.subsets.all(axis=1), annotated.subsets])
    return LabeledCase(case, study.volumes(case), labels, table[annotated.codes, labels.array])


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def write_json(path: Path, content: dict) -> None:
    """Write JSON for other programs, in ASCII: they read it in whatever encoding they take."""
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
