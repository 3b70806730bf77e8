"""A training set that is read while it is trained on: cleaned pairs, so many at a time, for ever.

Knows where each lot of pairs begins, so that a run can go on there; what becomes of the pairs is
for others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Self

import numpy as np

from nmt.corpus.clean import Cleaner
from nmt.corpus.hashes import find_repeated, hash_pairs
from nmt.corpus.hub import HubStream, describe_hub
from nmt.corpus.load import pairs_of
from nmt.corpus.pairs import Block, SentencePair
from nmt.corpus.teaching import taught
from nmt.errors import DataError
from nmt.placeholders import Teaching
from nmt.recipe import CleaningRecipe, HubSet


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """Where a lot of pairs begins.

    Attributes:
        number: Lots before it.
        passes: How often all of the stream lies behind.
        num_read: Rows of this pass that were read before it.
        state: What `datasets` needs to go on from there; None is the beginning.
    """

    number: int = 0
    passes: int = 0
    num_read: int = 0
    state: Mapping[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the place as a checkpoint holds it."""
        return asdict(self)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return a place that `state_dict` gave.

        Raises:
            ValueError: It is none.
        """
        counts = [state.get(name) for name in ("number", "passes", "num_read")]
        is_counted = all(type(count) is int and count >= 0 for count in counts)
        if not is_counted or not isinstance(state.get("state"), dict | None):
            raise ValueError(f"place in a stream must have counts and a state, got {counts}")
        return cls(**state)


@dataclass(frozen=True, slots=True)
class PairStream:
    """The pairs of a set that does not fit on the disk.

    Each pair is cleaned as in any training set, but compared with fewer: repeated pairs are found
    within a lot, and the usual ratio of lengths is that of the stream's beginning.

    Args:
        corpus_set: Where the pairs come from; it has `streaming`.
        cleaning: What is left out.
        held_out: Pairs that must not be trained on.
        ratio: The median of the target's length over the source's.
        reverse: Swap the sides.
        teaching: How symbols for what is not translated get into the pairs; None is not at all.
    """

    corpus_set: HubSet
    cleaning: CleaningRecipe
    held_out: Sequence[SentencePair]
    ratio: float | None
    reverse: bool
    teaching: Teaching | None = None

    def lots(self, place: StreamPlace) -> Iterator[tuple[StreamPlace, list[SentencePair]]]:
        """Yield lots of pairs, and where each begins, from a place on; at its end the set anew.

        Raises:
            DataError: The stream cannot be opened or breaks off, or a row has no text in it.
        """
        assert self.corpus_set.streaming is not None
        size = self.corpus_set.streaming.shuffle_buffer
        cleaner = Cleaner(self.cleaning, self.held_out, self.ratio)
        while True:
            stream = HubStream(self.corpus_set, num_read=place.num_read, state=place.state)
            entries = iter(stream)
            while chunk := list(islice(entries, size)):
                yield place, self._cleaned(cleaner, chunk)
                # behind the lot, whose last row is the last that was read
                place = StreamPlace(
                    place.number + 1, place.passes, place.num_read + len(chunk), stream.state
                )
            if not place.num_read:
                name = describe_hub(self.corpus_set)
                raise DataError(f"{name} must have at least one sentence pair, got none")
            place = replace(place, passes=place.passes + 1, num_read=0, state=None)

    def _cleaned(
        self, cleaner: Cleaner, chunk: Sequence[tuple[str, str, int]]
    ) -> list[SentencePair]:
        sources, targets, numbers = zip(*chunk, strict=True)
        pairs = pairs_of(sources, targets, reverse=self.reverse)
        repeated = find_repeated(np.array(hash_pairs(pairs), dtype=np.uint64))
        kept = cleaner.clean(Block(pairs, numbers), repeated.tolist())
        return kept if self.teaching is None else taught(kept, self.teaching)
