"""Surfaces colored by their distance from others, from two sides (Kim 2020, Figure 1)."""

from __future__ import annotations

import os
from collections.abc import Iterable

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ActiveSegLoopLib.evaluation.reporting.renderer import SIDES, frame_around, render
from ActiveSegLoopLib.evaluation.surface_distance import point_distances
from ActiveSegLoopLib.evaluation.surfaces import extract_surface
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import replacing

COLORS = "coolwarm"
_UNKNOWN = (0.75, 0.75, 0.45)  # there is no other surface to be distant from
_FONT = 9
_DPI = 160


def surface_picture(
    first: Volume,
    second: Volume,
    values: Iterable[int],
    path: str | os.PathLike,
    names: tuple[str, str] = ("first", "second"),
    range_mm: float = 4.0,
) -> bool:
    """Draw both segmentations' surfaces from the front and the back and save them as PNG.

    Red: the second one reaches beyond the first there; blue: it falls short. Each structure is
    measured against the same one of the other. The scale ends at range_mm. Returns False, and
    writes nothing, when neither has any of the structures.
    """
    rows = _colored_surfaces(first, second, list(values), range_mm)
    points = [mesh[0] for mesh in rows if len(mesh[0])]
    if not points:
        return False
    frame = frame_around(np.concatenate(points))
    wide = 3.0  # inches
    tall = wide * frame.pixels[1] / frame.pixels[0]
    head, gap, side, bar = 0.42, 0.12, 0.3, 0.75
    width, height = side + 2 * wide + gap + bar, 0.3 + 2 * (tall + head)
    figure = Figure(figsize=(width, height), facecolor="white")
    for row, (mesh, name, other) in enumerate(zip(rows, names[::-1], names)):
        bottom = height - 0.3 - (row + 1) * (tall + head)
        figure.text(side / width, (bottom + tall + 0.1) / height,
                    f"surface: {name}   (distance from: {other})", fontsize=_FONT)
        for column, view in enumerate(SIDES):
            left = side + column * (wide + gap)
            axes = figure.add_axes(
                (left / width, bottom / height, wide / width, tall / height)
            )
            axes.set_axis_off()
            if row == 0:
                figure.text((left + wide / 2) / width, 1 - 0.2 / height, f"from the {view}",
                            ha="center", fontsize=_FONT + 1)
            if len(mesh[0]):
                axes.imshow(render(*mesh, frame, view), interpolation="bilinear")
                _letters(axes, view)
            else:
                axes.text(0.5, 0.5, "nothing", ha="center", va="center", color="0.4",
                          fontsize=_FONT, transform=axes.transAxes)
    _color_bar(figure, (1 - (bar - 0.12) / width, 0.2, 0.14 / width, 0.6), range_mm)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)
    return True


def _colored_surfaces(first: Volume, second: Volume, values: list[int], range_mm: float) -> list:
    """Points, triangles and colors of all structures together: of the second, then the first."""
    meshes: tuple[list, list] = ([], [])
    for value in values:
        a, b = extract_surface(first, value), extract_surface(second, value)
        meshes[0].append((b.points, b.triangles, point_distances(b, a)))
        # Turned round, so that a color means the same on both: where the second falls short.
        meshes[1].append((a.points, a.triangles, -point_distances(a, b)))
    return [_together(parts, range_mm) for parts in meshes]


def _together(parts: list, range_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *(len(points) for points, _, _ in parts)])
    triangles = np.concatenate([t + offset for (_, t, _), offset in zip(parts, offsets)])
    distances = np.concatenate([d for *_, d in parts])
    colors = matplotlib.colormaps[COLORS](Normalize(-range_mm, range_mm, clip=True)(distances))
    colors[~np.isfinite(distances), :3] = _UNKNOWN
    return np.concatenate([points for points, _, _ in parts]), triangles, colors[:, :3]


def _letters(axes, view: str) -> None:
    for x, ha, letter in ((0.0, "left", "R" if view == "front" else "L"),
                          (1.0, "right", "L" if view == "front" else "R")):
        axes.text(x, 0.5, letter, transform=axes.transAxes, ha=ha, va="center", color="0.35",
                  fontsize=_FONT)


def _color_bar(figure: Figure, place: tuple[float, float, float, float], range_mm: float) -> None:
    scale = ScalarMappable(Normalize(-range_mm, range_mm), COLORS)
    bar = figure.colorbar(scale, cax=figure.add_axes(place), extend="both")
    bar.set_ticks([-range_mm, -range_mm / 2, 0, range_mm / 2, range_mm])
    bar.ax.tick_params(labelsize=_FONT - 1)
    bar.set_label("distance, mm", fontsize=_FONT - 1)
