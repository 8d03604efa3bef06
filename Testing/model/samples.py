"""Small images with two balls to find, studies of them on disk, and plans for small networks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.model.network import NetworkSettings
from ActiveSegLoopLib.model.plan import Plan, PlanSettings, StagePlan
from ActiveSegLoopLib.model.presets import Preset, get_preset
from ActiveSegLoopLib.study import Case, LabelSchema, Study

# Not 1 and 2: the study's values are not the network's channels.
SCHEMA = LabelSchema.parse("3=liver,7=spleen")
LIVER, SPLEEN = SCHEMA.labels
GRID = Geometry((16, 20, 24), (1.5, 1.0, 1.0), (10.0, -20.0, 30.0))


def two_balls(seed: int, grid: Geometry = GRID) -> tuple[Volume, Volume]:
    """An image and its labels: two balls of different brightness in noise."""
    random = np.random.default_rng(seed)
    image = random.normal(0, 5, grid.shape)
    labels = np.zeros(grid.shape, np.uint8)
    indices = np.moveaxis(np.indices(grid.shape), 0, -1)
    for label, brightness, column in ((LIVER, 100, 0.25), (SPLEEN, 50, 0.75)):
        center = np.array(grid.shape) * (0.5, 0.5, column) + random.uniform(-1, 1, 3)
        inside = np.linalg.norm((indices - center) * grid.spacing, axis=-1) < 4
        image[inside] += brightness
        labels[inside] = label.value
    return Volume(image.astype(np.float32), grid), Volume(labels, grid)


def make_study(folder: Path, roles: Sequence[str], channels: int = 1, **labeling) -> Study:
    """A study with a labeled case per role, named c0, c1, ...; its images lie beside it."""
    study = Study.create(folder / "study", SCHEMA)
    for number, role in enumerate(roles):
        case, labels = add_case(study, number, role, channels)
        study.add_revision(case, labels, **labeling)
    return study


def add_case(study: Study, number: int, role: str = "pool", channels: int = 1):
    """One more case, not labeled yet, and its true labels."""
    image, labels = two_balls(number)
    paths = []
    for channel in range(channels):
        path = study.folder.parent / f"c{number}-{channel}.nii.gz"
        write_volume(path, image.with_array(image.array * (1, -2)[channel]))
        paths.append(path)
    return study.add_case(paths, f"c{number}", role), labels


def truth(case: Case) -> Volume:
    """The labels of a case that `add_case` added."""
    return two_balls(int(case.name[1:]))[1]


def tiny(gpu: bool = False, **plan) -> Preset:
    """A recipe for these images that takes a second."""
    recipe = get_preset("default", gpu)
    training = replace(
        recipe.segmenter, iterations=4, batch_size=2, validations=2, mixed_precision=False
    )
    settings = PlanSettings(**({"base_channels": 4, "patch_voxels": 3000, "locator": True} | plan))
    return replace(recipe, plan=settings, segmenter=training, locator=training)


def stage(spacing, patch, outputs) -> StagePlan:
    """A network of two levels."""
    network = NetworkSettings(1, outputs, (2, 4), ((3, 3, 3),) * 2, ((2, 2, 2),))
    return StagePlan(spacing, patch, network)


def cascade(spacing=(1.0, 1.0, 1.0), coarse=(3.0, 3.0, 3.0), **changes) -> Plan:
    """A plan with a locator for two labels."""
    fields = dict(
        normalization=({"kind": "case"},),
        segmenter=stage(spacing, (16, 16, 16), 3),
        locator=stage(coarse, (16, 16, 16), 2),
        margin_mm=4.0,
        gap_mm=2.0,
        minimum_mm3=20.0,
    )
    return Plan(**(fields | changes))
