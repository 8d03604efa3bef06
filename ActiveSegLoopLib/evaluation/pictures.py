"""Pictures for a report: contours on slices, and the learning curve over the stages."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.evaluation.stage_table import TOTAL, Stage
from ActiveSegLoopLib.evaluation.views import View, gray_window, telling_slice, view
from ActiveSegLoopLib.images.segmentation import Segment
from ActiveSegLoopLib.images.volume import Volume, require_same_geometry
from ActiveSegLoopLib.images.writing import replacing

DPI = 200
_STYLES = ("solid", (0, (3, 1.5)), (0, (1, 1.2)), (0, (4, 1.2, 1, 1.2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_FONT = 9


def slice_picture(
    image: Volume,
    labelmaps: Mapping[str, Volume],
    segments: Sequence[Segment],
    path: str | os.PathLike,
    *,
    planes: Sequence[str] = ("axial", "coronal"),
    together: bool = False,
    focus: int | None = None,
    captions: Mapping[str, str] | None = None,
    title: str | None = None,
    window: tuple[float, float] | None = None,
    margin_mm: float | None = 22.0,
    at: Mapping[str, int] | None = None,
) -> None:
    """Draw label maps as contours over slices of an image and save the picture as PNG.

    image and labelmaps (name -> volume, the truth first) lie on one grid of any orientation; the
    slices are shown as radiologists see them. segments: value, name and color of each structure.
    One row per plane, at the slice that shows most of all structures of the first label map, above
    all of those that no row before shows (or most of the value `focus`; or the slice that `at` has
    for the plane, counted as in `view`), cropped to all structures with a margin (None: the whole
    slice).
    One column per label map, or all in one panel with their own line styles if `together`.
    captions: a second line for a label map's title. window: values for black and white; None
    chooses the soft-tissue window for CT and percentiles otherwise.
    Raises ImageError when grids differ or there is no label map.
    """
    if not labelmaps:
        raise ImageError("A picture of slices needs at least one label map to draw.")
    for name, labelmap in labelmaps.items():
        require_same_geometry(image, labelmap, "the image", f"The label map '{name}'")
    window = window or gray_window(image)
    reference = next(iter(labelmaps.values()))
    rows, seen = [], set()
    for plane in planes:
        index = (at or {}).get(plane)
        if index is None:
            index = telling_slice(reference, plane, focus, seen)
        shot = view(image, plane, index)
        pixels = shot.of(image)
        shown = {name: shot.of(labelmap) for name, labelmap in labelmaps.items()}
        seen.update(np.unique(shot.of(reference)).tolist())
        rows.append((shot, pixels, shown, _crop(shot, labelmaps.values(), pixels.shape, margin_mm)))

    columns = [list(labelmaps)] if together else [[name] for name in labelmaps]
    captions = captions or {}
    size = 3.1 if len(columns) > 1 else 4.6  # inches
    heights = [size * (b[1] - b[0]) / (b[3] - b[2]) for *_, b in rows]
    gap = 0.06
    width = size * len(columns) + gap * (len(columns) + 1)
    legend = _legend_entries(segments, labelmaps, together)
    foot, per_row = _legend_size(legend, width)
    head = (0.26 + 0.17 * any(captions.values())) * (not together) + 0.24 * bool(title) + 0.04
    total = head + sum(heights) + gap * (len(rows) + 1) + foot
    figure = Figure(figsize=(width, total), facecolor="white")
    top = total - head
    for (shot, pixels, shown, box), height in zip(rows, heights):
        top -= height + gap
        for number, names in enumerate(columns):
            left = gap + number * (size + gap)
            place = (left / width, top / total, size / width, height / total)
            axes = figure.add_axes(place)
            maps = [shown[name] for name in names]
            _panel(axes, shot, pixels, maps, segments, window, box)
            if shot is rows[0][0] and not together:
                text = "\n".join(filter(None, (names[0], captions.get(names[0]))))
                axes.set_title(text, fontsize=_FONT + 1, pad=4, linespacing=1.25)
    if title:
        figure.text(0.5, 1 - 0.06 / total, title, ha="center", va="top", fontsize=_FONT + 2)
    figure.legend(handles=legend, loc="lower center", ncols=per_row, frameon=False, fontsize=_FONT,
                  handlelength=1.9, columnspacing=1.3, handletextpad=0.5, borderaxespad=0.35)
    _save(figure, path)


def _crop(at: View, labelmaps, shape, margin_mm) -> tuple[float, float, float, float]:
    """Bounds in mm (top, bottom, left, right) of what is shown of a slice."""
    edges = (0.0, shape[0] * at.spacing[0], 0.0, shape[1] * at.spacing[1])
    if margin_mm is None:
        return edges
    rows, columns = np.zeros(shape[0], bool), np.zeros(shape[1], bool)
    for labelmap in labelmaps:
        # Over all slices, so that the two views show the same width.
        array = View(at.plane, at.spacing, at.letters, slice(None)).of(labelmap) != 0
        axis = {"axial": 0, "coronal": 1, "sagittal": 2}[at.plane]
        flat = array.any(axis=axis)
        rows |= flat.any(axis=1)
        columns |= flat.any(axis=0)
    if not rows.any():
        return edges
    bounds = []
    for hits, step, edge in ((rows, at.spacing[0], edges[1]), (columns, at.spacing[1], edges[3])):
        where = np.flatnonzero(hits)
        bounds += [max(0.0, where[0] * step - margin_mm),
                   min(edge, (where[-1] + 1) * step + margin_mm)]
    return tuple(bounds)


def _panel(axes: Axes, at: View, pixels, maps, segments, window, box) -> None:
    tall, wide = at.spacing
    extent = (0, pixels.shape[1] * wide, pixels.shape[0] * tall, 0)
    axes.imshow(pixels, cmap="gray", vmin=window[0], vmax=window[1], extent=extent,
                interpolation="bicubic", aspect="equal")
    down = (np.arange(-1, pixels.shape[0] + 1) + 0.5) * tall
    across = (np.arange(-1, pixels.shape[1] + 1) + 0.5) * wide
    for labels, style in zip(maps, _STYLES * len(maps)):
        padded = np.pad(labels, 1)
        for segment in segments:
            inside = padded == segment.value
            if inside.any():
                lines = axes.contour(across, down, inside.astype(float), levels=[0.5],
                                     colors=[segment.color], linewidths=1.1)
                lines.set_linestyle(style)
    top, bottom, left, right = box
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_axis_off()
    edges = ((0.015, 0.5, "left", "center"), (0.985, 0.5, "right", "center"),
             (0.5, 0.98, "center", "top"), (0.5, 0.02, "center", "bottom"))
    outline = [withStroke(linewidth=1.5, foreground="black")]
    for letter, (x, y, ha, va) in zip(at.letters, edges):
        axes.text(x, y, letter, transform=axes.transAxes, ha=ha, va=va, color="white",
                  fontsize=_FONT - 1, path_effects=outline)
    _scale_bar(axes, box, outline)


def _scale_bar(axes: Axes, box, outline) -> None:
    top, bottom, left, right = box
    length = max((n for n in (5, 10, 20, 50, 100) if n < 0.35 * (right - left)), default=5)
    x, y = right - 0.03 * (right - left), bottom - 0.045 * (bottom - top)
    axes.plot([x - length, x], [y, y], color="white", linewidth=1.8, solid_capstyle="butt",
              path_effects=[withStroke(linewidth=3, foreground="black")])
    axes.text(x - length / 2, y - 0.015 * (bottom - top), f"{length / 10:g} cm", color="white",
              ha="center", va="bottom", fontsize=_FONT - 2, path_effects=outline)


def _legend_entries(segments, labelmaps: Mapping[str, Volume], together: bool) -> list[Line2D]:
    present = {int(v) for labelmap in labelmaps.values() for v in np.unique(labelmap.array)}
    entries = [
        Line2D([], [], color=segment.color, linewidth=2.2, label=segment.name)
        for segment in segments
        if segment.value in present
    ]
    for name, style in zip(labelmaps if together else (), _STYLES * len(labelmaps)):
        entries.append(Line2D([], [], color="0.3", linewidth=1.4, linestyle=style, label=name))
    return entries


def _legend_size(entries: Sequence[Line2D], width: float) -> tuple[float, int]:
    """Height in inches of a legend that fits the width, and how many entries stand in a row."""
    longest = max((len(entry.get_label()) for entry in entries), default=0)
    per_row = max(1, min(len(entries), int((width - 0.1) / (0.45 + 0.078 * longest))))
    rows = -(-len(entries) // per_row)
    return 0.22 + 0.19 * max(1, rows), per_row


def learning_curve(
    stages: Sequence[Stage],
    segments: Sequence[Segment],
    path: str | os.PathLike,
    *,
    title: str | None = None,
) -> None:
    """Draw the Dice of each structure over the number of training cases and save it as PNG.

    Points are means over the test cases with bands of one standard deviation; the black line is
    the mean over all. Structures take the color of the segment of the same name.
    """
    figure = Figure(figsize=(5.6, 3.7), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    cases = [stage.training_cases for stage in stages]
    structures = list(dict.fromkeys(n for stage in stages for n in stage.structures))
    colors = {segment.name: on_white(segment.color) for segment in segments}
    for number, name in enumerate((*structures, TOTAL)):
        summaries = [stage.dice(name) for stage in stages]
        means = np.array([100 * s.mean for s in summaries])
        spread = np.array([0 if math.isnan(s.sd) else 100 * s.sd for s in summaries])
        color = colors.get(name, (0.4, 0.4, 0.4))
        if name == TOTAL:
            axes.plot(cases, means, color="black", linewidth=2.2, label="all", zorder=4)
            continue
        axes.fill_between(cases, np.clip(means - spread, 0, 100), np.clip(means + spread, 0, 100),
                          color=color, alpha=0.13, linewidth=0)
        axes.plot(cases, means, color=color, marker=_MARKERS[number % len(_MARKERS)],
                  markersize=5, linewidth=1.6, label=name, zorder=3)
    axes.set_xticks(sorted(set(cases)))
    axes.set_ylim(0, 100)
    axes.set_xlabel("training cases", fontsize=_FONT + 1)
    axes.set_ylabel("Dice, %", fontsize=_FONT + 1)
    axes.tick_params(labelsize=_FONT)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    top = axes.secondary_xaxis("top")
    names = {count: [s.name for s in stages if s.training_cases == count] for count in cases}
    top.set_xticks(list(names), ["\n".join(same) for same in names.values()], fontsize=_FONT)
    top.tick_params(length=0)
    top.spines["top"].set_visible(False)
    if title:
        axes.set_title(title, fontsize=_FONT + 2)
    figure.legend(loc="outside right center", frameon=False, fontsize=_FONT, handlelength=1.8)
    _save(figure, path)


def on_white(color: Sequence[float]) -> tuple[float, float, float]:
    """A color dark enough for a line on white paper: scaled down to a luminance of 0.55."""
    red, green, blue = color
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    scale = min(1.0, 0.55 / max(luminance, 1e-6))
    return (red * scale, green * scale, blue * scale)


def _save(figure: Figure, path: str | os.PathLike) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI)
