"""Both kidneys with cortex, pyramids and sinus, their vessels and ureters, and a carcinoma."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.simulation.canvas import Canvas, Region, Texture
from ActiveSegLoopLib.simulation.kidney_labels import ARTERY, CARCINOMA, PARENCHYMA, URETER, VEIN
from ActiveSegLoopLib.simulation.shapes import FAR, cone, curve, ellipsoid, intersection, tube
from ActiveSegLoopLib.simulation.torso import Torso
from ActiveSegLoopLib.simulation.viscera import Contrast, GreatVessels

LOWEST = -320.0  # nominal mm; the ureters end below every image
MIDLINE = 18.0  # nominal mm from the middle: what is closer belongs to neither kidney


@dataclass(frozen=True)
class Kidney:
    """One kidney's place and shape (nominal mm).

    Its own coordinates: u along the kidney to the head, v away from the hilum, w to the front.
    """

    side: int  # 1 the patient's left, -1 the right
    center: np.ndarray  # x, y, z
    axes: np.ndarray  # rows: directions of u, v, w in x, y, z
    radii: tuple[float, float, float]  # u, v, w
    bend: float  # how far the poles lie towards the middle, in mm
    cortex: float  # thickness

    @classmethod
    def random(cls, side: int, rng: np.random.Generator) -> Kidney:
        """A kidney beside the spine, its hilum to the middle and front; draws from `rng`."""
        height = rng.normal(6 if side > 0 else -6, 6)
        center = np.array([side * rng.uniform(56, 65), rng.uniform(20, 29), height])
        flare = np.radians(rng.uniform(8, 20))  # upper pole to the middle
        lean = np.radians(rng.uniform(4, 16))  # upper pole to the back
        turn = np.radians(rng.uniform(15, 45))  # hilum to the front
        along = np.array([-side * np.sin(flare), np.sin(lean), 1.0])
        along /= np.linalg.norm(along)
        away = np.array([side * np.cos(turn), np.sin(turn), 0.0])
        away -= along * (away @ along)
        away /= np.linalg.norm(away)
        front = np.cross(along, away) * -side
        if front[1] > 0:
            front = -front
        size = rng.uniform(0.9, 1.08)
        return cls(
            side=side,
            center=center,
            axes=np.stack([along, away, front]),
            radii=tuple(float(size * r) for r in rng.uniform([48, 25, 21], [58, 30, 26])),
            bend=float(rng.uniform(5, 13)),
            cortex=float(rng.uniform(6.5, 9)),
        )

    def world(self, u: float, v: float, w: float) -> np.ndarray:
        """Anatomy coordinates of a point in the kidney's own."""
        return self.center + np.array([u, v, w]) @ self.axes

    def local(self, region: Region) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The kidney's own coordinates u, v, w of a region's voxels."""
        x, y, z = (c - float(o) for c, o in zip((region.x, region.y, region.z), self.center))
        return tuple(float(a) * x + float(b) * y + float(c) * z for a, b, c in self.axes)

    def surface(self, u, v, w):
        """Distance to the capsule, as if there were no hilum: a bent ellipsoid."""
        a, b, c = self.radii
        straight = v + self.bend * (u / a) ** 2 - self.bend * 0.3
        return ellipsoid(u, straight, w, (0.0, 0.0, 0.0), (a, b, c))

    def sinus(self, u, v, w):
        """Distance to the hollow that opens at the hilum."""
        a, b, c = self.radii
        return ellipsoid(u, v, w, (0.0, -0.8 * b, 0.04 * c), (0.5 * a, 0.92 * b, 0.5 * c))


def paint_perirenal_fat(canvas: Canvas, kidney: Kidney, rng: np.random.Generator, fat: float):
    """The fat that keeps other organs off the kidney."""
    thick = rng.uniform(4, 11)
    reach = np.array([1, 1, 1.05]) * (max(kidney.radii) + thick + 10)
    region = canvas.region(kidney.center - reach, kidney.center + reach)
    distance = kidney.surface(*kidney.local(region)) - thick
    region.paint(distance - 0.8, 0.0, 0.35)  # Gerota's fascia
    region.paint(distance, fat)


def paint_kidney(
    canvas: Canvas, kidney: Kidney, contrast: Contrast, rng: np.random.Generator, fat: float
) -> None:
    """Cortex, pyramids and the sinus with its fat; labels the parenchyma."""
    a, b, c = kidney.radii
    lobes, fine = Texture(17.0, rng), Texture(4.0, rng)
    reach = np.full(3, max(kidney.radii) + 14.0)
    region = canvas.region(kidney.center - reach, kidney.center + reach)
    if 0 in region.shape:
        return
    u, v, w = kidney.local(region)
    capsule = kidney.surface(u, v, w) + 0.8 * lobes.over(region)
    sinus = kidney.sinus(u, v, w) + 1.5 * fine.over(region)
    tissue = intersection(capsule, -sinus, 4.0)
    region.paint(np.maximum(sinus - 2.0, capsule - 1.0), fat)
    region.paint(tissue, contrast.cortex + 7 * fine.over(region))

    pyramids = np.full(region.shape, 1e3, dtype=np.float32)
    for tip, base in _pyramids(kidney, rng):
        np.minimum(pyramids, cone(u, v, w, tip, base), out=pyramids)
    pyramids = np.maximum(pyramids, capsule + kidney.cortex)
    pyramids = np.maximum(pyramids, 0.5 - sinus)
    region.paint(pyramids, contrast.medulla + 5 * fine.over(region))
    region.label(tissue < 0, PARENCHYMA)


def _pyramids(kidney: Kidney, rng: np.random.Generator) -> list[tuple[list[float], list[float]]]:
    """Cones (u, v, w, radius) from the papilla at the sinus to the base under the cortex."""
    a, b, c = kidney.radii
    rows = [(-0.62, (-40, 40)), (-0.36, (-62, 0, 62)), (-0.02, (-66, -10, 60)),
            (0.34, (-60, 5, 62)), (0.6, (-38, 42))]
    cones = []
    for at, angles in rows:
        for angle in angles:
            angle = np.radians(angle + rng.uniform(-9, 9))
            along = (at + rng.uniform(-0.05, 0.05)) * a
            out = np.array([along * 1.12, 0.62 * b * np.cos(angle), 0.66 * c * np.sin(angle)])
            tip = np.array([along * 0.6, -0.35 * b + 0.4 * b * np.cos(angle),
                            0.36 * c * np.sin(angle)])
            cones.append(([*tip, 2.0], [*out, rng.uniform(6.0, 8.0)]))
    for pole in (-1, 1):
        tip, out = (pole * 0.42 * a, -0.25 * b, 0.0), (pole * 0.78 * a, -0.1 * b, 0.0)
        cones.append(([*tip, 2.5], [*out, rng.uniform(6.5, 8.5)]))
    return cones


def paint_carcinoma(
    canvas: Canvas, kidney: Kidney, torso: Torso, contrast: Contrast, rng: np.random.Generator
) -> None:
    """A lobulated mass that bulges from the parenchyma, its core necrotic; labels it."""
    a, b, c = kidney.radii
    radius = rng.uniform(11, 29)
    angle = np.radians(rng.uniform(-105, 105))  # around u: 0 away from the hilum
    along = rng.uniform(-0.75, 0.75)
    across = np.sqrt(1 - along**2)
    depth = 1.0 - rng.uniform(-0.2, 0.35) * radius / c
    spot = np.array([along * a, across * b * np.cos(angle), across * c * np.sin(angle)]) * depth
    spot[1] -= kidney.bend * along**2
    radii = radius * rng.uniform(0.85, 1.15, 3)
    center = kidney.world(*spot)
    for _ in range(6):  # inwards, where the wall leaves no room for it
        if torso.cavity(*center) > -0.9 * radius:
            center += 0.15 * (kidney.center - center)
    lumps, inner = Texture(radius * 0.5, rng), Texture(radius * 0.4, rng)
    vivid = Texture(5.0, rng)
    reach = np.full(3, radius * 1.45 + 3)
    region = canvas.region(center - reach, center + reach)
    if 0 in region.shape:
        return
    mass = ellipsoid(region.x, region.y, region.z, center.tolist(), radii.tolist())
    mass = mass + 0.08 * radius * lumps.over(region)
    mass = intersection(mass, torso.cavity(region.x, region.y, region.z) + 2.0, 5.0)
    solid = contrast.tumor + 22 * inner.over(region) + 10 * vivid.over(region)
    core = -mass / radius - rng.uniform(0.15, 0.6)
    necrosis = np.clip(3 * core + 0.5 * inner.over(region), 0, 1)
    region.paint(mass - 1.0, 60.0, 0.7)  # pseudocapsule
    region.paint(mass, solid + (rng.uniform(22, 42) - solid) * necrosis)
    region.label(mass < 0, CARCINOMA)


def paint_renal_vessels(
    canvas: Canvas,
    kidney: Kidney,
    vessels: GreatVessels,
    contrast: Contrast,
    rng: np.random.Generator,
) -> None:
    """Ureter with pelvis, vein to the cava, artery from the aorta; labels them.

    The vein and the artery that cross the midline are labeled on their kidney's side only, as for
    an operation on that kidney.
    """
    for path in _collecting_system(kidney, rng):
        _paint_vessel(canvas, path, rng.uniform(8, 22), URETER, kidney.side, rim=38.0)
    for path in _vein(kidney, vessels, rng):
        _paint_vessel(
            canvas, path, contrast.vein, VEIN, kidney.side, vessels.cava, vessels.aorta
        )
    for path in _artery(kidney, vessels, rng):
        _paint_vessel(canvas, path, contrast.artery * 0.97, ARTERY, kidney.side, vessels.aorta)


def _paint_vessel(canvas, path, hounsfield, value, side, until=None, beside=None, rim=None) -> None:
    """A tube and its label, up to the wall of the great vessel `until` and outside `beside`."""
    region, distance = tube(canvas, path, extra=max(canvas.spacing))
    if 0 in region.shape:
        return
    if beside is not None:
        distance = np.maximum(distance, 0.5 - _distance_to(region, beside))
    if rim is not None:
        region.paint(distance - 0.8, rim, 0.8)
    region.paint(distance, hounsfield)
    # What is thinner than a voxel is still drawn one voxel wide: as a person would, and connected.
    thinnest = 0.58 * max(canvas.spacing)
    inside = distance < max(0.0, thinnest - float(path[:, 3].min()))
    if until is not None:
        inside &= (_distance_to(region, until) >= 0) & (side * region.x >= MIDLINE)
    region.label(inside, value)


def _distance_to(region: Region, path: np.ndarray) -> np.ndarray:
    """Distance to the part of a long vertical tube that is near a region."""
    low, high = region.z.min() - 25, region.z.max() + 25
    near = path[(path[:, 2] > low) & (path[:, 2] < high)]
    distance = np.full(region.shape, FAR, dtype=np.float32)
    for start, end in zip(near[:-1], near[1:]):
        np.minimum(distance, cone(region.x, region.y, region.z, start, end), out=distance)
    return distance


def _collecting_system(kidney: Kidney, rng) -> list[np.ndarray]:
    """Calyces, and pelvis with ureter down along the psoas: paths of x, y, z, radius."""
    a, b, c = kidney.radii
    middle = kidney.world(-0.06 * a, -0.55 * b, -0.2 * c)
    out = kidney.world(-0.22 * a, -1.25 * b, -0.15 * c)
    paths = []
    for at in (-0.34, -0.02, 0.32):
        end = kidney.world((at + rng.uniform(-0.05, 0.05)) * a, rng.uniform(-0.2, 0.0) * b, 0)
        paths.append(curve(np.column_stack([[middle, (middle + end) / 2, end], [2.4, 1.6, 2.0]])))
    side = kidney.side
    heights = np.arange(out[2] - 24, LOWEST, -22.0)
    # On the psoas: it leaves the spine on the way down.
    x = side * np.interp(-heights, [0, 60, 130, 200], [36, 38, 36, 33])
    y = np.interp(-heights, [0, 60, 130, 200], [9, 2, -14, -22])
    points = np.stack([x, y, heights], axis=1) + rng.normal(0, 1.6, (len(heights), 3))
    down = np.concatenate([[middle, out], points])
    size = rng.uniform(1.7, 2.5)
    radii = np.concatenate([[rng.uniform(4, 6), rng.uniform(2.8, 3.6)], np.full(len(points), size)])
    path = curve(np.column_stack([down, radii]), 2.5)
    # Peristalsis: parts are collapsed.
    wave = np.sin(np.arange(len(path)) * 2.5 / rng.uniform(7, 13) + rng.uniform(0, 6))
    ureter = np.arange(len(path)) > 8
    path[ureter, 3] = np.maximum(path[ureter, 3] * (1 + 0.3 * wave[ureter]), 1.0)
    return [*paths, path]


def _branches(kidney: Kidney, root: np.ndarray, front: float, radius: float, count: int, rng):
    """Branches of a vessel from the hilum into the sinus."""
    a, b, c = kidney.radii
    paths = []
    for at in np.linspace(-0.36, 0.36, count):
        spot = (at + rng.uniform(-0.07, 0.07), rng.uniform(-0.15, 0.05), rng.uniform(-0.3, 0.35))
        end = kidney.world(spot[0] * a, spot[1] * b, (0.5 * spot[2] + 0.5 * front) * c)
        middle = kidney.world(0.6 * spot[0] * a, -0.75 * b, front * c)
        path = np.column_stack([[root, middle, end], [radius * 0.75, radius * 0.62, radius * 0.4]])
        paths.append(curve(path, 2.5))
    return paths


def _artery(kidney: Kidney, vessels: GreatVessels, rng) -> list[np.ndarray]:
    """From the aorta, on the right behind the cava; sometimes a second one to the lower pole."""
    a, b, c = kidney.radii
    root = kidney.world(rng.uniform(-0.05, 0.12) * a, -1.05 * b, 0.12 * c)
    height = 0.65 * root[2] + rng.uniform(6, 16)
    x, y, z, wide = GreatVessels.at(vessels.aorta, height)
    side, size = kidney.side, rng.uniform(2.3, 3.1)
    start = np.array([x + side * wide * 0.7, y, z])
    leave = np.array([x + side * (wide + 7), y + 2, z - 1])
    points = [start, leave]
    if side < 0:
        cava = GreatVessels.at(vessels.cava, height)
        points.append(np.array([cava[0], max(cava[1] + cava[3] + size + 2.0, y + 4), z - 3]))
    points.append((points[-1] + root) / 2 + rng.normal(0, 2.5, 3))
    points.append(root)
    stem = np.column_stack([points, np.full(len(points), size)])
    paths = [curve(stem, 2.5), *_branches(kidney, root, 0.12, size, 4, rng)]
    if rng.uniform() < 0.15:
        low = GreatVessels.at(vessels.aorta, height - rng.uniform(18, 30))
        end = kidney.world(-0.55 * a, -0.72 * b, 0.1 * c)
        first = low[:3] + (side * low[3] * 0.7, 0, 0)
        middle = (first + end) / 2 + (0, 5 if side < 0 else 1, 0)
        paths.append(curve(np.column_stack([[first, middle, end], [1.7, 1.6, 1.4]]), 2.5))
    return paths


def _vein(kidney: Kidney, vessels: GreatVessels, rng) -> list[np.ndarray]:
    """To the cava in front of the artery; the left one crosses in front of the aorta."""
    a, b, c = kidney.radii
    root = kidney.world(rng.uniform(-0.1, 0.08) * a, -1.1 * b, 0.42 * c)
    height = 0.7 * root[2] + rng.uniform(2, 9)
    x, y, z, wide = GreatVessels.at(vessels.cava, height)
    side, size = kidney.side, rng.uniform(4.0, 5.6)
    end = np.array([x + side * wide * 0.6, y - 1, z])
    points = [root]
    if side > 0:
        ao = GreatVessels.at(vessels.aorta, height)
        points += [
            np.array([ao[0] + ao[3] + 7, ao[1] - 3, z - 2]),
            np.array([ao[0], ao[1] - ao[3] - size * 0.8 - 1, z]),
        ]
    else:
        points.append((root + end) / 2 + np.array([0, -2, rng.uniform(-3, 3)]))
    points.append(end)
    flat = np.full(len(points), size)
    if side > 0:
        flat[2] *= 0.75  # squeezed between aorta and mesenteric artery
    stem = curve(np.column_stack([points, flat]), 2.5)
    return [stem, *_branches(kidney, root, 0.35, size, 3, rng)]
