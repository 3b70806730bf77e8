"""Translations as plain values that JSON can hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nmt.translator.results import TranslatedHypothesis, Translation

# Attention is known to no more digits than these.
_DIGITS = 6


def translation_record(translation: Translation) -> dict[str, Any]:
    """Return all there is to say of a translation: what `nmt translate --json` writes.

    Keys are `text`, `score`, `confidence`, `log_prob`, `num_parts`, `marks` (a list, see `Mark`),
    `hypotheses` (a list of `text`, `log_prob`, `score`, `confidence`, `token_log_probs`), and of
    the best one `pieces` and `alignment`, see `detail_record`.
    """
    best = translation.hypotheses[0]
    hypotheses = [_hypothesis_record(one) for one in translation.hypotheses]
    return {
        "text": translation.text,
        "score": translation.score,
        "confidence": hypotheses[0]["confidence"],
        "log_prob": best.log_prob,
        "num_parts": translation.num_parts,
        "marks": list(translation.marks),
        "hypotheses": hypotheses,
        **detail_record(best),
    }


def score_record(hypothesis: TranslatedHypothesis) -> dict[str, Any]:
    """Return all there is to say of a given translation: what `nmt score --json` writes.

    Keys are `log_prob`, `score`, `confidence`, `num_tokens`, `token_log_probs`, and those of
    `detail_record`.
    """
    return {
        "log_prob": hypothesis.log_prob,
        "score": hypothesis.score,
        "confidence": hypothesis.confidence,
        "num_tokens": len(hypothesis.token_log_probs),
        "token_log_probs": list(hypothesis.token_log_probs),
        **detail_record(hypothesis),
    }


def detail_record(hypothesis: TranslatedHypothesis) -> dict[str, Any]:
    """Return the pieces of a line and a translation, and which belong together.

    Keys are `pieces` (`source`, `target`) and `alignment` (`words`, `pieces`, `matrix`, see
    `Alignment`), which is None where the model has no attention.
    """
    pieces = hypothesis.pieces
    return {
        "pieces": {"source": list(pieces.source), "target": list(pieces.target)},
        "alignment": _alignment_record(hypothesis),
    }


def _hypothesis_record(hypothesis: TranslatedHypothesis) -> dict[str, Any]:
    return {
        "text": hypothesis.text,
        "log_prob": hypothesis.log_prob,
        "score": hypothesis.score,
        "confidence": hypothesis.confidence,
        "token_log_probs": list(hypothesis.token_log_probs),
    }


def _alignment_record(hypothesis: TranslatedHypothesis) -> dict[str, Any] | None:
    if not all(part.background.has_attention for part in hypothesis.parts):
        return None
    alignment = hypothesis.alignment
    matrix = alignment.matrix
    return {
        "words": [list(link) for link in alignment.words],
        "pieces": [list(link) for link in alignment.pieces],
        "matrix": None if matrix is None else _rounded(matrix),
    }


def _rounded(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[round(weight, _DIGITS) for weight in row] for row in matrix]
