"""Organs around the kidneys: liver, spleen, stomach, pancreas, bowel and the great vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.simulation.canvas import Canvas, Texture
from ActiveSegLoopLib.simulation.shapes import curve, ellipsoid, tube, union
from ActiveSegLoopLib.simulation.torso import Torso


@dataclass(frozen=True)
class Contrast:
    """HU of the blood and of what it fills, in a late arterial ("renal cortical") phase."""

    artery: float
    vein: float  # renal veins and the cava above them
    lower_cava: float
    cortex: float
    medulla: float
    liver: float
    spleen: float
    tumor: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Contrast:
        """An injection that was seen a little earlier or later; draws from `rng`."""
        late = rng.uniform(0, 1)  # later: arteries fade, veins, medulla and liver brighten
        return cls(
            artery=rng.uniform(290, 390) - 70 * late,
            vein=rng.uniform(110, 140) + 65 * late,
            lower_cava=rng.uniform(55, 85),
            cortex=rng.uniform(165, 215) + 15 * late,
            medulla=rng.uniform(55, 80) + 35 * late,
            liver=rng.uniform(62, 80) + 18 * late,
            spleen=rng.uniform(100, 130) + 15 * late,
            tumor=rng.uniform(95, 150),
        )


@dataclass(frozen=True)
class GreatVessels:
    """Paths of aorta and inferior vena cava: rows of x, y, z, radius (nominal mm)."""

    aorta: np.ndarray
    cava: np.ndarray

    @classmethod
    def random(cls, torso: Torso, rng: np.random.Generator) -> GreatVessels:
        """Slightly tortuous vessels in front of the spine; draws from `rng`."""
        heights = np.array([-82.0, -50, -15, 20, 60, 110, 170, 260])
        front = torso.spine_y(heights) - 17.0
        size = rng.uniform(8.0, 10.5)
        left = rng.uniform(5, 12) + rng.normal(0, 2.0, len(heights))
        radii = size * np.linspace(0.86, 1.15, len(heights))
        aorta = curve(np.stack([left, front - radii - 1.5, heights, radii], axis=1), 4.0)
        size = rng.uniform(8.5, 11.5)
        right = -rng.uniform(16, 21) + rng.normal(0, 1.5, len(heights))
        right = right - np.array([0, 0, 0, 1, 6, 12, 14, 14])
        radii = size * np.linspace(0.9, 1.15, len(heights))
        ahead = np.array([0, 0, 0, 0, -3, -10, -20, -30])
        cava = curve(np.stack([right, front - radii + 1 + ahead, heights, radii], axis=1), 4.0)
        return cls(aorta, cava)

    @staticmethod
    def at(path: np.ndarray, z: float) -> np.ndarray:
        """Center and radius (x, y, z, radius) of a vessel at height z."""
        return np.array([np.interp(z, path[:, 2], path[:, i]) for i in range(4)])


def paint_upper_organs(
    canvas: Canvas, torso: Torso, contrast: Contrast, rng: np.random.Generator
) -> None:
    """Stomach with fluid and gas, spleen, liver with its vessels, gallbladder, pancreas."""
    fine, coarse = Texture(5.0, rng), Texture(22.0, rng)
    grow = rng.uniform(0.92, 1.08, size=(5, 3))

    center = np.array([46.0, -42, 72]) + rng.normal(0, 5, 3)
    level = center[1] + rng.uniform(-16, 2)
    radii = np.array([44.0, 33, 40]) * grow[0]
    for region in canvas.regions(center - 60, center + 60):
        x, y, z = region.x, region.y, region.z
        stomach = ellipsoid(x, y, z, center.tolist(), radii.tolist()) + 3 * coarse.over(region)
        stomach = np.maximum(stomach, torso.cavity(x, y, z) + 4)
        region.paint(stomach, 95.0)
        region.paint(stomach + 4, 15.0 + 12 * fine.over(region))
        region.paint(np.maximum(stomach + 4, y - level), -930.0)

    center = np.array([86.0, 26, 56]) + rng.normal(0, 4, 3)
    radii = np.array([27.0, 40, 46]) * grow[1]
    for region in canvas.regions(center - 70, center + 70):
        x, y, z = region.x, region.y, region.z
        spleen = ellipsoid(x, y, z, center.tolist(), radii.tolist()) + 3 * coarse.over(region)
        spleen = np.maximum(spleen, torso.cavity(x, y, z) + 2)
        # The arterial phase shows the spleen in bands.
        region.paint(spleen, contrast.spleen + 22 * np.sin(2.2 * coarse.over(region) + x / 7))

    tip = rng.uniform(-8, 14)
    right = np.array([-70.0, -8, 62 - tip / 2]), np.array([58.0, 72, 74]) * grow[2]
    left = np.array([-8.0, -50, 80]), np.array([62.0, 30, 36]) * grow[3]
    for region in canvas.regions((-150, -110, -50), (80, 80, 190)):
        x, y, z = region.x, region.y, region.z
        liver = union(
            ellipsoid(x, y, z, right[0].tolist(), right[1].tolist()),
            ellipsoid(x, y, z, left[0].tolist(), left[1].tolist()),
            25.0,
        )
        liver = np.maximum(liver + 2.5 * coarse.over(region), torso.cavity(x, y, z) + 2)
        region.paint(liver, contrast.liver + 4 * fine.over(region))
    for _ in range(9):
        start = np.array([-45.0, -22, 62]) + rng.normal(0, 6, 3)
        end = right[0] + rng.uniform(-0.72, 0.72, 3) * right[1]
        middle = (start + end) / 2 + rng.normal(0, 7, 3)
        path = curve(np.column_stack([[start, middle, end], [4.0, 2.6, 1.2]]), 5.0)
        region, distance = tube(canvas, path)
        region.paint(distance, contrast.liver + rng.uniform(12, 45), 0.9)
    center = (-48 + rng.normal(0, 4), -52 + rng.normal(0, 4), 12 + rng.normal(0, 6))
    region = canvas.region(np.subtract(center, 40), np.add(center, 40))
    bladder = ellipsoid(region.x, region.y, region.z, center, (13.0, 15.0, 24.0))
    region.paint(bladder - 1.5, 70.0)
    region.paint(bladder, 8.0)

    pancreas = [(-34, -30, 8, 11), (-14, -32, 18, 9), (14, -34, 28, 8), (44, -20, 38, 8.5),
                (70, 0, 48, 7)]
    points = [(x, y + rng.normal(0, 2), z + rng.normal(0, 3), r) for x, y, z, r in pancreas]
    region, distance = tube(canvas, curve(points, 5.0))
    region.paint(distance + 1.6 * fine.over(region), 102.0)
    for side in (-1, 1):  # adrenal glands, two thin limbs each
        top = np.array([side * rng.uniform(30, 36), 14.0, 62 + rng.normal(0, 4)])
        for spread in (-7, 9):
            end = top + (side * 8 + spread * 0.6, 16, -14)
            path = np.column_stack([[top, (top + end) / 2 + (side * 2, 0, 0), end], [2, 2.4, 1.6]])
            region, distance = tube(canvas, path)
            region.paint(distance, 85.0)


def paint_bowel(canvas: Canvas, torso: Torso, rng: np.random.Generator) -> None:
    """Colon with feces and gas around, loops of small bowel in the middle, duodenum."""
    mottled = Texture(5.0, rng)
    oral = 210.0 if rng.uniform() < 0.2 else 0.0  # some drink a contrast agent before

    lines = [
        [(-98, 8, -170), (-98, 4, -100), (-97, 0, -50), (-92, -22, -14)],
        [(-88, -40, -8), (-50, -66, -22), (0, -72, -34), (50, -66, -16), (88, -34, 24)],
        [(97, 2, 34), (100, 20, 5), (99, 20, -45), (97, 12, -105), (96, 6, -170)],
    ]
    for line, size in zip(lines, (19.0, 16.0, 13.5)):
        points = np.array(line, dtype=float) + rng.normal(0, 3.5, (len(line), 3))
        path = curve(np.column_stack([points, np.full(len(line), size)]), 4.0)
        haustra = np.sin(np.arange(len(path)) * 4.0 / rng.uniform(4.2, 5.5))
        path[:, 3] *= rng.uniform(0.85, 1.1) * (1 + 0.14 * haustra)
        gas = rng.uniform(0.05, 0.6)
        _paint_loop(canvas, torso, path, mottled, 1.8, 75.0, rng.uniform(-10, 40), 90.0, gas)

    for _ in range(16):
        start = rng.uniform([-72, -76, -160], [72, -26, 4])
        steps = rng.normal(0, 1, (6, 3)) * [24, 9, 15]
        points = np.clip(start + np.cumsum(steps, axis=0), [-72, -78, -190], [72, -26, -2])
        path = curve(np.column_stack([points, rng.uniform(8, 11.5, 6)]), 4.0)
        gas = rng.uniform(0.1, 0.4) if rng.uniform() < 0.25 else 0.0
        wall = rng.uniform(90, 120)
        _paint_loop(canvas, torso, path, mottled, 2.2, wall, 22.0 + oral, 18.0 + oral / 5, gas)
    duodenum = [(-22, -50, 34), (-40, -38, 26), (-44, -20, -4), (-36, -16, -34), (0, -24, -40),
                (26, -30, -28)]
    points = np.array(duodenum, dtype=float) + rng.normal(0, 2, (6, 3))
    path = curve(np.column_stack([points, rng.uniform(8, 10, 6)]), 4.0)
    _paint_loop(canvas, torso, path, mottled, 2.2, 95.0, 25.0 + oral, 15.0, 0.0)


def _paint_loop(canvas, torso, path, texture, wall, wall_hu, content_hu, mottle, gas) -> None:
    """A piece of bowel inside the cavity; the front `gas` (share of its depth) holds gas."""
    region, distance = tube(canvas, path)
    distance = np.maximum(distance, torso.cavity(region.x, region.y, region.z) + 1.0)
    region.paint(distance, wall_hu)
    lumen = distance + wall
    region.paint(lumen, content_hu + mottle * texture.over(region))
    front, back = (path[:, 1] - path[:, 3]).min(), (path[:, 1] + path[:, 3]).max()
    if gas > 0:  # its level is flat: the patient lies on the back
        region.paint(np.maximum(lumen, region.y - float(front + gas * (back - front))), -920.0)


def paint_great_vessels(
    canvas: Canvas, vessels: GreatVessels, contrast: Contrast, rng: np.random.Generator
) -> None:
    """Aorta, cava, iliac vessels, celiac trunk, mesenteric artery and vein, splenic artery."""
    swirl = Texture(7.0, rng)
    region, distance = tube(canvas, vessels.cava)
    # Unopacified blood from the legs mixes with that of the renal veins.
    mixed = 1 / (1 + np.exp(-(region.z - 6.0) / 7.0))
    blood = contrast.lower_cava + (0.75 * contrast.vein - contrast.lower_cava) * mixed
    region.paint(distance - 0.7, 50.0, 0.5)
    region.paint(distance, blood + 14 * mixed * swirl.over(region))
    fork, vein_fork = vessels.aorta[0], vessels.cava[0]
    for side in (-1, 1):
        for top, hu, deep in ((fork, contrast.artery, 0.0), (vein_fork, contrast.lower_cava, 8.0)):
            end = (side * 38 + 4, top[1] + 4 + deep, top[2] - 55, 5.0)
            far = (side * 62, top[1] - 6 + deep, top[2] - 120, 4.5)
            path = curve([(*top[:3], top[3] * 0.72), end, far], 4.0)
            region, distance = tube(canvas, path)
            region.paint(distance, hu)
    region, distance = tube(canvas, vessels.aorta)
    region.paint(distance - 1.0, 60.0, 0.6)
    region.paint(distance, contrast.artery)

    root = GreatVessels.at(vessels.aorta, rng.uniform(24, 32))
    x, y, z, radius = root
    mesenteric = [(x, y - radius + 2, z, 3.8), (x - 1, y - radius - 12, z - 12, 3.6),
                  (x - 4, y - radius - 17, z - 50, 3.3), (x - 12, y - radius - 24, z - 110, 2.4)]
    vein = [(px - 12, py - 1, pz, r * 1.35) for px, py, pz, r in mesenteric[1:]]
    celiac = [(x, y - radius + 2, z + 14, 3.4), (x - 2, y - radius - 12, z + 18, 3.2),
              (x - 22, y - radius - 16, z + 20, 2.5), (x - 44, y - radius - 12, z + 30, 2.0)]
    splenic = [(x - 1, y - radius - 11, z + 18, 2.8), (x + 20, y - 22, z + 28, 2.6),
               (x + 42, y - 6, z + 20, 2.5), (x + 62, y + 14, z + 30, 2.2)]
    portal = [(x - 14, y - radius - 16, z - 6, 5.5), (x - 26, y - radius - 14, z + 14, 5.5),
              (x - 50, y - radius - 8, z + 38, 5.0)]
    for points, hu in ((vein, 95.0), (portal, 105.0), (mesenteric, contrast.artery),
                       (celiac, contrast.artery), (splenic, contrast.artery)):
        region, distance = tube(canvas, curve(points, 4.0))
        region.paint(distance, hu)
