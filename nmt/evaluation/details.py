"""What a translator tells of a translation beside its text, as far as a report speaks of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from nmt.tokenizer import Tokenizer
    from nmt.translator import TranslatedHypothesis, Translation


# As many translations of a line as a reader looks at; a narrower beam has fewer.
NUM_ALTERNATIVES = 5


@dataclass(frozen=True, slots=True)
class WordAttention:
    """Where the model looked for each word that it wrote.

    Args:
        source_words: The words of the line, which white space parts, as the tokenizer reads them.
        target_words: The words of the translation.
        weights: For each target word, a row, the attention to each source word: a mean over its
            pieces. What is missing to 1 was on the end of the line, (T, S).
        coverage: What each source word got in all, a mean over its pieces, (S,).
    """

    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    weights: NDArray[np.float32]
    coverage: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of the best translations of a line; `score` is what they are ranked by."""

    text: str
    score: float
    log_prob: float


@dataclass(frozen=True, slots=True)
class Detail:
    """What is known of one translation.

    Args:
        confidence: The expected chrF2 / 100; None for a blank line or a run that has none.
        num_pieces: Pieces of the source.
        alternatives: The best translations, the best first.
        attention: None where the model has none, and for a line that is blank or was translated in
            parts.
    """

    confidence: float | None
    num_pieces: int
    alternatives: tuple[Alternative, ...]
    attention: WordAttention | None


def detail_of(translation: Translation) -> Detail:
    """Return what a report says of a translation."""
    best = translation.hypotheses[0]
    return Detail(
        confidence=best.confidence,
        num_pieces=sum(len(part.source_ids) for part in best.parts),
        alternatives=tuple(
            Alternative(one.text, one.score, one.log_prob) for one in translation.hypotheses
        ),
        attention=_word_attention(best),
    )


def _word_attention(best: TranslatedHypothesis) -> WordAttention | None:
    if len(best.parts) != 1 or not best.parts[0].background.has_attention:
        return None
    part = best.parts[0]
    known = part.background
    source_ids, target_ids = part.source_ids, part.hypothesis.token_ids
    # without the end of either side
    attention = part.hypothesis.attention[:-1, :-1].float().cpu().numpy()  # (T, S), in pieces
    source_members = _members(known.source_tokenizer, source_ids)
    target_members = _members(known.target_tokenizer, target_ids)
    by_source = attention @ source_members.T  # (T, S), S in words
    rows = target_members @ by_source  # (T, S) in words
    sizes = np.maximum(source_members.sum(axis=1), 1)
    return WordAttention(
        _word_texts(known.source_tokenizer, source_ids),
        _word_texts(known.target_tokenizer, target_ids),
        weights=rows / np.maximum(target_members.sum(axis=1, keepdims=True), 1),
        coverage=by_source.sum(axis=0) / sizes,
    )


def _members(tokenizer: Tokenizer, token_ids: Sequence[int]) -> NDArray[np.float32]:
    """Return 1 where a piece, a column, is of a word, a row, and 0 elsewhere, (W, P)."""
    numbers = np.array(tokenizer.word_numbers(token_ids), dtype=np.int64)
    words = np.arange(numbers.max(initial=-1) + 1)
    members: NDArray[np.float32] = (words[:, None] == numbers[None, :]).astype(np.float32)
    return members


def _word_texts(tokenizer: Tokenizer, token_ids: Sequence[int]) -> tuple[str, ...]:
    numbers = tokenizer.word_numbers(token_ids)
    grouped: list[list[int]] = [[] for _ in range(max(numbers, default=-1) + 1)]
    for token_id, number in zip(token_ids, numbers, strict=True):
        if number >= 0:
            grouped[number].append(token_id)
    return tuple(tokenizer.decode(ids).strip() for ids in grouped)
