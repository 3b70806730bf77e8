"""From the numbers that tell of a translation to its confidence: fitted, kept and used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from nmt.confidence.features import FEATURES, features
from nmt.errors import CheckpointError
from nmt.search import Hypothesis

Numbers = NDArray[np.float64]

# A translation unlike all that were learned from is taken for no more unlike than so many standard
# deviations: beyond, nothing is known of what a weight is worth.
_MOST_DEVIATIONS = 4.0
_LEAST_SCALE = 1e-9
# How much the squares of the weights count beside the mean loss: they stay finite where a feature
# tells everything, and definite where two tell the same.
_RIDGE = 1e-4
_MAX_HALVINGS = 30
_NUM_FOLDS = 5


@dataclass(frozen=True, slots=True)
class ConfidenceModel:
    """A fractional logistic regression on `FEATURES` (Papke and Wooldridge 1996).

    Attributes:
        means: Mean of each feature where it was fitted.
        scales: Standard deviation of each there, above 0.
        weights: What a standard deviation of each counts.
        intercept: The log-odds where every feature has its mean.
    """

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def confidence(self, hypothesis: Hypothesis, source_length: int) -> float:
        """Return the expected quality of a translation, between 0 and 1.

        Args:
            hypothesis: The translation.
            source_length: Real tokens of its source, EOS included.
        """
        return float(self.predict(np.array([features(hypothesis, source_length)]))[0])

    def predict(self, rows: Numbers) -> Numbers:
        """Return the expected quality of each translation, (N,); `rows`: features, (N, F)."""
        deviations = _deviations(rows, self.means, self.scales)
        return _logistic(deviations @ np.array(self.weights) + self.intercept)


def fit_confidence(rows: Numbers, qualities: Numbers) -> ConfidenceModel:
    """Learn from translations whose quality is known.

    Args:
        rows: Their features, (N, F), N at least 1.
        qualities: Their sentence-level chrF2 divided by 100, each in [0, 1], (N,).

    Raises:
        ValueError: There are none, not as many of both, or a quality outside its range.
    """
    if not len(rows) or len(rows) != len(qualities):
        raise ValueError(
            "rows and qualities must be equally many and at least 1, "
            f"got {len(rows)} and {len(qualities)}"
        )
    wrong = qualities[~((qualities >= 0) & (qualities <= 1))]
    if len(wrong):
        raise ValueError(f"qualities must be in [0, 1], got {wrong[0]}")
    means, scales = rows.mean(axis=0), rows.std(axis=0)
    # a feature that is always the same, but for rounding, tells nothing
    scales = np.where(scales > _LEAST_SCALE, scales, 1.0)
    design = np.column_stack([_deviations(rows, means, scales), np.ones(len(rows))])
    *weights, intercept = _regress(design, qualities).tolist()
    return ConfidenceModel(tuple(means.tolist()), tuple(scales.tolist()), tuple(weights), intercept)


def held_out_confidences(rows: Numbers, qualities: Numbers) -> Numbers:
    """Foretell every quality by a model that has not seen it: the test of what is fitted on all.

    The model is fitted five times, each time without every fifth translation.

    Args:
        rows: Features, (N, F), N at least 2.
        qualities: As for `fit_confidence`, (N,).

    Returns:
        The confidence of each translation, (N,).
    """
    folds = np.arange(len(rows)) % _NUM_FOLDS
    confidences = np.empty(len(rows))
    for fold in np.unique(folds):
        is_out = folds == fold
        fitted = fit_confidence(rows[~is_out], qualities[~is_out])
        confidences[is_out] = fitted.predict(rows[is_out])
    return confidences


def dump_confidence(model: ConfidenceModel) -> str:
    """Return what `confidence.json` holds; each number is written so that it comes back the same.

    The weight of a feature counts for each `scale` that it lies above `mean`; the logistic function
    of their sum and `intercept` is the confidence.
    """
    rows = zip(FEATURES, model.means, model.scales, model.weights, strict=True)
    entries = {
        name: {"mean": mean, "scale": scale, "weight": weight} for name, mean, scale, weight in rows
    }
    file = {
        "format_version": 1,
        "quality": "sentence chrF2 / 100",
        "intercept": model.intercept,
        "features": entries,
    }
    return json.dumps(file, indent=2, allow_nan=False) + "\n"


def load_confidence(path: Path) -> ConfidenceModel | None:
    """Read what `dump_confidence` gave; None where there is no such file.

    Raises:
        CheckpointError: The file cannot be read, is damaged or of another version.
    """
    try:
        found = _File.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read: {error.strerror}") from error
    except ValidationError as error:
        raise CheckpointError(f"{path}: {_first_complaint(error)}{_ADVICE}") from error
    if found.features.keys() != set(FEATURES):
        wrong = min(found.features.keys() ^ set(FEATURES))
        what = "missing" if wrong in FEATURES else "unknown"
        raise CheckpointError(f"{path}: feature {wrong!r} is {what}{_ADVICE}")
    entries = [found.features[name] for name in FEATURES]
    return ConfidenceModel(
        means=tuple(entry.mean for entry in entries),
        scales=tuple(entry.scale for entry in entries),
        weights=tuple(entry.weight for entry in entries),
        intercept=found.intercept,
    )


_ADVICE = "; damaged or of another version, delete it to translate without confidence"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    mean: FiniteFloat
    scale: Annotated[FiniteFloat, Field(gt=0)]
    weight: FiniteFloat


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format_version: Literal[1]
    quality: Literal["sentence chrF2 / 100"]
    intercept: FiniteFloat
    features: dict[str, _Entry]


def _first_complaint(error: ValidationError) -> str:
    """Return what is wrong, and where in the file."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{place}: {message}" if place else message


def _deviations(
    rows: Numbers, means: Numbers | Sequence[float], scales: Numbers | Sequence[float]
) -> Numbers:
    """Return how far each feature is from its mean, in standard deviations, (N, F)."""
    deviations: Numbers = (rows - means) / scales
    return deviations.clip(-_MOST_DEVIATIONS, _MOST_DEVIATIONS)


def _regress(design: Numbers, qualities: Numbers) -> Numbers:
    """Return the weights of least loss, (C,): Newton's method; `design`: (N, C)."""
    ridge = _RIDGE * np.eye(design.shape[1])

    def loss(weights: Numbers) -> float:
        odds = design @ weights
        mean = (np.logaddexp(0, odds) - qualities * odds).mean()
        return float(mean + weights @ ridge @ weights / 2)

    weights = np.zeros(design.shape[1])
    while True:
        expected = _logistic(design @ weights)
        slope = design.T @ (expected - qualities) / len(design) + ridge @ weights
        curvature = (design.T * (expected * (1 - expected))) @ design / len(design) + ridge
        step = np.linalg.solve(curvature, slope)
        now = loss(weights)
        tries = (weights - step / 2**halvings for halvings in range(_MAX_HALVINGS))
        better = next((tried for tried in tries if loss(tried) < now), None)
        if better is None:  # as near to the least as numbers are
            return weights
        weights = better


def _logistic(odds: Numbers) -> Numbers:
    return np.exp(-np.logaddexp(0, -odds))  # without overflow
