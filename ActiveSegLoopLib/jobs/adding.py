"""Images and their labels entering a study, one case at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.images.dicom import list_series
from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.jobs.case_files import CaseFiles, LabelFolder, group_of
from ActiveSegLoopLib.jobs.label_files import read_label_file
from ActiveSegLoopLib.study.channels import series_key
from ActiveSegLoopLib.study.naming import case_name, unique_name
from ActiveSegLoopLib.study.study import Case, Study


@dataclass
class Adding:
    """Adds cases to a study and remembers the names of what became of them.

    role and group: what was asked for, None where nothing was. series: the UID of the DICOM series.
    added, labeled: the cases that are new and that got labels; kept: those whose label file was
    left aside because they have labels already; renamed: the images whose case is called otherwise.
    """

    study: Study
    labels: LabelFolder | None
    role: str | None = None
    group: re.Pattern | None = None
    series: str | None = None
    added: list[str] = field(default_factory=list)
    labeled: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    renamed: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._cases = self.study.cases()

    def add(self, files: CaseFiles, report: Callable[..., None]) -> None:
        """Add one case, or its labels where it is known.

        What may be wrong with its labels is found before anything is added.
        """
        label = self.labels.of_case(files) if self.labels is not None else None
        known = next((case for case in self._cases if self._is(case, files)), None)
        if known is not None:
            self._require_as_asked(known, files)
            if label is not None and self.study.latest(known) is not None:
                self.kept.append(known.name)
                return
            if label is None:
                return
        labelmap = None
        if label is not None:
            grid = read_image(files.images[0], self.series).geometry
            labelmap = read_label_file(label, self.study.schema, grid, files.images[0])
        case = known or self._add(files)
        if labelmap is not None:
            self.study.add_revision(case, labelmap)
            self.labeled.append(case.name)
        report("added", case=case.name, new=known is None, labels=labelmap is not None)

    def _add(self, files: CaseFiles) -> Case:
        image = files.images[0].absolute()
        name, taken = files.name, [case.name for case in self._cases]
        if unique_name(name, taken) != name:
            if self.series is None:
                name = case_name(Path(f"{image.parent.name}-{files.name}"))
            name = unique_name(name, taken)
        case = self.study.add_case(
            files.images, name, self.role or "pool", group_of(files, self.group),
            series=None if self.series is None else [self.series],
        )
        self._cases.append(case)
        self.added.append(name)
        if name != case_name(image):
            self.renamed[name] = files.images[0]
        return case

    def _is(self, case: Case, files: CaseFiles) -> bool:
        """Whether a case is made of these images, told by where they lie."""
        return len(case.channels) == len(files.images) and all(
            self._is_at(known, series, image)
            for known, series, image in zip(case.channels, case.series, files.images)
        )

    def _is_at(self, known: Path, series: str | None, given: Path) -> bool:
        """Of a DICOM series the folder may be given, or one above it, where it holds no other."""
        known, given = known.resolve(), given.resolve()
        if self.series is not None and series != series_key(self.series):
            return False
        if given != known and (series is None or given not in known.parents):
            return False
        if series is None or self.series is not None:
            return True
        return [series_key(found.uid) for found in list_series(given)] == [series]

    def _require_as_asked(self, case: Case, files: CaseFiles) -> None:
        who = f"{files.images[0]} is in the study already"
        if self.role not in (None, case.role):
            raise ActiveSegLoopError(
                f"{who}: '{case.name}' is a {case.role} case, and a role never changes."
            )
        group = group_of(files, self.group)
        if group not in (None, case.group):
            raise ActiveSegLoopError(
                f"{who}: '{case.name}' belongs to the group '{case.group}', not '{group}', and a "
                "group never changes."
            )
