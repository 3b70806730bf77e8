"""Where a hypothesis and its reference differ, word by word. Knows plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

from nmt.evaluation.words import parts_of


@dataclass(frozen=True, slots=True)
class Run:
    """Some words in succession, with the spaces between them.

    Args:
        text: They as they stand.
        is_shared: Whether the other text has them too, in this order.
    """

    text: str
    is_shared: bool


def differences(hypothesis: str, reference: str, *, lang: str) -> tuple[list[Run], list[Run]]:
    """Return both texts in runs that are shared and that are not; joined, they are the texts."""
    sides = [parts_of(text, lang) for text in (hypothesis, reference)]
    # only words and signs are compared: which stand where, spaces follow
    places = [[place for place, part in enumerate(side) if not part.isspace()] for side in sides]
    words = [[side[place] for place in found] for side, found in zip(sides, places, strict=True)]
    shared: tuple[set[int], set[int]] = (set(), set())
    matcher = SequenceMatcher(None, words[0], words[1], autojunk=False)
    for block in matcher.get_matching_blocks():
        shared[0].update(places[0][block.a : block.a + block.size])
        shared[1].update(places[1][block.b : block.b + block.size])
    runs = [_runs(side, found) for side, found in zip(sides, shared, strict=True)]
    return runs[0], runs[1]


def closest(hypothesis: str, references: Sequence[str], *, lang: str) -> str:
    """Return the reference that shares most words with a hypothesis; the first of equals."""
    if len(references) == 1:
        return references[0]
    words = [part for part in parts_of(hypothesis, lang) if not part.isspace()]
    matchers = [
        SequenceMatcher(None, words, [part for part in parts_of(reference, lang) if part.strip()])
        for reference in references
    ]
    ratios = [matcher.ratio() for matcher in matchers]
    return references[ratios.index(max(ratios))]


def _runs(parts: Sequence[str], shared: set[int]) -> list[Run]:
    flags = [place in shared for place in range(len(parts))]
    for place, part in enumerate(parts):
        # a space belongs to no word: it is marked only between two words that are
        if part.isspace():
            before = flags[place - 1] if place else True
            after = flags[place + 1] if place + 1 < len(parts) else True
            flags[place] = before or after
    grouped = groupby(zip(parts, flags, strict=True), key=lambda pair: pair[1])
    return [Run("".join(part for part, _ in pairs), is_shared) for is_shared, pairs in grouped]
