"""The learning curves as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt.run_folder import write_atomically


def draw_curves(entries: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw losses, scores and learning rate over the epochs.

    Args:
        entries: The lines of `metrics.jsonl`.
        path: The PNG file to write, whole or not at all.
    """
    # not pyplot: it keeps a global state and may look for a screen
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [entry["epoch"] for entry in entries]
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = (
        ("loss per target token", {"train_loss": "training (smoothed)", "loss": "validation"}),
        ("validation score", {"BLEU": "BLEU", "chrF2": "chrF2"}),
        ("learning rate", {"learning_rate": "at the epoch's end"}),
    )
    for axes, (title, lines) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for key, label in lines.items():
            values = [entry[key] if entry[key] is not None else float("nan") for entry in entries]
            axes.plot(epochs, values, marker="o", markersize=3, label=label)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_atomically(path, picture.getvalue())
