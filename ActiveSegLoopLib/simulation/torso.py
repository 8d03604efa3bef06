"""The body that holds the organs: skin, fat, wall, muscles, lungs, spine, ribs, and the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.simulation.canvas import Canvas, Texture
from ActiveSegLoopLib.simulation.shapes import curve, ellipse, ellipsoid, intersection, tube

VERTEBRAE = tuple(range(-5, 6))  # levels around the second lumbar vertebra (0); up is positive
LEVEL = 34.0  # mm from one vertebra to the next


@dataclass(frozen=True)
class Torso:
    """Sizes (nominal mm) and HU of one patient's body."""

    width: float  # half the width and depth of the body
    depth: float
    side_fat: float
    front_fat: float
    wall: float
    fat: float  # HU
    muscle: float
    bone: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Torso:
        """A slim to normal adult; draws from `rng`."""
        side_fat = rng.uniform(9, 24)
        front_fat = rng.uniform(6, 20)
        return cls(
            width=112 + side_fat + 11,
            depth=86 + front_fat + 9,
            side_fat=side_fat,
            front_fat=front_fat,
            wall=rng.uniform(9, 12),
            fat=rng.uniform(-112, -98),
            muscle=rng.uniform(50, 66),
            bone=rng.uniform(480, 680),
        )

    def spine_y(self, z):
        """Where the vertebral bodies' center lies (y, mm) at height z: the lumbar lordosis."""
        return 27.0 - 7.0 * np.exp(-(((z + 62.0) / 52.0) ** 2))

    def waist(self, z):
        """The body's width at height z as a share of its width at the kidneys."""
        return 1.0 + 0.05 * np.tanh((z - 70.0) / 45.0) + 0.05 * np.tanh((-z - 85.0) / 30.0)

    def cavity(self, x, y, z):
        """Signed distance (mm) to the inner side of the body wall."""
        width = (self.width - self.side_fat - self.wall) * self.waist(z)
        return ellipse(x, y, (0.0, -12.0), (width, self.depth - self.front_fat - self.wall - 8.0))


def paint_body(canvas: Canvas, torso: Torso, rng: np.random.Generator) -> None:
    """Skin, fat under the skin and in the cavity, and the muscles of the wall."""
    strands = Texture(9.0, rng)
    furrow = rng.uniform(3, 7)
    for region in canvas.regions():
        x, y, z = region.x, region.y, region.z
        waist = torso.waist(z)
        skin = ellipse(x, y, (0.0, 0.0), (torso.width * waist, torso.depth))
        back = y - (94.0 - furrow * np.exp(-((x / 17.0) ** 2)) - 0.0012 * x * x)
        skin = intersection(skin, back, 30.0)
        region.paint(skin, 15.0)
        region.paint(skin + 1.8, torso.fat + 5.0 * strands.over(region))
        outer_width = (torso.width - torso.side_fat) * waist
        outer = ellipse(x, y, (0.0, -8.0), (outer_width, torso.depth - torso.front_fat - 8.0))
        outer = intersection(outer, y - 84.0, 24.0)
        region.paint(outer, torso.muscle + 4.0 * strands.over(region))
        # Thin fat between the rectus muscles in front and between the layers of the flanks.
        line = np.maximum(np.abs(x) - 1.5, y)
        layers = np.maximum(np.abs(outer + 0.45 * torso.wall) - 0.3, 35.0 - np.abs(x))
        region.paint(np.minimum(line, layers), torso.fat, (outer < -1.5) * 0.45)
        cavity = torso.cavity(x, y, z)
        region.paint(np.maximum(cavity, y - 60.0), torso.fat + 6.0 * strands.over(region))


