"""A strip plot as inline SVG: one dot per patient on a line from 0 to 1, none hidden behind another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 760
MARGIN = 16
# Dots shrink until the highest stack fits (half the drawing's height); the smallest size stacks as high as it must.
RADII, HIGHEST = (5.0, 3.5, 2.4, 1.6, 1.0), 110


@dataclass(frozen=True)
class Dot:
    """One point: where it lies (0 to 1), what hovering says, its looks (a CSS class) and where a click leads."""

    value: float
    label: str
    kind: str = ""
    link: str = ""


def strip_plot(dots: Sequence[Dot], mean: float = math.nan, low: float = math.nan, high: float = math.nan) -> Markup:
    """Draw the dots above an axis from 0 to 1; the mean as a line and its interval as a band, where they are numbers.

    Dots that would touch are stacked, so every one is seen; the drawing grows as high as the stacks need.
    """
    ordered = sorted(dots, key=lambda dot: dot.value)
    for radius in RADII:
        levels = _stack([_x(dot.value) for dot in ordered], 2 * radius + 1)
        middle = max((abs(level) for level in levels), default=0) * (radius + 0.5) + radius + 5
        if middle <= HIGHEST:
            break
    axis = 2 * middle
    parts = [f'<svg class="strip" viewBox="0 0 {WIDTH} {axis + 22:.0f}" role="img">']
    if not math.isnan(low):
        width = max(_x(high) - _x(low), 1)
        parts.append(f'<rect class="interval" x="{_x(low):.1f}" y="0" width="{width:.1f}" height="{axis:.1f}"/>')
    if not math.isnan(mean):
        parts.append(f'<line class="mean" x1="{_x(mean):.1f}" x2="{_x(mean):.1f}" y1="0" y2="{axis:.1f}"/>')
    parts.append(f'<line class="axis" x1="{_x(0)}" x2="{_x(1)}" y1="{axis:.1f}" y2="{axis:.1f}"/>')
    for tenth in range(11):
        x, numbered = _x(tenth / 10), tenth % 2 == 0
        parts.append(
            f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{axis:.1f}" y2="{axis + (5 if numbered else 3):.1f}"/>'
        )
        if numbered:
            parts.append(f'<text x="{x:.1f}" y="{axis + 18:.1f}">{tenth / 10:g}</text>')
    for dot, level in zip(ordered, levels, strict=True):
        place = f'cx="{_x(dot.value):.1f}" cy="{middle + level * (radius + 0.5):.1f}" r="{radius}"'
        circle = f'<circle class="dot {escape(dot.kind)}" {place}><title>{escape(dot.label)}</title></circle>'
        parts.append(f'<a href="#{escape(dot.link)}">{circle}</a>' if dot.link else circle)
    return Markup("".join([*parts, "</svg>"]))


def _x(value: float) -> float:
    return MARGIN + min(max(value, 0.0), 1.0) * (WIDTH - 2 * MARGIN)


def _stack(places: Sequence[float], gap: float) -> list[int]:
    """A level per dot (0, then alternately above and below, in half gaps), the nearest on which it touches no other.

    `places` ascend, so on each level only the last dot can be touched; of the levels beside it, dots that are nearer
    than the height of an equilateral triangle are.
    """
    levels: list[int] = []
    last: dict[int, float] = {}
    beside = gap * math.sqrt(3) / 2
    for place in places:
        level = 0
        while any(
            place - last.get(level + step, -math.inf) < reach - 1e-6
            for step, reach in ((0, gap), (-1, beside), (1, beside))
        ):
            level = -level if level > 0 else 1 - level
        last[level] = place
        levels.append(level)
    return levels
