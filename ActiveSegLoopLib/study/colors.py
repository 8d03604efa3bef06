"""Colors that are told apart."""

from __future__ import annotations

import colorsys
from collections.abc import Collection, Iterator

Color = tuple[float, float, float]

# Distinct on a gray image, also for color-blind people: Okabe and Ito's palette
# (https://jfly.uni-koeln.de/color/) without its black, lightened where it is too dark.
_PALETTE: tuple[Color, ...] = (
    (0.84, 0.37, 0.00),
    (0.00, 0.45, 0.70),
    (0.94, 0.89, 0.26),
    (0.00, 0.62, 0.45),
    (0.80, 0.47, 0.65),
    (0.34, 0.71, 0.91),
    (0.90, 0.62, 0.00),
)
_GOLDEN = 0.618033988749895  # steps of the golden ratio around the circle of hues never meet


def distinct_colors(count: int, used: Collection[Color] = ()) -> list[Color]:
    """So many default colors (r, g, b from 0 to 1), none close to another or to a used one."""
    # The more colors there are, the closer together they have to lie.
    total = count + len(used)
    least = 0.15 if total < 20 else 0.03 if total < 100 else 0.005
    found: list[Color] = []
    candidates = _candidates()
    while len(found) < count:
        color = next(candidates)
        if all(_distance(color, other) > least for other in (*used, *found)):
            found.append(color)
    return found


def _distance(one: Color, other: Color) -> float:
    return max(abs(a - b) for a, b in zip(one, other))


def _candidates() -> Iterator[Color]:
    yield from _PALETTE
    number = 0
    while True:
        hue = (0.05 + number * _GOLDEN) % 1
        shade = colorsys.hsv_to_rgb(hue, (0.9, 0.6)[number % 2], (0.95, 0.7, 0.45)[number % 3])
        yield tuple(round(part, 3) for part in shade)
        number += 1