def paint_lungs(canvas: Canvas, torso: Torso, rng: np.random.Generator) -> None:
    """The bases of the lungs behind and above the diaphragm's two domes, and the heart's floor."""
    right, left = 104.0 + rng.uniform(-9, 9), 98.0 + rng.uniform(-9, 9)
    vessels = Texture(5.0, rng)
    for region in canvas.regions((-150, -120, 25), (150, 110, 1e4)):
        x, y, z = region.x, region.y, region.z
        center = np.where(x < 0, -60.0, 62.0)
        top = np.where(x < 0, right, left)
        dome = top - ((x - center) ** 2 + (y + 12.0) ** 2) / 105.0
        lung = np.maximum(torso.cavity(x, y, z) + 1.5, (dome - z) * 0.6)
        lung = np.maximum(lung, y - 58.0)
        # Not the mediastinum, nor behind the spine.
        lung = np.maximum(lung, -ellipse(x, y, (2.0, 12.0), (24.0, 62.0)))
        texture = vessels.over(region)
        region.paint(lung, -850.0 + 40.0 * texture + 500.0 * np.clip(texture - 1.6, 0, 1))
    for region in canvas.regions((-60, -110, 80), (90, 60, 240)):
        x, y, z = region.x, region.y, region.z
        heart = ellipsoid(x, y, z, (16.0, -38.0, 140.0), (56.0, 44.0, 54.0))
        region.paint(np.maximum(heart, torso.cavity(x, y, z) + 3.0), 150.0)


def paint_muscles(canvas: Canvas, torso: Torso, rng: np.random.Generator) -> None:
    """Erector spinae, psoas, quadratus lumborum and the crura of the diaphragm on both sides."""
    streaks = Texture(4.0, rng)
    bulk = rng.uniform(0.88, 1.12)
    for region in canvas.regions((-75, 25, -1e4), (75, 100, 1e4)):
        x, y = np.abs(region.x), region.y
        erector = ellipse(x, y, (31.0, 67.0), (27.0 * bulk, 20.0 * bulk))
        marbling = 25.0 * np.clip(streaks.over(region) - 1.0, 0, 2)
        region.paint(erector, torso.muscle - marbling)
        region.paint(np.abs(ellipse(x, y, (19.0, 66.0), (13.0, 17.0))) - 0.4, torso.fat, 0.5)
    for side in (-1, 1):
        wide = bulk * rng.uniform(0.94, 1.06)
        psoas = [(22, 24, 48, 4), (28, 27, 20, 9), (36, 25, -30, 15), (46, 16, -90, 19),
                 (56, -2, -150, 20), (64, -18, -220, 20)]
        quadratus = [(52, 50, 62, 4), (58, 51, 30, 7), (66, 53, -30, 9), (72, 54, -95, 10)]
        crus = [(14, 8, 84, 4), (11, 8, 50, 4.5), (10, 7, 15, 3.5), (9, 7, -12, 2)]
        for points in (psoas, quadratus, crus):
            path = curve([(side * x, y, z, r * wide) for x, y, z, r in points], 6.0)
            region, distance = tube(canvas, path)
            region.paint(distance, torso.muscle + 2.0)


