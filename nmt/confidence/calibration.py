"""How well a confidence is calibrated: whether what was foretold comes true on average."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NUM_BINS = 10


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """The translations whose confidence is in one of ten equal parts of [0, 1].

    Attributes:
        count: How many, at least 1.
        confidence: Their mean confidence.
        quality: Their mean quality.
    """

    count: int
    confidence: float
    quality: float


def calibration_bins(
    confidences: NDArray[np.float64], qualities: NDArray[np.float64]
) -> list[CalibrationBin]:
    """Return the bins that have any translations, from the lowest confidence to the highest.

    Args:
        confidences: What was foretold, in [0, 1], (N,).
        qualities: What came true, in [0, 1], (N,).

    Raises:
        ValueError: They are not equally many, or a value is outside its range.
    """
    if len(confidences) != len(qualities):
        raise ValueError(
            "confidences and qualities must be equally many, "
            f"got {len(confidences)} and {len(qualities)}"
        )
    _check_range(confidences, "confidences")
    _check_range(qualities, "qualities")
    numbers = (confidences * _NUM_BINS).astype(int).clip(max=_NUM_BINS - 1)  # 1 is in the last
    return [
        CalibrationBin(
            count=int((numbers == number).sum()),
            confidence=float(confidences[numbers == number].mean()),
            quality=float(qualities[numbers == number].mean()),
        )
        for number in np.unique(numbers)
    ]


def expected_calibration_error(
    confidences: NDArray[np.float64], qualities: NDArray[np.float64]
) -> float:
    """Return how far confidence and quality are apart, on average over translations, in [0, 1].

    It is the distance of their means in each of ten bins, weighted by the bins' sizes (Guo et al.
    2017, eq. 3, with the quality in the place of the accuracy).

    Args:
        confidences: What was foretold, in [0, 1], (N,), N at least 1.
        qualities: What came true, in [0, 1], (N,).

    Raises:
        ValueError: There are none, not as many of both, or a value is outside its range.
    """
    if not len(confidences):
        raise ValueError("confidences must be at least 1, got 0")
    bins = calibration_bins(confidences, qualities)
    gaps = [one.count * abs(one.confidence - one.quality) for one in bins]
    return math.fsum(gaps) / len(confidences)


def reliability_plot(confidences: NDArray[np.float64], qualities: NDArray[np.float64]) -> bytes:
    """Draw the mean quality of each bin over its mean confidence: on the diagonal all is well.

    Args:
        confidences: As for `expected_calibration_error`.
        qualities: Likewise.

    Returns:
        A PNG picture.
    """
    # not pyplot: it keeps a global state and may look for a screen
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bins = calibration_bins(confidences, qualities)
    error = expected_calibration_error(confidences, qualities)
    figure = Figure(figsize=(4.4, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    means = [one.confidence for one in bins], [one.quality for one in bins]
    axes.plot(*means, marker="o", label=f"calibration error {error:.3f}")
    for one in bins:
        place = (one.confidence, one.quality)
        axes.annotate(str(one.count), place, xytext=(5, -11), textcoords="offset points")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="chrF2 / 100")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def _check_range(values: NDArray[np.float64], name: str) -> None:
    wrong = values[~((values >= 0) & (values <= 1))]
    if len(wrong):
        raise ValueError(f"{name} must be in [0, 1], got {wrong[0]}")
