"""Small line charts as SVG: panels side by side, one legend. No library, so the same numbers make the same file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 420, 260, 70, 44, 60
_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")
_TEXT = 'font-family="sans-serif" font-size="12" fill="#222"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart. The x axis is logarithmic, the y axis starts at 0."""

    title: str
    x_label: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    """Points by the name of their line, x above 0; panels share colours by name."""


def svg(panels: Sequence[Panel]) -> str:
    """The panels in a row, as a document."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}
    width = _LEFT + len(panels) * (_WIDTH + _GAP)
    height = _TOP + _HEIGHT + 56 + 20 * len(names)
    parts = [f'<rect width="{width}" height="{height}" fill="white"/>']
    for number, panel in enumerate(panels):
        parts += _panel(panel, colours, left=_LEFT + number * (_WIDTH + _GAP))
    for number, name in enumerate(names):
        y = _TOP + _HEIGHT + 62 + 20 * number
        parts.append(f'<rect x="{_LEFT}" y="{y - 9}" width="22" height="4" fill="{colours[name]}"/>')
        parts.append(f'<text x="{_LEFT + 30}" y="{y - 2}" {_TEXT}>{escape(name)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return "\n".join([head, *parts, "</svg>", ""])


def _panel(panel: Panel, colours: Mapping[str, str], *, left: int) -> list[str]:
    points = [point for line in panel.lines.values() for point in line]
    ticks = sorted({x for x, _ in points})
    low, high = math.log(ticks[0]), math.log(ticks[-1])
    top = _ceiling(max(y for _, y in points))

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log(x) - low) / (high - low) if high > low else 0.5
        return round(left + across * _WIDTH, 1), round(_TOP + _HEIGHT * (1 - y / top), 1)

    parts = [f'<text x="{left}" y="{_TOP - 18}" {_TEXT} font-weight="bold">{escape(panel.title)}</text>']
    for step in range(5):
        value = top * step / 4
        y = at(ticks[0], value)[1]
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + _WIDTH}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4}" {_TEXT} text-anchor="end">{value:g}</text>')
    for tick in ticks:
        x = at(tick, 0)[0]
        parts.append(f'<text x="{x}" y="{_TOP + _HEIGHT + 18}" {_TEXT} text-anchor="middle">{tick:g}</text>')
    middle = left + _WIDTH / 2
    parts.append(
        f'<text x="{middle}" y="{_TOP + _HEIGHT + 38}" {_TEXT} text-anchor="middle">{escape(panel.x_label)}</text>'
    )
    for name, line in panel.lines.items():
        placed = [at(x, y) for x, y in sorted(line)]
        path = " ".join(f"{x},{y}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colours[name]}"/>' for x, y in placed]
    return parts


def _ceiling(value: float) -> float:
    """A round number that is not less: 1, 2, 4, 6, 8 or 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 6, 8, 10) if power * step >= value * 0.999)
