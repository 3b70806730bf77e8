"""What became of a line: texts, scores, and what can be told of them when it is asked for."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain

from nmt.alignment import Links, piece_links, word_links
from nmt.confidence import ConfidenceModel
from nmt.errors import NMTError
from nmt.search import Hypothesis
from nmt.tokenizer import EOS_ID, Tokenizer
from nmt.translator.marks import Mark

# A matrix of more numbers than these is for nobody's eyes, and a long line's would fill the memory.
_LARGEST_MATRIX = 1_000_000


@dataclass(frozen=True, slots=True)
class Pieces:
    """A line and a translation as SentencePiece cuts them; `</s>` ends each part of the line.

    Attributes:
        source: The line.
        target: The translation, a piece for each of its `token_log_probs`.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alignment:
    """Which pieces and which words of a translation come from which of its line.

    Attributes:
        pieces: A source piece and a target piece each that belong together, by their places from 0
            on in `Pieces`; `</s>` has no links.
        words: Likewise for words, which white space parts, counted from 0.
        matrix: For each target piece how much attention each source piece had when it was found, 0
            in other parts of the line; None for a line in parts where it had more than 1,000,000
            numbers.
    """

    pieces: Links
    words: Links
    matrix: tuple[tuple[float, ...], ...] | None


@dataclass(frozen=True, slots=True)
class Background:
    """What is needed to tell more of a hypothesis than its tokens say.

    Attributes:
        source_tokenizer: Of the language translated from.
        target_tokenizer: Of the language translated into.
        has_attention: Whether the model has.
        confidence_model: None where the run has none.
        num_tags: How many pieces stand before each part of a line and are no part of it.
    """

    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    has_attention: bool
    confidence_model: ConfidenceModel | None = None
    num_tags: int = 0


@dataclass(frozen=True, slots=True)
class TranslatedPart:
    """A part of a line and what was found for it, in tokens; short lines are one part.

    Attributes:
        source_ids: Tokens of the part, without EOS, the tags before them included.
        hypothesis: Its translation.
        background: What is needed to tell more.
        source_gap: What stands in the line between the part before and this one.
        gap: The white space between their translations.
        has_lost: Whether the model left something out that is kept, and it was put back.
    """

    source_ids: Sequence[int]
    hypothesis: Hypothesis
    background: Background
    source_gap: str = ""
    gap: str = ""
    has_lost: bool = False


@dataclass(frozen=True, slots=True)
class TranslatedHypothesis:
    """One way to translate a line.

    Attributes:
        text: Detokenized, without a line break.
        log_prob: Natural log-probability of its tokens, EOS included.
        score: What the ways to translate a line are ranked by: `log_prob` after the penalties of
            the search, or with minimum Bayes risk the expected utility in per cent.
        token_log_probs: What each token adds to `log_prob`, EOS being the last of each part.
        parts: What it was made of; nothing for a blank line.
    """

    text: str
    log_prob: float
    score: float
    token_log_probs: tuple[float, ...] = ()
    parts: tuple[TranslatedPart, ...] = field(default=(), compare=False, repr=False)

    @property
    def confidence(self) -> float | None:
        """The expected chrF2 / 100 of the text against a reference, between 0 and 1.

        That of a line in parts is the mean of the parts, weighted by their tokens. None for a blank
        line and for a model whose run folder has no confidence.
        """
        confidences, sizes = [], []
        for part in self.parts:
            model = part.background.confidence_model
            if model is None:
                return None
            confidences.append(model.confidence(part.hypothesis, len(part.source_ids) + 1))
            sizes.append(len(part.hypothesis.token_log_probs))
        if not sizes:
            return None
        weighted = (one * size for one, size in zip(confidences, sizes, strict=True))
        return math.fsum(weighted) / sum(sizes)

    @property
    def pieces(self) -> Pieces:
        """The line and the translation in pieces; none for a blank line."""
        source: list[str] = []
        target: list[str] = []
        for part in self.parts:
            known = part.background
            source += known.source_tokenizer.pieces([*part.source_ids, EOS_ID])
            target += known.target_tokenizer.pieces([*part.hypothesis.token_ids, EOS_ID])
        return Pieces(tuple(source), tuple(target))

    @property
    def alignment(self) -> Alignment:
        """Which pieces and words belong together, by where the model's attention was.

        Raises:
            NMTError: The model has no attention.
        """
        return _align(self.parts)


