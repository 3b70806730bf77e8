"""Learns how good a translator's work may be expected to be, from what it makes of known pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.confidence import (
    FEATURES,
    ConfidenceModel,
    expected_calibration_error,
    features,
    fit_confidence,
    held_out_confidences,
)
from nmt.corpus.pairs import SentencePair
from nmt.translator.translator import Translator

# Twice as many as there are numbers to learn: with fewer anything can be made to fit.
FEWEST_PAIRS = 2 * (len(FEATURES) + 1)


@dataclass(frozen=True, slots=True)
class LearnedConfidence:
    """What was learned, and how well it tells.

    Attributes:
        model: Fitted on all pairs.
        error: Expected calibration error of models that had not seen the pairs they were tried on.
        num_pairs: How many pairs were learned from.
    """

    model: ConfidenceModel
    error: float
    num_pairs: int


def learn_confidence(
    translator: Translator, pairs: Sequence[SentencePair]
) -> LearnedConfidence | None:
    """Translate the sources and fit a confidence to how near the references they come.

    Args:
        translator: Translates as users will be shown it.
        pairs: Known translations that the model was not trained on. Lines that are blank or are
            translated in parts are left out.

    Returns:
        What was learned; None where fewer than `FEWEST_PAIRS` are left.
    """
    translations = translator.translate_detailed([pair.source for pair in pairs])
    known = [
        (translation.hypotheses[0], pair.target)
        for translation, pair in zip(translations, pairs, strict=True)
        if translation.num_parts == 1
    ]
    if len(known) < FEWEST_PAIRS:
        return None
    parts = [hypothesis.parts[0] for hypothesis, _ in known]
    rows = np.array([features(part.hypothesis, len(part.source_ids) + 1) for part in parts])
    qualities = sentence_qualities(
        [hypothesis.text for hypothesis, _ in known], [reference for _, reference in known]
    )
    error = expected_calibration_error(held_out_confidences(rows, qualities), qualities)
    return LearnedConfidence(fit_confidence(rows, qualities), error, len(known))


def sentence_qualities(hypotheses: Sequence[str], references: Sequence[str]) -> NDArray[np.float64]:
    """Return sacreBLEU's sentence-level chrF2 / 100 of each hypothesis, (N,)."""
    from sacrebleu.metrics.chrf import CHRF  # not needed for translating

    metric = CHRF()
    scores = [
        metric.sentence_score(hypothesis, [reference]).score / 100
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]
    return np.array(scores, dtype=np.float64).clip(0, 1)  # rounding may go beyond
