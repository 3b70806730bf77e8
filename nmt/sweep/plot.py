"""The picture of a sweep: a row for each setting, a dot for each seed, a line at the mean."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.run_folder import write_atomically
from nmt.sweep.grid import label
from nmt.sweep.record import MEASURES
from nmt.sweep.table import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLES = {"loss": "loss (less is better)"}
_TITLE_OF_OTHER_TOKENS = "loss (tokenizers differ)"
_INCHES_OF_ROW, _INCHES_AROUND, _MOST_INCHES = 0.32, 1.1, 400.0
_LONGEST_LABEL = 60


def draw(summaries: Sequence[Summary], path: Path) -> None:
    """Draw what each measure was.

    Args:
        summaries: The rows, the baseline first; at least one has results.
        path: The PNG file to write, whole or not at all.
    """
    # not pyplot: it keeps a global state and may look for a screen
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = [_shortened(label(summary.row.values)) for summary in summaries]
    height = min(_INCHES_AROUND + _INCHES_OF_ROW * len(labels), _MOST_INCHES)
    width = 9 + 0.075 * max(map(len, labels))
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(MEASURES), sharey=True)
    for axes, name in zip(panels, MEASURES, strict=True):
        _draw_measure(axes, summaries, name)
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)  # the first row on top
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_atomically(path, picture.getvalue())


def _draw_measure(axes: Axes, summaries: Sequence[Summary], name: str) -> None:
    baseline = summaries[0].spreads.get(name)
    is_incomparable = name == "loss" and any(one.has_other_tokens for one in summaries)
    if baseline is not None and not is_incomparable:
        axes.axvline(baseline.mean, color="grey", linestyle=":", linewidth=1)
    for place, summary in enumerate(summaries):
        spread = summary.spreads.get(name)
        if spread is None:
            continue
        color = "grey" if place == 0 else "C0"
        values = [result.measures[name] for result in summary.row.results]
        axes.plot([spread.least, spread.greatest], [place] * 2, color=color, alpha=0.4, linewidth=1)
        axes.plot(values, [place] * len(values), "o", color=color, alpha=0.6, markersize=5)
        axes.plot(spread.mean, place, "|", color=color, markersize=15, markeredgewidth=2.5)
    axes.set_title(_TITLE_OF_OTHER_TOKENS if is_incomparable else _TITLES.get(name, name))
    axes.grid(alpha=0.3)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
