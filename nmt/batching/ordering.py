"""Pairs in the order of their lengths: what to sort them by, and how in little memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nmt.batching.batches import Ids

# Pairs sorted at a time: what sorting needs beside the result does not grow with the corpus.
_SLAB_SIZE = 1 << 18

_NOTHING = np.empty(0, dtype=np.uint8)


class LengthOrder:
    """Sorts pairs by source length, then by target length up and down by turns.

    Targets get longer and shorter by turns from one source length to the next: pairs that stand
    side by side have targets of like length also where the source length changes.
    """

    def __init__(self, source_lengths: Ids, target_lengths: Ids) -> None:
        """Take the lengths of all pairs, BOS and EOS not counted, (N,) each; they are no copies."""
        self._source_lengths = source_lengths
        self._target_lengths = target_lengths
        self._target_bits = int(target_lengths.max(initial=0) + 1).bit_length()
        self._slabs = list(_slabs(source_lengths))

    def sort(self, places: Ids) -> Ids:
        """Return places of pairs, sorted; of equal lengths in the order that they come in."""
        source_lengths = self._source_lengths[places]
        rank_bits = len(places).bit_length()
        ordered = np.empty_like(places)
        done = 0
        for start, end in self._slabs:
            ranks = np.flatnonzero((source_lengths >= start) & (source_lengths < end))
            keys = self._keys(places[ranks]) << rank_bits | ranks.astype(np.uint64)
            keys.sort()
            keys &= (1 << rank_bits) - 1
            ordered[done : done + len(keys)] = places[keys]
            done += len(keys)
        return ordered

    def longer_sides(self) -> Ids:
        """Return the length of the longer side, BOS or EOS counted, of all pairs, sorted, (N,)."""
        return np.concatenate([*(self._longer(start, end) for start, end in self._slabs), _NOTHING])

    def _keys(self, places: Ids) -> NDArray[np.uint64]:
        """Return what pairs are sorted by."""
        # BOS or EOS takes one place on each side
        sources = self._source_lengths[places].astype(np.uint64) + 1
        targets = self._target_lengths[places].astype(np.uint64) + 1
        falling = (1 << self._target_bits) - 1 - targets
        keys: NDArray[np.uint64] = np.where(sources % 2, targets, falling)
        return keys | sources << np.uint64(self._target_bits)

    def _longer(self, start: int, end: int) -> Ids:
        """Return the length of the longer side of pairs of some source lengths, sorted."""
        lengths = self._source_lengths
        places = np.flatnonzero((lengths >= start) & (lengths < end))
        keys = self._keys(places)
        keys.sort()
        sources = keys >> self._target_bits
        turns = keys & ((1 << self._target_bits) - 1)
        targets = np.where(sources % 2, turns, (1 << self._target_bits) - 1 - turns)
        longer = np.maximum(sources, targets)
        narrow: Ids = longer.astype(np.min_scalar_type(longer.max()))
        return narrow


def _slabs(lengths: Ids) -> Iterator[tuple[int, int]]:
    """Yield ranges of lengths, from and up to, that hold about as many as are sorted at a time."""
    start, held = 0, 0
    counts = np.zeros(int(lengths.max(initial=0)) + 1, dtype=np.int64)
    for first in range(0, len(lengths), _SLAB_SIZE):
        counts += np.bincount(lengths[first : first + _SLAB_SIZE], minlength=len(counts))
    for length, count in enumerate(counts.tolist()):
        if held and held + count > _SLAB_SIZE:
            yield start, length
            start, held = length, 0
        held += count
    if held:
        yield start, len(counts)