def paint_spine(canvas: Canvas, torso: Torso, rng: np.random.Generator) -> None:
    """Vertebral bodies, disks, canal and processes; cortical bone is brighter than marrow."""
    spongy = Texture(4.0, rng)
    width, depth = rng.uniform(22, 26), rng.uniform(16, 18.5)
    marrow = rng.uniform(140, 210)
    for region in canvas.regions((-32, 0, -1e4), (32, 75, 1e4)):
        x, y, z = region.x, region.y, region.z
        center = torso.spine_y(z)
        within = np.abs((z + LEVEL / 2) % LEVEL - LEVEL / 2)  # mm from the middle of the level
        waist = 1.0 - 0.09 * np.exp(-((within / 8.0) ** 2))
        column = ellipse(x, y, (0.0, center), (width * waist, depth * waist))
        region.paint(column, 85.0)  # disks, overwritten by the bodies
        body = np.maximum(column, within - 13.0)
        region.paint(body, torso.bone)
        region.paint(body + 1.6, marrow + 22.0 * spongy.over(region))
        canal = ellipse(x, y, (0.0, center + depth + 7.5), (10.5, 8.0))
        region.paint(canal - 1.5, torso.fat * 0.4, 0.7)
        region.paint(canal + 1.0, 28.0)
    for level in VERTEBRAE:
        z = level * LEVEL
        y = float(torso.spine_y(z)) + depth
        tip = rng.uniform(-2, 2)
        parts = [[(0, y + 17, z - 3, 3.2), (0, y + 30, z - 10, 3.0), (tip, y + 40, z - 15, 4.2)]]
        for side in (-1, 1):
            parts += [
                [(side * 13, y - 2, z + 4, 4.5), (side * 13.5, y + 8, z + 3, 4.5),
                 (side * 9, y + 15, z - 4, 3.6), (0, y + 18, z - 5, 3.2)],
                [(side * 15, y + 7, z + 3, 4.0), (side * 28, y + 10, z + 4, 3.2),
                 (side * rng.uniform(36, 42), y + 13, z + 5, 3.2)],
                [(side * 15, y + 9, z + 2, 4.5), (side * 15.5, y + 11, z - 16, 6.0)],
            ]
        for points in parts:
            region, distance = tube(canvas, np.asarray(points, dtype=float))
            region.paint(distance, torso.bone * 0.85)
            region.paint(distance + 1.7, marrow * 1.3)


def paint_ribs(canvas: Canvas, torso: Torso, rng: np.random.Generator) -> None:
    """Ribs 8 to 12, falling from the spine around the chest, and the iliac wings below."""
    drop = rng.uniform(38, 52)  # mm over a quarter of the way around
    for level, reach in ((2, 42), (3, 82), (4, 125), (5, 140), (6, 150), (7, 150), (8, 150)):
        for side in (-1, 1):
            angles = np.radians(np.arange(14, reach + rng.uniform(-6, 6), 8.0))
            z = level * LEVEL - 4 - drop * (1 - np.cos(angles)) * 0.9 - 8 * np.sin(angles)
            width = (torso.width - torso.side_fat - torso.wall + 5.0) * torso.waist(z)
            depth = torso.depth - torso.front_fat - torso.wall - 3.0
            x = side * width * np.sin(angles)
            y = np.minimum(-12.0 + depth * np.cos(angles), 62.0)
            thick = np.full_like(x, 4.2)
            region, distance = tube(canvas, np.stack([x, y, z, thick], axis=1))
            region.paint(distance, torso.bone * 0.8)
            region.paint(distance + 1.8, 190.0)
    for side in (-1, 1):
        for region in canvas.regions((-130, -60, -260), (130, 80, -80)):
            x, y, z = side * region.x, region.y, region.z
            wing = np.abs(ellipsoid(x, y, z, (42.0, -10.0, -150.0), (66.0, 72.0, 190.0))) - 5.0
            crest = -100.0 - ((y - 15.0) / 60.0) ** 2 * 40.0
            wing = np.maximum(wing, np.maximum(z - crest, 52.0 - x - 0.4 * y))
            region.paint(wing, torso.bone)
            region.paint(wing + 2.0, 200.0)


def paint_table(canvas: Canvas, torso: Torso) -> None:
    """The scanner's table below the back: a curved shell with foam inside."""
    for region in canvas.regions():
        _, y, x = region.scanner_axes()
        size = canvas.pose.size[1]
        top = y - (94.0 * size + 14.0) + x * x / 900.0
        shell = np.abs(top - 9.0) - 9.0
        empty = canvas.image[region.slices] < -900.0
        region.paint(np.broadcast_to(np.abs(shell) - 1.8, region.shape), 60.0, empty * 1.0)
        inside = np.broadcast_to(shell + 2.0, region.shape)
        region.paint(inside, -960.0, empty * 1.0)
