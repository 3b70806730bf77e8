"""Lines as the model takes them: whole, by sentences, or by parts of a sentence; in tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nmt.recipe import DecodingRecipe
from nmt.tokenizer import Tokenizer
from nmt.translator.cutting import Span, fitting_spans, sentence_spans


@dataclass(frozen=True, slots=True)
class Segment:
    """What is translated at once: a line, a sentence of it, or a part of a sentence.

    Attributes:
        token_ids: Its tokens, without EOS, at least one.
        gap: What stands in the line between the segment before and this one.
        is_cut: Whether it is but a part of a sentence.
    """

    token_ids: Sequence[int]
    gap: str = ""
    is_cut: bool = False


class Segmenter:
    """Parts lines into what a model can take."""

    def __init__(self, tokenizer: Tokenizer, language: str, decoding: DecodingRecipe) -> None:
        """Say how.

        Args:
            tokenizer: Of the language translated from.
            language: Its code.
            decoding: Has the most tokens of a segment, and whether to part every line into its
                sentences, or those alone that are longer.
        """
        self._tokenizer = tokenizer
        self._language = language
        self._max_tokens = decoding.max_source_length
        self._split_sentences = decoding.split_sentences

    def segments(self, line: str, token_ids: Sequence[int]) -> list[Segment]:
        """Part a line; all of it that the tokenizer sees is in one of the segments.

        Args:
            line: The line.
            token_ids: Its tokens.

        Returns:
            The segments in order; none of a line without tokens.
        """
        if not token_ids:
            return []
        is_long = len(token_ids) > self._max_tokens
        if not is_long and not self._split_sentences:
            return [Segment(token_ids)]
        sentences = sentence_spans(line, self._language)
        if not is_long and len(sentences) < 2:
            return [Segment(token_ids)]
        return list(self._parted(line, sentences))

    def _parted(self, line: str, sentences: Sequence[Span]) -> Iterator[Segment]:
        last_end = 0
        for sentence in sentences:
            spans = list(fitting_spans(line, sentence, self._num_tokens, self._max_tokens))
            for start, end in spans:
                token_ids = self._tokenizer.encode(line[start:end])
                if token_ids:  # else it is of signs that the tokenizer leaves out
                    gap = line[last_end:start]
                    yield from self._cut(token_ids, gap, is_cut=len(spans) > 1)
                    last_end = end

    def _cut(self, token_ids: list[int], gap: str, *, is_cut: bool) -> Iterator[Segment]:
        """Cut through a character, where a single one has too many tokens."""
        size = self._max_tokens
        for place in range(0, len(token_ids), size):
            part = token_ids[place : place + size]
            yield Segment(part, "" if place else gap, is_cut or len(token_ids) > size)

    def _num_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text))
