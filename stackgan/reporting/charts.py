"""Line charts as inline SVG: no script, no library, readable in both colour schemes."""

import html
import math
from typing import Callable, List, Sequence, Tuple

Point = Tuple[float, ...]             # (x, y)
Series = Tuple[str, List[Point]]      # name, points

WIDTH, HEIGHT = 560, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 34
COLOURS = ('#2b6cb0', '#c05621', '#2f855a', '#805ad5')
POINTS = 400               # of a line, at most; more are averaged


def line_chart(
        series: Sequence[Series],
        x_label: str,  # what x counts
        title: str,
) -> str:
    """An <svg> element as text; empty where there is nothing to draw."""
    series = [(name, _thinned(points)) for name, points in series if len(points) > 1]
    if not series:
        return ''
    xs = [x for _, points in series for x, _ in points]
    ys = [y for _, points in series for _, y in points]
    x_ticks = [x for x in _ticks(min(xs), max(xs)) if min(xs) <= x <= max(xs)]
    y_ticks = _ticks(min(min(ys), 0.0), max(ys))
    across = _scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    up = _scale(min(y_ticks[0], min(ys)), max(y_ticks[-1], max(ys)), HEIGHT - BOTTOM, TOP)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 18}" role="img" '
             f'aria-label="{html.escape(title)}">']
    for y in y_ticks:
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(y):.1f}" '
                     f'y2="{up(y):.1f}"/>')
        parts.append(_text(LEFT - 6, up(y) + 4, _number(y), 'end'))
    for x in x_ticks:
        parts.append(_text(across(x), HEIGHT - BOTTOM + 16, _number(x), 'middle'))
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 4, x_label, 'end'))
    for (_, points), colour in zip(series, COLOURS):
        line = ' '.join(f'{across(x):.1f},{up(y):.1f}' for x, y in points)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" '
                     f'points="{line}"/>')
    parts.append(_legend(series))
    return '\n'.join(parts + ['</svg>'])


def charts_section(
        charts: Sequence[Tuple[str, str]],  # (title, what `line_chart` returned)
) -> str:
    """The charts that are not empty, with their titles, as HTML."""
    figures = ''.join(f'<figure>{chart}<figcaption>{html.escape(title)}</figcaption></figure>'
                      for title, chart in charts if chart)
    return f'<div class="charts">{figures}</div>'


def _legend(series: Sequence[Series]) -> str:
    parts, x = [], LEFT
    for (name, _), colour in zip(series, COLOURS):
        parts.append(f'<rect x="{x}" y="{HEIGHT + 6}" width="12" height="3" fill="{colour}"/>')
        parts.append(_text(x + 17, HEIGHT + 12, name, 'start'))
        x += 34 + 7 * len(name)
    return '\n'.join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _ticks(low: float, high: float) -> List[float]:
    """About five round numbers that cover the range."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / 4.0))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 5)
    first = math.floor(low / step)
    return [step * i for i in range(first, int(math.ceil(high / step)) + 1)
            if low - step / 2 <= step * i <= high + step / 2]


def _number(value: float) -> str:
    return f'{round(value, 6):g}'


def _thinned(points: Sequence[Point]) -> List[Point]:
    """At most POINTS points: means of neighbours."""
    size = -(-len(points) // POINTS)
    groups = [points[i:i + size] for i in range(0, len(points), size)]
    return [tuple(sum(values) / len(group) for values in zip(*group)) for group in groups]
