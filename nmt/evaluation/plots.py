"""Pictures for pages, as SVG that takes its colours from the page. Knows numbers and labels.

Whatever is drawn here stands in a table beside it: the pictures are for the eye alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_WIDTH, _HEIGHT = 320.0, 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 38.0, 10.0, 12.0, 30.0


@dataclass(frozen=True, slots=True)
class Line:
    """One curve; a value of None leaves a gap. `kind` is its class: `first` or `second`."""

    name: str
    kind: str
    values: Sequence[float | None]


def line_plot(
    places: Sequence[float], lines: Sequence[Line], *, marked: Sequence[float], label: str
) -> Markup:
    """Draw curves over the same places, with a vertical line where something was chosen.

    Args:
        places: Where the values were measured.
        lines: The curves, as many values each as there are places.
        marked: The places to mark.
        label: What a screen reader says of the picture.
    """
    known = [value for line in lines for value in line.values if value is not None]
    low, high, step = _scale(min(known), max(known))
    first, last = places[0], places[-1]
    across = _Axis(first, last, _LEFT, _WIDTH - _RIGHT)
    up = _Axis(low, high, _HEIGHT - _BOTTOM, _TOP)
    parts = [*_grid(up, low, high, step), *_epochs(across, places)]
    parts += [
        Markup('<line class="chosen" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
            _short(across(place)), _short(_TOP), _short(_HEIGHT - _BOTTOM)
        )
        for place in marked
    ]
    for line in lines:
        pairs = zip(places, line.values, strict=True)
        points = [(across(place), up(value)) for place, value in pairs if value is not None]
        path = " ".join(f"{_short(x)},{_short(y)}" for x, y in points)
        parts.append(Markup('<polyline class="{}" points="{}"/>').format(line.kind, path))
    return _svg(parts, label=label)


def calibration_plot(points: Sequence[tuple[float, float, int]], *, label: str) -> Markup:
    """Draw what came true over what was foretold, both in [0, 1]; on the diagonal all is well.

    Args:
        points: What was foretold, what came true, and for how many sentences.
        label: What a screen reader says of the picture.
    """
    across = _Axis(0, 1, _LEFT, _WIDTH - _RIGHT)
    up = _Axis(0, 1, _HEIGHT - _BOTTOM, _TOP)
    largest = max(count for _, _, count in points)
    parts = _grid(up, 0, 1, 0.25)
    parts += [_text(across(share), _HEIGHT - 12, f"{share:g}", "middle") for share in (0, 0.5, 1)]
    parts.append(_text(across(0.75), _HEIGHT - 12, "confidence", "middle"))
    parts.append(_text(across(0) + 4, up(1) + 12, "chrF2 / 100", "start"))
    parts.append(
        Markup('<line class="diagonal" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
            *(_short(one) for one in (across(0), up(0), across(1), up(1)))
        )
    )
    for foretold, came_true, count in points:
        radius = 2.5 + 5 * math.sqrt(count / largest)
        parts.append(
            Markup('<circle class="first" cx="{}" cy="{}" r="{}"/>').format(
                _short(across(foretold)), _short(up(came_true)), _short(radius)
            )
        )
    return _svg(parts, label=label)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where values stand in the picture."""

    first: float
    last: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        if self.last == self.first:
            return (self.start + self.end) / 2
        share = (value - self.first) / (self.last - self.first)
        return self.start + share * (self.end - self.start)


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Return round bounds around some values, and a round step between them."""
    spread = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(spread))
    for factor in (0.5, 1, 2, 5):
        if spread / (step * factor) <= 5:
            step *= factor
            break
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


def _grid(up: _Axis, low: float, high: float, step: float) -> list[Markup]:
    parts = []
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        height = up(value)
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
                _short(_LEFT), _short(_WIDTH - _RIGHT), y=_short(height)
            )
        )
        parts.append(_text(_LEFT - 5, height + 4, f"{value:.6g}", "end"))
    return parts


def _epochs(across: _Axis, places: Sequence[float]) -> list[Markup]:
    shown = dict.fromkeys([places[0], places[len(places) // 2], places[-1]])
    return [_text(across(place), _HEIGHT - 12, f"{place:g}", "middle") for place in shown]


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
        _short(x), _short(y), anchor, text
    )


def _svg(parts: Sequence[Markup], *, label: str) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _short(_WIDTH), _short(_HEIGHT), label, Markup("").join(parts)
    )


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
