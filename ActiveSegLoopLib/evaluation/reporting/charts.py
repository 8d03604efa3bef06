"""Charts of the report, and how all its pictures are drawn: fonts, and names of any characters."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure

from ActiveSegLoopLib.evaluation.pictures import on_white
from ActiveSegLoopLib.images.segmentation import Segment
from ActiveSegLoopLib.images.writing import replacing

# Tried one after the other for each letter; those not installed are left out.
_FONTS = (
    "DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Microsoft YaHei", "Yu Gothic",
    "PingFang SC", "Hiragino Sans", "Malgun Gothic", "Apple SD Gothic Neo", "WenQuanYi Zen Hei",
    "Arial Unicode MS", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari",
)
_LONGEST_NAME = 32
_DPI = 160
_FONT = 9


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with names of any characters: "$" is no formula, and letters come from several fonts."""
    fonts = list(_installed())
    with matplotlib.rc_context({"text.parse_math": False, "font.family": fonts}):
        yield


@cache
def _installed() -> dict[str, str]:
    """The fonts to draw with: the file by the name."""
    files = {font.name: font.fname for font in font_manager.fontManager.ttflist}
    return {name: files[name] for name in _FONTS if name in files}


@cache
def _letters() -> frozenset[int]:
    """All that these fonts can draw."""
    found: set[int] = set()
    for file in _installed().values():
        found |= set(font_manager.get_font(file).get_charmap())
    return frozenset(found)


def chart_name(name: str, otherwise: str) -> str:
    """A name as charts can show it: not too long, and not hidden from a legend.

    otherwise: taken if no font on this machine has all letters of the name.
    """
    if not _letters().issuperset(map(ord, name)):
        name = otherwise
    short = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
    # A label that begins with "_" isn't shown by matplotlib; a space of no width comes before it.
    return f"\u200b{short}" if short.startswith("_") else short


def box_plots(
    values: Mapping[str, Mapping[str, Sequence[float]]],
    segments: Sequence[Segment],
    path: str | os.PathLike,
) -> None:
    """Draw the Dice of each case (0 to 1, NaN left out) by structure and round as PNG.

    values: structure -> round -> one value per case. A box spans the middle half with the median
    as a line, whiskers reach the farthest case within 1.5 box lengths; every case is a dot. Fewer
    than five cases are dots only.
    """
    structures = list(values)
    rounds = list(dict.fromkeys(r for of_round in values.values() for r in of_round))
    colors = {segment.name: on_white(segment.color) for segment in segments}
    slot = 0.8 / max(1, len(rounds))
    width = max(4.5, 1.2 + len(structures) * max(0.75, 0.22 * len(rounds) + 0.2))
    figure = Figure(figsize=(min(width, 13), 3.7), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    for column, structure in enumerate(structures):
        color = colors.get(structure, (0.35, 0.35, 0.35))
        for number, name in enumerate(rounds):
            known = [100 * v for v in values[structure].get(name, ()) if not math.isnan(v)]
            if not known:
                continue
            x = column + (number - (len(rounds) - 1) / 2) * slot
            if len(known) >= 5:
                axes.boxplot(
                    known, positions=[x], widths=0.72 * slot, showfliers=False, manage_ticks=False,
                    patch_artist=True, boxprops={"facecolor": (*color, 0.22), "edgecolor": color},
                    medianprops={"color": color, "linewidth": 1.8},
                    whiskerprops={"color": color}, capprops={"color": color},
                )
            spread = np.linspace(-0.2, 0.2, len(known)) * slot if len(known) > 1 else [0.0]
            axes.plot(x + np.asarray(spread), known, "o", color=color, markersize=3, alpha=0.85,
                      markeredgewidth=0)
            axes.annotate(name.removeprefix("round "), (x, 0), xycoords=("data", "axes fraction"),
                          xytext=(0, -3), textcoords="offset points", ha="center", va="top",
                          fontsize=_FONT - 2, color="0.4")
    axes.set_xticks(range(len(structures)), structures,
                    fontsize=_FONT, rotation=20 if len(structures) > 4 else 0,
                    ha="right" if len(structures) > 4 else "center")
    axes.tick_params(axis="x", length=0, pad=14)
    axes.tick_params(axis="y", labelsize=_FONT)
    axes.set_xlim(-0.5, len(structures) - 0.5)
    axes.set_ylim(-2, 102)
    axes.set_ylabel("Dice, %", fontsize=_FONT + 1)
    axes.set_xlabel("small numbers: the round", fontsize=_FONT - 1, color="0.4")
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def time_bars(
    rows: Sequence[tuple[str, float, float]], path: str | os.PathLike, unit: str
) -> None:
    """Draw minutes by hand and corrected per structure (name, seconds, seconds; NaN: none)."""
    figure = Figure(figsize=(5.6, 1.1 + 0.4 * len(rows)), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    for number, (name, shift, color) in enumerate(
        (("by hand", -0.19, "0.55"), ("corrected", 0.19, "#2b6ca3"))
    ):
        lengths = [row[1 + number] / 60 for row in rows]
        axes.barh([i + shift for i in range(len(rows))], np.nan_to_num(lengths), 0.36,
                  color=color, label=name)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=_FONT)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=_FONT)
    axes.set_xlabel(f"minutes per {unit}, mean", fontsize=_FONT)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=_FONT, loc="outside upper center", ncols=2)
    save(figure, path)


def save(figure: Figure, path: str | os.PathLike) -> None:
    """Write a figure as PNG, whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)
