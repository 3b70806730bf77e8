"""Which pairs share a batch, and in which order the batches come; no tensors yet."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from nmt.batching.batches import BatchDataset, Ids
from nmt.batching.drawing import WeightedDraw
from nmt.batching.ordering import LengthOrder


class LengthBuckets(Sampler[list[int]]):
    """Batches of pairs of like length, in random order.

    The corpus is shuffled, sorted by source and target length, and cut from the short end; so every
    epoch has the same number of batches of the same shapes, with other pairs in them. Most batches
    have sources of one length, which a CPU reads faster than unequal ones, and like targets, see
    `LengthOrder`.

    What is kept for each pair is one number, its place in the order.
    """

    def __init__(
        self,
        dataset: BatchDataset,
        *,
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        seed: int,
        epoch: int = 0,
        start: int = 0,
        draw: WeightedDraw | None = None,
    ) -> None:
        """Prepare one epoch's order.

        Args:
            dataset: The sentence pairs.
            max_tokens: Most tokens of a batch, its longer side's padding included. A longer single
                pair is a batch of its own.
            max_sentences: Most pairs of a batch.
            seed: Makes the order, together with `epoch`.
            epoch: Counts from 0.
            start: The first batch that is given out, counted from 0: those before it have been
                consumed. It is all that must be known to go on in the middle of an epoch.
            draw: How often each pair comes; None is once.
        """
        self._draw = draw
        self._source_lengths = dataset.source.lengths if draw is None else draw.source_lengths
        target_lengths = dataset.target.lengths if draw is None else draw.target_lengths
        self._max_tokens = max_tokens
        self._max_sentences = max_sentences
        self.seed = seed
        self.epoch = epoch
        self.start = start
        self._length_order = LengthOrder(self._source_lengths, target_lengths)
        longer = self._length_order.longer_sides()
        self._starts = np.fromiter(self._cut(longer), dtype=np.int64)
        if not 0 <= start <= len(self._starts):
            raise ValueError(f"start must be in [0, {len(self._starts)}], got {start}")

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch, the same for every one.

        Those before `start` count: a trainer that goes on counts them too.
        """
        return len(self._starts)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the indices of each batch, from `start` on."""
        generator = np.random.default_rng((self.seed, self.epoch))
        size = len(self._source_lengths)
        shuffled = np.arange(size, dtype=np.min_scalar_type(size))
        generator.shuffle(shuffled)
        order = self._length_order.sort(shuffled)
        ends = np.append(self._starts[1:], len(order))
        turns = generator.permutation(len(self._starts))
        if self._draw is not None:
            order = self._draw.places(generator)[order]
        for turn in turns[self.start :]:
            yield order[self._starts[turn] : ends[turn]].tolist()

    def _cut(self, lengths: Ids) -> Iterator[int]:
        """Yield the start of each batch over pairs whose longer sides are `lengths`."""
        start = 0
        while start < len(lengths):
            yield start
            start += self._size(lengths, start)

    def _size(self, lengths: Ids, start: int) -> int:
        """Return how many pairs from `start` on fit in a batch."""
        size = len(lengths) - start
        if self._max_sentences is not None:
            size = min(size, self._max_sentences)
        if self._max_tokens is None:
            return size
        size = min(size, max(1, self._max_tokens // int(lengths[start])))
        widest = np.maximum.accumulate(lengths[start : start + size], dtype=np.int64)
        num_tokens = widest * np.arange(1, size + 1)
        return max(1, int(np.searchsorted(num_tokens, self._max_tokens, side="right")))


class NumberedBatches(Sampler[tuple[list[int], tuple[int, int, int]]]):
    """Batches together with what all randomness inside them is made of."""

    def __init__(self, buckets: LengthBuckets) -> None:
        """Take the batches."""
        self._buckets = buckets

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""
        return len(self._buckets)

    def __iter__(self) -> Iterator[tuple[list[int], tuple[int, int, int]]]:
        """Yield the indices of each batch, and the seed, the epoch and the batch's number in it."""
        seed, epoch = self._buckets.seed, self._buckets.epoch
        for number, indices in enumerate(self._buckets, start=self._buckets.start):
            yield indices, (seed, epoch, number)
