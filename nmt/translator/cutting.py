"""Where to part a line that is too long to be translated as one. Knows characters; no tokens."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import pairwise
from math import ceil

# Where a stretch of a line starts, and where it ends.
Span = tuple[int, int]

# The segmenter's time grows with the square of some texts, so it gets so many characters at once.
_BLOCK_SIZE = 4096
# It cannot take some letters before white space of several bytes; a line break ends a paragraph.
_WHITE_SPACE = re.compile(r"[^\S\n]")

_CLOSING = r"[\"'”’»)\]」』）]*"  # they belong to what they close
# Where a sentence may be cut, the best places first. What must be followed by white space in most
# scripts needs none in Chinese and Japanese.
_CUTS = (
    re.compile(rf"[.!?…؟۔।]{_CLOSING}\s+|[。！？]{_CLOSING}\s*"),
    re.compile(rf"[,;:،؛]{_CLOSING}\s+|\s[–—-]\s+|[，、；：]{_CLOSING}\s*"),
    re.compile(r"\s+"),
)
# About how many characters punctuation has, with white space behind it.
_LONGEST_MARK = 8
_JOINER = "\u200d"

# Languages that put no space between words, and those of them that put none after a sentence.
_WITHOUT_SPACES = frozenset({"bo", "ja", "km", "lo", "my", "th", "wuu", "yue", "zh"})
# What ends a line for some program or other.
_LINE_BREAKS = re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")


def sentence_spans(line: str, language: str) -> list[Span]:
    """Find the sentences of a line.

    Args:
        line: The line.
        language: Its code; of one that the segmenter does not know, it knows the marks that end
            sentences, and no abbreviations.

    Returns:
        Where each sentence is, without the white space around it, in order; none in a blank line.
    """
    ends = [0, *_sentence_ends(_WHITE_SPACE.sub(" ", line), language), len(line)]
    return [span for span in (_trimmed(line, *both) for both in pairwise(ends)) if span]


def fitting_spans(
    text: str, span: Span, num_tokens: Callable[[str], int], max_tokens: int
) -> Iterator[Span]:
    """Cut a stretch of text into parts of about the same length that are short enough.

    A cut is made behind punctuation where there is some near by, else at white space, else between
    two characters.

    Args:
        text: The text.
        span: The stretch, not empty and without white space at its ends.
        num_tokens: Tells how many tokens a text is.
        max_tokens: The most tokens that a part may have, at least 1.

    Yields:
        The parts, without the white space around them, in order. One that is too long all the same
        is a single character.
    """
    start, end = span
    size = num_tokens(text[start:end])
    if size <= max_tokens or end - start == 1:
        yield span
        return
    num_parts = min(ceil(size / max_tokens), end - start)
    places = [start, *_even_cuts(text, span, num_parts), end]
    for both in pairwise(places):
        if part := _trimmed(text, *both):
            yield from fitting_spans(text, part, num_tokens, max_tokens)


def target_gap(source_gap: str, languages: tuple[str, str]) -> str:
    """Tell what stands between the translations of two neighbours.

    It is the white space between the two, in a line as it came; but a language without spaces gets
    none for a single one, and one with spaces gets one from a language without.

    Args:
        source_gap: What stands between the two.
        languages: The codes of source and target.
    """
    gap = "".join(character for character in source_gap if character.isspace())
    has_spaces = [_base(language) not in _WITHOUT_SPACES for language in languages]
    if has_spaces == [True, False] and gap == " ":
        return ""
    if has_spaces == [False, True] and not gap:
        return " "
    return _LINE_BREAKS.sub(" ", gap)


def _sentence_ends(line: str, language: str) -> Iterator[int]:
    """Yield where sentences end, in order."""
    from sentencex import get_sentence_boundaries  # few lines are long

    start = 0
    while start < len(line):
        block = line[start : start + _BLOCK_SIZE]
        ends = [one["end_index"] for one in get_sentence_boundaries(_base(language), block)]
        if start + len(block) < len(line):
            ends.pop()  # the last one may go on behind the block
        yield from (start + end for end in ends)
        start += ends[-1] if ends else len(block)


def _even_cuts(text: str, span: Span, num_parts: int) -> Iterator[int]:
    """Yield where to cut a stretch into parts of about the same length."""
    start, end = span
    size = (end - start) / num_parts
    for number in range(1, num_parts):
        yield _cut_near(text, start + round(number * size), int(size / 3))


def _cut_near(text: str, place: int, reach: int) -> int:
    """Return the best place to cut at, and of the best ones the nearest."""
    first, last = place - reach, place + reach
    for pattern in _CUTS:
        matches = pattern.finditer(text, max(first - _LONGEST_MARK, 0), last)
        ends = (match.end() for match in matches if match.end() >= first)
        if (found := min(ends, key=lambda end: abs(end - place), default=None)) is not None:
            return found
    for step in range(reach + 1):
        for cut in (place - step, place + step):
            if _starts_a_character(text, cut):
                return cut
    return place


def _starts_a_character(text: str, place: int) -> bool:
    """Tell whether what readers see as one character does not go on here."""
    is_mark = unicodedata.category(text[place]).startswith(("M", "Cf", "Sk"))
    return not is_mark and text[place - 1] != _JOINER


def _trimmed(text: str, start: int, end: int) -> Span | None:
    """Return a stretch without the white space at its ends; None where nothing is left."""
    stretch = text[start:end]
    start += len(stretch) - len(stretch.lstrip())
    end -= len(stretch) - len(stretch.rstrip())
    return (start, end) if start < end else None


def _base(language: str) -> str:
    """Return a language's code without region and script."""
    return re.split("[-_]", language.lower())[0]
