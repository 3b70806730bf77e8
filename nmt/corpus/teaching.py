"""Puts symbols for what is not translated into training pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nmt.corpus.pairs import SentencePair
from nmt.placeholders import Teaching


def taught(pairs: Sequence[SentencePair], teaching: Teaching) -> list[SentencePair]:
    """Return the pairs, some of them with symbols; words stay words, so links hold."""
    changed = []
    for pair in pairs:
        source, target = teaching.teach((pair.source, pair.target))
        changed.append(replace(pair, source=source, target=target))
    return changed
