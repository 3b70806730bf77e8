"""Token ids to length-bucketed batches, in an order that a seed and an epoch reproduce.

Integers become tensors here and nowhere else. Knows nothing of text or models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler


@dataclass(frozen=True, slots=True)
class Batch:
    """Sentence pairs as tensors.

    Attributes:
        source_ids: Source tokens and EOS, padded, (B, S), int64.
        source_lengths: Real source tokens, EOS included, (B,), int64, always on the CPU.
        target_input_ids: BOS and target tokens, padded, (B, T), int64.
        target_output_ids: Target tokens and EOS, padded, (B, T), int64.
        target_mask: True at real target tokens, (B, T), bool.
        indices: Places of the pairs in the corpus, (B,), int64, on the CPU.
        alignment: True where a target output token is linked to a source token, (B, T, S), bool;
            None where the corpus has no links.
    """

    source_ids: Tensor
    source_lengths: Tensor
    target_input_ids: Tensor
    target_output_ids: Tensor
    target_mask: Tensor
    indices: Tensor
    alignment: Tensor | None = None

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """Return the batch on another device; lengths and indices stay on the CPU."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=non_blocking)

        return Batch(
            source_ids=move(self.source_ids),
            source_lengths=self.source_lengths,
            target_input_ids=move(self.target_input_ids),
            target_output_ids=move(self.target_output_ids),
            target_mask=move(self.target_mask),
            indices=self.indices,
            alignment=None if self.alignment is None else move(self.alignment),
        )

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, from where a GPU copies it faster."""
        return Batch(
            source_ids=self.source_ids.pin_memory(),
            source_lengths=self.source_lengths,
            target_input_ids=self.target_input_ids.pin_memory(),
            target_output_ids=self.target_output_ids.pin_memory(),
            target_mask=self.target_mask.pin_memory(),
            indices=self.indices,
            alignment=None if self.alignment is None else self.alignment.pin_memory(),
        )


Ids = NDArray[np.integer[Any]]


def pad_ids(sequences: Sequence[Sequence[int] | Ids], pad_id: int) -> Tensor:
    """Return sequences of unequal length as rows, padded behind, (N, longest), int64."""
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    padded = np.full((len(sequences), lengths.max(initial=0)), pad_id, dtype=np.int64)
    if padded.size:
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate(sequences)
    return torch.from_numpy(padded)


@runtime_checkable
class TokenStore(Protocol):
    """Many sequences of token ids, wherever they lie."""

    @property
    def lengths(self) -> Ids:
        """The number of tokens of each, (N,)."""
        ...

    def __len__(self) -> int:
        """Return the number of sequences."""
        ...

    def __getitem__(self, index: int) -> Ids:
        """Return one sequence, (its length,)."""
        ...


class TokenSequences:
    """Many sequences of token ids in one array: no Python object for each."""

    def __init__(self, sequences: Sequence[Sequence[int]]) -> None:
        """Copy the sequences."""
        self.lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int32)
        self._ends = np.cumsum(self.lengths, dtype=np.int64)
        self._ids = np.fromiter(
            (token_id for sequence in sequences for token_id in sequence),
            dtype=np.int32,
            count=int(self.lengths.sum()),
        )

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.lengths)

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        """Return one sequence, (its length,), int32."""
        end = int(self._ends[index])
        return self._ids[end - int(self.lengths[index]) : end]


class BatchDataset(Dataset[Batch]):
    """Sentence pairs as token ids; a list of indices gives their batch."""

    def __init__(
        self,
        source: TokenStore | Sequence[Sequence[int]],
        target: TokenStore | Sequence[Sequence[int]],
        *,
        pad_id: int,
        bos_id: int,
        eos_id: int,
        links: TokenStore | Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Take the token ids of both sides, without BOS and EOS; a store stays where it is.

        Args:
            source: Source token ids.
            target: Target token ids.
            pad_id: What fills the rows up.
            bos_id: Stands before the targets that are read.
            eos_id: Stands behind sources, and behind targets that are written.
            links: For each pair the places of tokens that belong together, a source place and a
                target place by turns; None for a corpus without.
        """
        self._links = None if links is None else _stored(links)
        self.source = _stored(source)
        self.target = _stored(target)
        if len(self.source) != len(self.target):
            raise ValueError(f"got {len(self.source)} sources and {len(self.target)} targets")
        self._pad_id, self._bos_id, self._eos_id = pad_id, bos_id, eos_id

    def __len__(self) -> int:
        """Return the number of sentence pairs."""
        return len(self.source)

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        """Return the batch of the pairs at `indices`, in that order."""
        sources = [self.source[index] for index in indices]
        targets = [self.target[index] for index in indices]
        source_ids, source_lengths = self._ended(sources)
        target_output_ids, target_lengths = self._ended(targets)
        target_mask = np.arange(target_output_ids.shape[1]) < target_lengths[:, None]
        target_input_ids = np.full_like(target_output_ids, self._pad_id)
        target_input_ids[:, 0] = self._bos_id
        is_read = target_mask[:, 1:]  # what stands one place before is a token, and not the EOS
        target_input_ids[:, 1:][is_read] = target_output_ids[:, :-1][is_read]
        return Batch(
            source_ids=torch.from_numpy(source_ids),
            source_lengths=torch.from_numpy(source_lengths),
            target_input_ids=torch.from_numpy(target_input_ids),
            target_output_ids=torch.from_numpy(target_output_ids),
            target_mask=torch.from_numpy(target_mask),
            indices=torch.tensor(list(indices)),
            alignment=self._alignment(indices, target_output_ids.shape[1], source_ids.shape[1]),
        )

    def _ended(self, sequences: Sequence[Ids]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return sequences with EOS behind, (B, longest), and their lengths, (B,)."""
        lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
        rows = np.full((len(lengths), lengths.max() + 1), self._pad_id, dtype=np.int64)
        rows[np.arange(rows.shape[1]) < lengths[:, None]] = np.concatenate(sequences)
        rows[np.arange(len(rows)), lengths] = self._eos_id
        return rows, lengths + 1

    def _alignment(self, indices: Sequence[int], length: int, source_length: int) -> Tensor | None:
        """Return the links of some pairs, (B, T, S), bool."""
        if self._links is None:
            return None
        alignment = torch.zeros(len(indices), length, source_length, dtype=torch.bool)
        for row, index in enumerate(indices):
            # a copy: a map of the disk is not to be written, and torch insists
            source, target = self._links[index].astype(np.int64).reshape(-1, 2).T
            alignment[row, target, source] = True
        return alignment


def _stored(sequences: TokenStore | Sequence[Sequence[int]]) -> TokenStore:
    return sequences if isinstance(sequences, TokenStore) else TokenSequences(sequences)


# Pairs sorted at a time: what sorting needs beside the result does not grow with the corpus.
_SLAB_SIZE = 1 << 18


class LengthBuckets(Sampler[list[int]]):
    """Batches of pairs of like length, in random order.

    The corpus is shuffled, sorted by source and target length, and cut from the short end; so every
    epoch has the same number of batches of the same shapes, with other pairs in them. Most batches
    have sources of one length, which a CPU reads faster than unequal ones. Targets get longer and
    shorter by turns from one source length to the next: a batch that has sources of two lengths has
    targets of like length all the same.

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
    ) -> None:
        """Prepare one epoch's order.

        Args:
            dataset: The sentence pairs.
            max_tokens: Most tokens of a batch, its longer side's padding included. A longer single
                pair is a batch of its own.
            max_sentences: Most pairs of a batch.
            seed: Makes the order, together with `epoch`.
            epoch: Counts from 0.
        """
        self._source_lengths = dataset.source.lengths
        self._target_lengths = dataset.target.lengths
        self._max_tokens = max_tokens
        self._max_sentences = max_sentences
        self._seed = seed
        self._epoch = epoch
        self._target_bits = int(self._target_lengths.max(initial=0) + 1).bit_length()
        self._slabs = list(_slabs(self._source_lengths))
        longer = [self._longer(start, end) for start, end in self._slabs]
        self._starts = np.fromiter(self._cut(np.concatenate([*longer, _NOTHING])), dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of batches, the same for every epoch."""
        return len(self._starts)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the indices of each batch."""
        generator = np.random.default_rng((self._seed, self._epoch))
        order = self._order(generator)
        ends = np.append(self._starts[1:], len(order))
        for place in generator.permutation(len(self._starts)):
            yield order[self._starts[place] : ends[place]].tolist()

    def _order(self, generator: np.random.Generator) -> Ids:
        """Return the places of all pairs, shuffled and then sorted by length, (N,)."""
        size = len(self._source_lengths)
        shuffled = np.arange(size, dtype=np.min_scalar_type(size))
        generator.shuffle(shuffled)
        source_lengths = self._source_lengths[shuffled]
        rank_bits = size.bit_length()
        ordered = np.empty_like(shuffled)
        done = 0
        for start, end in self._slabs:
            ranks = np.flatnonzero((source_lengths >= start) & (source_lengths < end))
            places = shuffled[ranks]
            keys = self._keys(places) << rank_bits | ranks.astype(np.uint64)
            keys.sort()
            keys &= (1 << rank_bits) - 1
            ordered[done : done + len(keys)] = shuffled[keys]
            done += len(keys)
        return ordered

    def _keys(self, places: Ids) -> NDArray[np.uint64]:
        """Return what pairs are sorted by: source length, then target length up or down."""
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


_NOTHING = np.empty(0, dtype=np.uint8)


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
