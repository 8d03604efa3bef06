"""Abdominal CT phantoms with labeled kidneys: a cohort to try, show and test everything on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.simulation import kidneys, torso, viscera
from ActiveSegLoopLib.simulation.canvas import Canvas, Pose
from ActiveSegLoopLib.simulation.kidney_labels import KIDNEY_LABELS
from ActiveSegLoopLib.simulation.scanner import Scanner

__all__ = ["KIDNEY_LABELS", "PhantomCase", "make_case", "make_cohort"]


@dataclass(frozen=True)
class PhantomCase:
    """One patient: CT image (int16, HU), true labels (uint8), whether there is a carcinoma."""

    name: str
    image: Volume
    labels: Volume
    carcinoma: bool


def make_case(
    seed: int | Sequence[int],
    spacing: Sequence[float] | None = None,
    shape: Sequence[int] | None = None,
    carcinoma: bool | None = None,
    name: str | None = None,
) -> PhantomCase:
    """An abdominal CT in the renal cortical phase with both kidneys labeled by KIDNEY_LABELS.

    The same arguments give the same bytes. spacing (mm) and shape (voxels) are z, y, x; left out,
    they are drawn so that the image holds the whole width of the patient and 230 mm along z, at
    1.9 to 3 mm. carcinoma None lets the seed decide (3 of 5 cases, as in Kim 2020).
    The coordinates are LPS with axes along the scanner's; the patient lies slightly tilted.
    """
    streams = np.random.SeedSequence(seed).spawn(12)
    draw = iter([np.random.Generator(np.random.PCG64(stream)) for stream in streams])
    grid, who, wall, bones, upper, bowel = (next(draw) for _ in range(6))
    pose = Pose.random(who)
    body = torso.Torso.random(who)
    contrast = viscera.Contrast.random(who)
    scanner = Scanner.random(who)
    vessels = viscera.GreatVessels.random(body, who)
    pair = [kidneys.Kidney.random(side, who) for side in (1, -1)]
    sick, sick_side = who.uniform() < 0.6, int(who.integers(2))
    if carcinoma is None:
        carcinoma = sick

    shape, spacing, center, origin = _grid(grid, spacing, shape, body, pose)
    canvas = Canvas(shape, spacing, center, pose)
    torso.paint_body(canvas, body, wall)
    viscera.paint_upper_organs(canvas, body, contrast, upper)
    torso.paint_lungs(canvas, body, wall)
    viscera.paint_bowel(canvas, body, bowel)
    around, inside, mass, noise = (next(draw) for _ in range(4))
    for kidney in pair:
        kidneys.paint_perirenal_fat(canvas, kidney, around, body.fat)
    torso.paint_muscles(canvas, body, bones)
    torso.paint_spine(canvas, body, bones)
    torso.paint_ribs(canvas, body, bones)
    torso.paint_table(canvas, body)
    viscera.paint_great_vessels(canvas, vessels, contrast, upper)
    for number, kidney in enumerate(pair):
        kidneys.paint_kidney(canvas, kidney, contrast, inside, body.fat)
        if carcinoma and number == sick_side:
            kidneys.paint_carcinoma(canvas, kidney, body, contrast, mass)
        kidneys.paint_renal_vessels(canvas, kidney, vessels, contrast, inside)

    geometry = Geometry(shape, spacing, origin)
    image = Volume(scanner.acquire(canvas, noise), geometry)
    if name is None:
        name = "kidney-" + "-".join(str(part) for part in np.atleast_1d(seed))
    return PhantomCase(name, image, Volume(canvas.labels, geometry), bool(carcinoma))


def _grid(rng, spacing, shape, body, pose):
    """Shape and spacing (z, y, x), center in scanner coordinates and LPS origin (x, y, z)."""
    in_plane, thickness = rng.uniform(1.9, 2.5), rng.uniform(1.9, 3.0)
    air = rng.uniform(10, 26)
    width = 2 * body.width * 1.06 * pose.size[0] + air
    extent = np.array([rng.uniform(218, 242), width, width])
    if spacing is None and shape is None:
        spacing = np.round([thickness, in_plane, in_plane], 3)
    elif spacing is None:
        spacing = np.round(extent / np.asarray(shape), 4)
    if shape is None:
        shape = np.ceil(extent / np.asarray(spacing, dtype=float))
    shape = tuple(int(n) for n in shape)
    spacing = tuple(float(s) for s in spacing)
    center = (rng.uniform(-6, 6), rng.uniform(-4, 10), rng.uniform(-14, 8))
    # Where the scanner's zero lies says nothing about the patient.
    table = rng.uniform([-20, -190, -900], [20, -120, -200])
    half = [(n - 1) / 2 * s for n, s in zip(shape, spacing)]
    origin = [round(float(t + c - h), 3) for t, c, h in zip(table, center, reversed(half))]
    return shape, spacing, center, tuple(origin)


def make_cohort(
    count: int,
    seed: int = 0,
    carcinoma_share: float = 0.6,
    spacing: Sequence[float] | None = None,
    shape: Sequence[int] | None = None,
) -> Iterator[PhantomCase]:
    """So many different patients, one after the other, named kidney-001 and on.

    Of the first n, n times carcinoma_share (rounded down) have a carcinoma, spread evenly; a longer
    cohort starts with the same cases.
    """
    for number in range(count):
        before, after = (int(carcinoma_share * n + 1e-9) for n in (number, number + 1))
        yield make_case(
            (seed, number), spacing, shape, after > before, name=f"kidney-{number + 1:03d}"
        )
