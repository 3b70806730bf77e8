"""What became of a line: texts, scores, and what can be told of them when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nmt.alignment import Links, piece_links, word_links
from nmt.confidence import ConfidenceModel
from nmt.errors import NMTError
from nmt.search import Hypothesis
from nmt.tokenizer import EOS_ID, Tokenizer


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
            in other parts of the line.
    """

    pieces: Links
    words: Links
    matrix: tuple[tuple[float, ...], ...]


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
    """

    source_ids: Sequence[int]
    hypothesis: Hypothesis
    background: Background


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
            it is longer than `max_source_length`. The log-probabilities and the scores of parts
            add up.
    """

    text: str
    score: float
    hypotheses: tuple[TranslatedHypothesis, ...]
    num_parts: int

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


def join(before: TranslatedHypothesis, after: TranslatedHypothesis) -> TranslatedHypothesis:
    """Put the translation of a part behind that of the parts before it."""
    return TranslatedHypothesis(
        text=" ".join(filter(None, (before.text, after.text))),
        log_prob=before.log_prob + after.log_prob,
        score=before.score + after.score,
        token_log_probs=before.token_log_probs + after.token_log_probs,
        parts=before.parts + after.parts,
    )


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
        words += [(source, target + num_words) for source, target in of_part]
        num_words += max(numbers, default=-1) + 1
        source_start += len(part.source_ids) + 1
        target_start += len(part.hypothesis.token_ids) + 1
    # a cut may go through a word, whose links then come from two parts
    return Alignment(tuple(pieces), tuple(sorted(set(words))), tuple(_rows(parts)))


def _source_words(parts: Sequence[TranslatedPart]) -> Iterator[list[int]]:
    """Yield for each part the numbers of its pieces' words; a cut may go through a word."""
    if not parts:
        return
    known = parts[0].background
    bare = [part.source_ids[known.num_tags :] for part in parts]
    line = [token_id for token_ids in bare for token_id in token_ids]
    numbers = iter(known.source_tokenizer.word_numbers(line))
    for token_ids in bare:
        yield [*[-1] * known.num_tags, *(next(numbers) for _ in token_ids)]


def _rows(parts: Sequence[TranslatedPart]) -> Iterator[tuple[float, ...]]:
    """Yield the attention of each target piece to all source pieces of the line."""
    widths = [len(part.source_ids) + 1 for part in parts]
    for place, part in enumerate(parts):
        before, behind = sum(widths[:place]), sum(widths[place + 1 :])
        for row in part.hypothesis.attention.tolist():
            yield (*[0.0] * before, *row, *[0.0] * behind)