@dataclass(frozen=True, slots=True)
class Translation:
    """What became of a line.

    Attributes:
        text: The best translation; empty for a blank line.
        score: The score of it; 0, the highest there is, for a blank line.
        hypotheses: The best translations, the best first; an empty one for a blank line.
        num_parts: How many parts the line was translated in: 0 where it is blank, more than 1 where
            it is longer than `max_source_length` or was to be split into its sentences. The
            log-probabilities and the scores of parts add up.
        marks: What looks wrong with the best one, see `Mark`; nothing most often.
    """

    text: str
    score: float
    hypotheses: tuple[TranslatedHypothesis, ...]
    num_parts: int
    marks: tuple[Mark, ...] = ()

    @property
    def log_prob(self) -> float:
        """The log-probability of the best translation."""
        return self.hypotheses[0].log_prob

    @property
    def confidence(self) -> float | None:
        """The confidence of the best translation, see `TranslatedHypothesis.confidence`."""
        return self.hypotheses[0].confidence

    @property
    def alignment(self) -> Alignment:
        """The alignment of the best translation, see `TranslatedHypothesis.alignment`."""
        return self.hypotheses[0].alignment


NOTHING = TranslatedHypothesis("", 0.0, 0.0)


def join(translations: Sequence[TranslatedHypothesis]) -> TranslatedHypothesis:
    """Put the translations of the parts of a line together, each of one part."""
    if len(translations) == 1:
        return translations[0]
    texts: list[str] = []
    for translation in translations:
        if translation.text:
            [part] = translation.parts
            texts += [part.gap if texts else "", translation.text]
    return TranslatedHypothesis(
        text="".join(texts),
        log_prob=sum((one.log_prob for one in translations), start=0.0),
        score=sum((one.score for one in translations), start=0.0),
        token_log_probs=tuple(chain.from_iterable(one.token_log_probs for one in translations)),
        parts=tuple(chain.from_iterable(one.parts for one in translations)),
    )


def best_choices(scores: Sequence[Sequence[float]], count: int) -> list[list[int]]:
    """Find the best ways to choose one of each part's translations.

    Args:
        scores: Those of the translations of each part, at least one; they add up.
        count: How many ways are wanted, at least 1.

    Returns:
        The best ways, as many as there are, the best first: a place in each part's scores.
    """
    totals = [0.0]
    # for each part and each of the best ways up to it: which way it goes on from, and its choice
    steps: list[list[tuple[int, int]]] = []
    for of_part in scores:
        continued = [
            (total + score, (way, choice))
            for way, total in enumerate(totals)
            for choice, score in enumerate(of_part)
        ]
        best = heapq.nlargest(count, continued, key=lambda one: one[0])
        totals = [total for total, _ in best]
        steps.append([step for _, step in best])
    return [_retraced(steps, way) for way in range(len(totals))]


def _retraced(steps: Sequence[Sequence[tuple[int, int]]], way: int) -> list[int]:
    choices = []
    for of_part in reversed(steps):
        way, choice = of_part[way]
        choices.append(choice)
    return choices[::-1]


def _align(parts: Sequence[TranslatedPart]) -> Alignment:
    if not all(part.background.has_attention for part in parts):
        raise NMTError("the model must have attention to align words, got one without")
    pieces: list[tuple[int, int]] = []
    words: list[tuple[int, int]] = []
    source_start = target_start = num_words = 0
    for part, source_words in zip(parts, _source_words(parts), strict=True):
        links = piece_links(part.hypothesis.attention)
        pieces += [(source + source_start, target + target_start) for source, target in links]
        numbers = part.background.target_tokenizer.word_numbers(part.hypothesis.token_ids)
        of_part = word_links(links, source_words, numbers)
        # without a gap the word before goes on
        first = num_words if part.gap or not num_words else num_words - 1
        words += [(source, target + first) for source, target in of_part]
        num_words = max(first + max(numbers, default=-1) + 1, num_words)
        source_start += len(part.source_ids) + 1
        target_start += len(part.hypothesis.token_ids) + 1
    # a cut may go through a word, whose links then come from two parts
    is_small = len(parts) == 1 or source_start * target_start <= _LARGEST_MATRIX
    matrix = tuple(_rows(parts)) if is_small else None
    return Alignment(tuple(pieces), tuple(sorted(set(words))), matrix)


def _source_words(parts: Sequence[TranslatedPart]) -> Iterator[list[int]]:
    """Yield for each part the numbers of its pieces' words; a cut may go through a word."""
    num_words = 0
    for part in parts:
        known = part.background
        bare = part.source_ids[known.num_tags :]
        numbers = known.source_tokenizer.word_numbers(bare)
        first = num_words if part.source_gap or not num_words else num_words - 1
        yield [-1] * known.num_tags + [n if n < 0 else n + first for n in numbers]
        num_words = max(first + max(numbers, default=-1) + 1, num_words)


def _rows(parts: Sequence[TranslatedPart]) -> Iterator[tuple[float, ...]]:
    """Yield the attention of each target piece to all source pieces of the line."""
    widths = [len(part.source_ids) + 1 for part in parts]
    for part, start in zip(parts, accumulate(widths, initial=0), strict=False):
        before, behind = start, sum(widths) - start - len(part.source_ids) - 1
        for row in part.hypothesis.attention.tolist():
            yield (*[0.0] * before, *row, *[0.0] * behind)
