"""Artificial English and German sentences, as many as one likes, drawn from the built-in grammar.

The grammar itself is data, see `data/grammar.yaml`; how a sentence is made from a number stands in
the modules beside this one.
"""

import random
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from itertools import accumulate

from nmt.corpus.grammar.kinds import Draw, Grammar, Kind
from nmt.corpus.grammar.lexicon import load_lexicon
from nmt.corpus.pairs import SentencePair
from nmt.errors import DataError

SPLITS = ("train", "validation", "test")


def draw_pairs(
    *, split: str, count: int, seed: int = 1, distance: int | None = None
) -> Iterator[SentencePair]:
    """Return English sentences with their German translations, none of them twice.

    Equal arguments give equal sentences, on every machine.

    Args:
        split: "train", "validation" or "test". Sets of different splits have no sentence in
            common, and every test sentence has a noun beside an adjective or a verb that no other
            split shows together.
        count: How many pairs, at least 1.
        seed: Makes the draw.
        distance: How many phrases of place stand between words that depend on each other; None
            draws sentences of every kind.

    Raises:
        DataError: There are not that many.
    """
    kinds = _kinds(split, distance)
    available = sum(kind.size(split) for kind in kinds)
    if count > available:
        at = "" if distance is None else f" at distance {distance}"
        raise DataError(
            f"the built-in grammar has {available} {split} sentences{at}, got {count} to draw; "
            "draw fewer"
        )
    return mix(kinds, split=split, count=count, seed=seed)


def count_pairs(*, split: str, distance: int | None = None) -> int:
    """Return exactly how many pairs `draw_pairs` can draw, see there."""
    return sum(kind.size(split) for kind in _kinds(split, distance))


def known_words() -> tuple[str, ...]:
    """Return all words that English sentences can have, in lower case and in order."""
    lexicon = load_lexicon()
    phrases = (*lexicon.content_words(), *lexicon.function_words())
    return tuple(sorted(set(" ".join(phrases).lower().split())))


def mix(kinds: list[Kind], *, split: str, count: int, seed: int) -> Iterator[SentencePair]:
    """Yield sentences of kinds that are chosen by their shares; exhausted ones are left out.

    Args:
        kinds: Kinds of sentences, no two of the same name.
        split: "train", "validation" or "test".
        count: How many sentences, not more than the kinds have.
        seed: Makes the choice.
    """
    generator = random.Random(f"{seed} {split}")
    left = [kind for kind in kinds if kind.size(split)]
    ends = list(accumulate(kind.share for kind in left))
    draws: dict[str, Draw] = {}
    while count:
        place = min(bisect_right(ends, generator.random() * ends[-1]), len(ends) - 1)
        kind = left[place]
        if kind.name not in draws:
            draws[kind.name] = kind.draw(split, seed)
        pair = draws[kind.name].next()
        if pair is None:
            del left[place]
            ends = list(accumulate(kind.share for kind in left))
        else:
            yield pair
            count -= 1


def _kinds(split: str, distance: int | None) -> list[Kind]:
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    return _all_kinds() if distance is None else list(_grammar().kinds_at(distance))


@cache
def _all_kinds() -> list[Kind]:
    return list(_grammar().kinds())


@cache
def _grammar() -> Grammar:
    return Grammar(load_lexicon())
