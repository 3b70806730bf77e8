"""What was left out and what was said twice, told by how much attention each source word got.

Attention is a hint and no proof: a word may be translated with little of it, where its neighbour
had it, and left out with much. Knows attention and words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmt.evaluation.details import Detail, WordAttention

# Coverage is about 1 where each source piece becomes one target piece.
LITTLE, MUCH = 0.2, 3.0
_EDGES = (0.0, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0)
_NUM_WORDS = 10


@dataclass(frozen=True, slots=True)
class WordCount:
    """A word, how often it was conspicuous, and how often it stood in the sources at all."""

    word: str
    count: int
    total: int


@dataclass(frozen=True, slots=True)
class CoverageRange:
    """How many source words got how much attention; `high` is None for no end."""

    low: float
    high: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How the attention was spread over the source words of a test set.

    Args:
        num_sentences: Sentences looked at: those translated as one, by a model with attention.
        num_words: Their source words that have a letter or a digit.
        num_little: How many got less than `little` in all: perhaps left out.
        num_much: How many got more than `much`: perhaps said twice.
        little: The bound, in pieces' worth of attention for each piece of the word.
        much: The other bound.
        ranges: How many words got how much.
        left_out: The words that most often got little.
        repeated: The words that most often got much.
    """

    num_sentences: int
    num_words: int
    num_little: int
    num_much: int
    little: float
    much: float
    ranges: tuple[CoverageRange, ...]
    left_out: tuple[WordCount, ...]
    repeated: tuple[WordCount, ...]


def coverage_of(details: Sequence[Detail]) -> Coverage | None:
    """Return how the attention was spread; None where no sentence has any."""
    shown = [one.attention for one in details if one.attention is not None]
    covered = [pair for attention in shown for pair in _words(attention)]
    if not covered:
        return None
    values = np.array([value for _, value in covered])
    totals = Counter(word.casefold() for word, _ in covered)
    highs: tuple[float | None, ...] = (*_EDGES[1:], None)
    return Coverage(
        num_sentences=len(shown),
        num_words=len(covered),
        num_little=int((values < LITTLE).sum()),
        num_much=int((values > MUCH).sum()),
        little=LITTLE,
        much=MUCH,
        ranges=tuple(
            CoverageRange(low, high, int(((values >= low) & (values < (high or np.inf))).sum()))
            for low, high in zip(_EDGES, highs, strict=True)
        ),
        left_out=_most(totals, [word for word, value in covered if value < LITTLE]),
        repeated=_most(totals, [word for word, value in covered if value > MUCH]),
    )


def uncovered_words(attention: WordAttention) -> list[str]:
    """Return the words of one source that got little attention."""
    return [word for word, value in _words(attention) if value < LITTLE]


def _words(attention: WordAttention) -> list[tuple[str, float]]:
    """Return the words with their coverage, without those that are signs alone."""
    pairs = zip(attention.source_words, attention.coverage.tolist(), strict=True)
    return [(_bare(word), value) for word, value in pairs if _bare(word)]


def _bare(word: str) -> str:
    """Return a word without the signs around it."""
    start, end = 0, len(word)
    while start < end and not word[start].isalnum():
        start += 1
    while end > start and not word[end - 1].isalnum():
        end -= 1
    return word[start:end]


def _most(totals: Counter[str], found: Sequence[str]) -> tuple[WordCount, ...]:
    counts = Counter(word.casefold() for word in found)
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return tuple(WordCount(word, count, totals[word]) for word, count in ranked[:_NUM_WORDS])
