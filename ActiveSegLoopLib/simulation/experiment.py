"""An experiment on what to label next: its settings, its cases, its folder and its runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from ActiveSegLoopLib.errors import SimulationError
from ActiveSegLoopLib.images.geometry import PLANES
from ActiveSegLoopLib.study.files import atomic_write
from ActiveSegLoopLib.study.schema import LabelSchema

# Two runs that are no strategy's: what every strategy starts from, and training on all labels.
START, FULL = "start", "full"
UNITS = ("slice", "volume")
_FILE = "experiment.json"
# What a later call may change: what was done stays valid, there is only more or less to do.
_OPEN = ("strategies", "rounds", "seeds", "full")


@dataclass(frozen=True)
class ExperimentSettings:
    """What is simulated; budgets are in units (slices of `plane`, or volumes).

    rounds: trainings of a run, the first on the `start` labels, each later one on `step` more.
    initial: the strategy that picks the start labels, the same for all strategies of a seed.
    corrected: from the second round on the model's segmentation is corrected (with `tolerance_mm`,
    see oracle.correct) instead of labels being drawn. full: train on all labels too, once per seed.
    passes, min_distance_mm, per_case, per_class: see selection.proposing.propose.
    """

    unit: str = "slice"
    plane: str = "axial"
    strategies: tuple[str, ...] = ("random", "equal_interval")
    start: int = 8
    step: int = 8
    rounds: int = 5
    seeds: int = 4
    initial: str = "random"
    preset: str = "simulation"
    iterations: int | None = None
    corrected: bool = False
    tolerance_mm: float | None = None
    passes: int = 10
    min_distance_mm: float | None = None
    per_case: int | None = None
    per_class: bool = False
    full: bool = True
    correlations: bool = True

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise SimulationError(f"'{self.unit}' isn't a unit: use slice or volume.")
        if self.plane not in PLANES:
            raise SimulationError(f"'{self.plane}' isn't a plane: use one of {', '.join(PLANES)}.")
        for name in ("start", "step", "rounds", "seeds"):
            if getattr(self, name) < 1:
                raise SimulationError(f"An experiment needs at least 1 for {name}.")
        if not self.strategies:
            raise SimulationError("An experiment needs at least one strategy.")
        reserved = sorted({START, FULL} & set(self.strategies))
        if reserved:
            raise SimulationError(f"'{reserved[0]}' is the name of a run, not a strategy.")
        object.__setattr__(self, "strategies", tuple(dict.fromkeys(self.strategies)))

    @classmethod
    def from_dict(cls, values: Mapping) -> ExperimentSettings:
        """The settings whose `asdict` this is; fields of another version are refused."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise SimulationError(f"The experiment has a setting '{unknown[0]}' that isn't known.")
        return cls(**{**values, "strategies": tuple(values["strategies"])})


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
class RunKey:
    """One run: a strategy (or "start", "full") and a seed."""

    strategy: str
    seed: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.strategy}-seed-{self.seed}"

    @classmethod
    def parse(cls, name: str) -> RunKey:
        """The run of this name; raises SimulationError for what can't be one."""
        strategy, separator, seed = name.rpartition("-seed-")
        if not (separator and strategy and seed.isdigit()):
            raise SimulationError(f"'{name}' isn't a run: runs are called random-seed-0 and so on.")
        return cls(strategy, int(seed))


@dataclass(frozen=True)
class Experiment:
    """An experiment in its folder: experiment.json, runs/<strategy>-seed-<n>/, and the results."""

    folder: Path
    settings: ExperimentSettings
    schema: LabelSchema
    cases: tuple[SimulatedCase, ...]

    @classmethod
    def begin(
        cls,
        folder: Path,
        settings: ExperimentSettings,
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
        content = {
            "settings": asdict(settings), "schema": schema.to_dict(),
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
                ExperimentSettings.from_dict(content["settings"]),
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
        """All runs, in an order in which they can be done side by side: seeds change fastest.

        The start of a seed comes before everything that begins with it.
        """
        names = [START, *([FULL] if self.settings.full else []), *self.settings.strategies]
        return [RunKey(name, seed) for name in names for seed in range(self.settings.seeds)]

    def run_folder(self, key: RunKey) -> Path:
        """The folder of a run."""
        return self.folder / "runs" / key.name

    def rounds_of(self, key: RunKey) -> int:
        """How many trainings a run has."""
        return 1 if key.strategy in (START, FULL) else self.settings.rounds

    def role(self, role: str) -> tuple[SimulatedCase, ...]:
        """The cases of a role, "pool" or "test"."""
        return tuple(case for case in self.cases if case.role == role)

    def _difference(self, other: Experiment) -> str | None:
        kept = {name: getattr(other.settings, name) for name in _OPEN}
        for name, old in asdict(replace(self.settings, **kept)).items():
            if old != getattr(other.settings, name):
                return f"{name.replace('_', ' ')} {old}, not {getattr(other.settings, name)}"
        if self.schema != other.schema:
            return "other labels"
        if self.cases != other.cases:
            return "other cases"
        return None


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
