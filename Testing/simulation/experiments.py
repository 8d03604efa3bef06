"""Experiments that take seconds: small images with two balls, a tiny network, a few steps."""

from dataclasses import replace
from pathlib import Path

from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.model.presets import Preset
from ActiveSegLoopLib.simulation.experiment import Experiment, SimulatedCase
from ActiveSegLoopLib.simulation.settings import ExperimentSettings
from Testing.model.samples import SCHEMA, tiny, two_balls

POOL, TEST = 4, 2


def quick(gpu: bool = False) -> Preset:
    """A recipe of one tiny network, trained on everything for two steps."""
    recipe = tiny(gpu, locator=False)
    training = replace(recipe.segmenter, iterations=2, validations=0)
    return replace(recipe, segmenter=training, locator=training, hold_out=False)


def make_cases(folder: Path, pool: int = POOL) -> list[SimulatedCase]:
    """Pool cases p0, p1, ... and two test cases after them, with their files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for number in range(pool + TEST):
        image, labels = two_balls(number)
        name = f"p{number}"
        write_volume(folder / f"{name}.nii.gz", image)
        write_volume(folder / f"{name}-labels.nii.gz", labels)
        role = "pool" if number < pool else "test"
        cases.append(SimulatedCase(
            name, (folder / f"{name}.nii.gz",), folder / f"{name}-labels.nii.gz", role, name
        ))
    return cases


def settings(**changes) -> ExperimentSettings:
    """Two strategies, one seed, two rounds of four slices."""
    fields = dict(
        strategies=("random", "equal_interval"), start=4, step=4, rounds=2, seeds=1,
        preset="quick", passes=2, full=False,
    )
    return ExperimentSettings(**(fields | changes))


def begin(folder: Path, **changes) -> Experiment:
    """A new experiment on four pool and two test cases."""
    return Experiment.begin(
        folder / "experiment", settings(**changes), SCHEMA, make_cases(folder / "images")
    )


def without_times(line: dict) -> dict:
    """What of a round's line must be the same whenever it is done."""
    return {name: value for name, value in line.items() if name != "seconds"}
