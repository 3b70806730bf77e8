"""Where to cut a line that is too long to be translated as one. Knows pieces; no ids."""

from __future__ import annotations

import re
from collections.abc import Sequence

# The end of a sentence, perhaps in quotes or brackets. These marks need a space behind them ...
_SENTENCE_END = re.compile(r"[.!?…؟।][\"'”’»)\]]*$")
# ... and these do not.
_WIDE_SENTENCE_END = re.compile(r"[。！？][」』”’）]*$")
_WORD_START = "\u2581"
# A piece of byte fallback that goes on with the character of the piece before.
_CHARACTER_CONTINUED = re.compile(r"<0x[89AB][0-9A-F]>")


def cut_points(pieces: Sequence[str], max_length: int) -> list[int]:
    """Say where to cut a long line, so that no part is longer than allowed.

    A part ends at the last end of a sentence within its reach; where there is none, before the last
    start of a word; where there is none either, between two characters.

    Args:
        pieces: The line as SentencePiece cuts it.
        max_length: The most pieces that a part may have, at least 1.

    Returns:
        The places of the pieces that start a new part, ascending; none for a short line.
    """
    cuts: list[int] = []
    start = 0
    while len(pieces) - start > max_length:
        start = _best_cut(pieces, start, start + max_length)
        cuts.append(start)
    return cuts


def _best_cut(pieces: Sequence[str], start: int, end: int) -> int:
    for is_good in (_follows_a_sentence, _starts_a_word, _starts_a_character):
        for cut in range(end, start, -1):
            if is_good(pieces, cut):
                return cut
    return end


def _follows_a_sentence(pieces: Sequence[str], cut: int) -> bool:
    # Punctuation that ends a sentence takes a few pieces at most.
    before = "".join(pieces[max(0, cut - 4) : cut])
    if _WIDE_SENTENCE_END.search(before):
        return True
    return _starts_a_word(pieces, cut) and _SENTENCE_END.search(before) is not None


def _starts_a_word(pieces: Sequence[str], cut: int) -> bool:
    return pieces[cut].startswith(_WORD_START)


def _starts_a_character(pieces: Sequence[str], cut: int) -> bool:
    return not _CHARACTER_CONTINUED.fullmatch(pieces[cut])
