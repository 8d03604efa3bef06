"""An experiment on what to label next: its settings, its cases, its folder and its runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.errors import SimulationError
from ActiveSegLoopLib.images.reading import read_geometry
from ActiveSegLoopLib.simulation.run_key import RunKey
from ActiveSegLoopLib.simulation.settings import ExperimentSettings
from ActiveSegLoopLib.simulation.virtue_settings import VirtueSettings
from ActiveSegLoopLib.study.files import atomic_write
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.wording import counted

_FILE = "experiment.json"
Settings = ExperimentSettings | VirtueSettings
_KINDS = {kind.KIND: kind for kind in (ExperimentSettings, VirtueSettings)}


@dataclass(frozen=True)
class SimulatedCase:
    """A case with its true labels: its images (one per channel), its label file, pool or test."""

    name: str
    images: tuple[Path, ...]
    labels: Path
    role: str
    group: str

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return {
            "name": self.name, "images": [str(path) for path in self.images],
            "labels": str(self.labels), "role": self.role, "group": self.group,
        }

    @classmethod
    def from_dict(cls, values: Mapping) -> SimulatedCase:
        """The case that `to_dict` described."""
        images = tuple(Path(path) for path in values["images"])
        return cls(
            values["name"], images, Path(values["labels"]), values["role"], values["group"]
        )


@dataclass(frozen=True)
class Experiment:
    """An experiment in its folder: experiment.json, runs/<strategy>-seed-<n>/, and the results."""

    folder: Path
    settings: Settings
    schema: LabelSchema
    cases: tuple[SimulatedCase, ...]

    @classmethod
    def begin(
        cls,
        folder: Path,
        settings: Settings,
        schema: LabelSchema,
        cases: Iterable[SimulatedCase],
    ) -> Experiment:
        """Begin an experiment in a new or empty folder, or go on with the one that is there.

        Going on, it may have other strategies, rounds and seeds; whatever else differs is refused.
        """
        new = cls(Path(folder).absolute(), settings, schema, tuple(cases))
        if new.folder.exists() and not new.folder.is_dir():
            raise SimulationError(f"{new.folder} is a file; choose a folder with --out.")
        if (new.folder / _FILE).is_file():
            old = cls.open(new.folder)
            difference = old._difference(new)
            if difference:
                raise SimulationError(
                    f"{new.folder} holds an experiment with {difference}; choose another --out."
                )
        elif new.folder.is_dir() and any(new.folder.iterdir()):
            raise SimulationError(
                f"{new.folder} isn't empty and holds no experiment; choose another --out."
            )
        _check_cases(new.cases)
        _check_pool(new)
        content = {
            "kind": settings.KIND, "settings": asdict(settings), "schema": schema.to_dict(),
            "cases": [case.to_dict() for case in new.cases],
        }
        with atomic_write(new.folder / _FILE) as path:
            path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return new

    @classmethod
    def open(cls, folder: Path) -> Experiment:
        """The experiment in a folder; raises SimulationError when there is none."""
        path = Path(folder).absolute() / _FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                path.parent,
                _settings(content["kind"], content["settings"]),
                LabelSchema.from_dict(content["schema"]),
                tuple(map(SimulatedCase.from_dict, content["cases"])),
            )
        except FileNotFoundError as error:
            raise SimulationError(
                f"There is no experiment in {path.parent} (no {_FILE}); give --images, --labels "
                "and the other options to begin one."
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SimulationError(f"{path} can't be read ({error!r}).") from error

    def runs(self) -> list[RunKey]:
        """All runs, in an order in which they can be done side by side."""
        return self.settings.runs()

    def run_folder(self, key: RunKey) -> Path:
        """The folder of a run."""
        return self.folder / "runs" / key.name

    def rounds_of(self, key: RunKey) -> int:
        """How many trainings a run has."""
        return self.settings.rounds_of(key)

    def role(self, role: str) -> tuple[SimulatedCase, ...]:
        """The cases of a role, "pool" or "test"."""
        return tuple(case for case in self.cases if case.role == role)

    def cases_of(self, seed: int) -> tuple[SimulatedCase, ...]:
        """The cases of a seed's runs, as a draw of its own has them where that is set (resplit).

        Whole groups test, about as many cases as without it.
        """
        if not self.settings.resplit:
            return self.cases
        groups = sorted({case.group for case in self.cases})
        left, testing = len(self.role("test")), set()
        for index in np.random.default_rng(seed).permutation(len(groups)):
            size = sum(case.group == groups[index] for case in self.cases)
            if size <= left or not testing:
                testing.add(groups[index])
                left -= size
        return tuple(
            replace(case, role="test" if case.group in testing else "pool") for case in self.cases
        )

    def _difference(self, other: Experiment) -> str | None:
        if self.settings.KIND != other.settings.KIND:
            return f"another aim ({self.settings.KIND})"
        kept = {name: getattr(other.settings, name) for name in self.settings.OPEN}
        for name, old in asdict(replace(self.settings, **kept)).items():
            if old != getattr(other.settings, name):
                return f"{name.replace('_', ' ')} {old}, not {getattr(other.settings, name)}"
        if self.schema != other.schema:
            return "other labels"
        if self.cases != other.cases:
            return "other cases"
        return None


def _settings(kind: str, values: Mapping) -> Settings:
    """The settings whose `asdict` this is; fields of another version are refused."""
    known = _KINDS[kind]
    unknown = sorted(set(values) - {field.name for field in fields(known)})
    if unknown:
        raise SimulationError(f"The experiment has a setting '{unknown[0]}' that isn't known.")
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return known(**{**values, **lists})


def _check_pool(experiment: Experiment) -> None:
    """Some slices or volumes must be left to choose from after the start, in each seed's pool."""
    settings = experiment.settings
    if not isinstance(settings, ExperimentSettings):
        return
    sizes = {case.name: _units_of(case, settings) for case in experiment.cases}
    if None in sizes.values():
        return  # It can't be told cheaply; such a run ends after its start.
    fewest = min(
        sum(sizes[case.name] for case in experiment.cases_of(seed) if case.role == "pool")
        for seed in settings.seed_numbers()
    )
    if settings.start >= fewest:
        raise SimulationError(
            f"The pool has {counted(fewest, settings.unit)} and {settings.start} are "
            "labeled to begin with, so that none is left to choose: give a smaller --start, or "
            "more images."
        )


def _units_of(case: SimulatedCase, settings: ExperimentSettings) -> int | None:
    """How many units of a case there are to label; None where no header tells the slices."""
    if settings.unit == "volume":
        return 1
    grid = read_geometry(case.images[0]) if case.images else None
    return None if grid is None else grid.shape[grid.axis_of(settings.plane)]


def _check_cases(cases: Sequence[SimulatedCase]) -> None:
    for role, use in (("pool", "label"), ("test", "score on")):
        if not any(case.role == role for case in cases):
            raise SimulationError(f"The experiment has no {role} case: give at least one to {use}.")
    roles: dict[str, str] = {}
    for case in cases:
        if roles.setdefault(case.group, case.role) != case.role:
            raise SimulationError(
                f"The group '{case.group}' has pool and test cases; all of a patient's cases need "
                "one role."
            )
