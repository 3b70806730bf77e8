"""Several corpora one behind the other, as if they were one; nothing is copied but lengths."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np

from nmt.corpus.mapped import Ids, MappedTokens
from nmt.corpus.pairs import PairSequence, SentencePair


class Places:
    """Tells in which of several things of some sizes a place is."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """Put the things one behind the other."""
        self._ends = list(accumulate(sizes))

    def __len__(self) -> int:
        """Return how many places there are."""
        return self._ends[-1]

    def find(self, place: int) -> tuple[int, int]:
        """Return the number of the thing, and the place inside it."""
        number = bisect_right(self._ends, place)
        return number, place - (self._ends[number - 1] if number else 0)


class JoinedPairs(PairSequence):
    """The sentence pairs of several corpora."""

    def __init__(self, corpora: Sequence[Sequence[SentencePair]]) -> None:
        """Take the corpora, at least one."""
        self._corpora = corpora
        self._places = Places([len(pairs) for pairs in corpora])

    def __len__(self) -> int:
        """Return the number of pairs in all."""
        return len(self._places)

    def pair(self, place: int) -> SentencePair:
        """Return the pair at a place, counted from 0."""
        number, place = self._places.find(place)
        return self._corpora[number][place]

    def __iter__(self) -> Iterator[SentencePair]:
        """Yield all pairs, corpus by corpus."""
        for pairs in self._corpora:
            yield from pairs


class JoinedTokens:
    """Token ids of several corpora, see `nmt.batching.TokenStore`."""

    def __init__(self, stores: Sequence[MappedTokens]) -> None:
        """Take the stores, at least one."""
        self._stores = stores
        self._places = Places([len(store) for store in stores])

    @cached_property
    def lengths(self) -> Ids:
        """The number of tokens of each row, (N,)."""
        return np.concatenate([store.lengths for store in self._stores])

    def __len__(self) -> int:
        """Return the number of rows in all."""
        return len(self._places)

    def __getitem__(self, index: int) -> Ids:
        """Return the ids of one row, (its length,)."""
        number, place = self._places.find(index)
        return self._stores[number][place]
