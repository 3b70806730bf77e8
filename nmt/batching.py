"""Token ids to length-bucketed batches, in an order that a seed and an epoch reproduce.

Integers become tensors here and nowhere else. Knows nothing of text or models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


def pad_ids(sequences: Sequence[Sequence[int] | NDArray[np.int32]], pad_id: int) -> Tensor:
    """Return sequences of unequal length as rows, padded behind, (N, longest), int64."""
    longest = max((len(sequence) for sequence in sequences), default=0)
    padded = np.full((len(sequences), longest), pad_id, dtype=np.int64)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(padded)


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
        source: Sequence[Sequence[int]],
        target: Sequence[Sequence[int]],
        *,
        pad_id: int,
        bos_id: int,
        eos_id: int,
        links: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Take the token ids of both sides, without BOS and EOS.

        Args:
            source: Source token ids.
            target: Target token ids.
            pad_id: What fills the rows up.
            bos_id: Stands before the targets that are read.
            eos_id: Stands behind sources, and behind targets that are written.
            links: For each pair the places of tokens that belong together, a source place and a
                target place by turns; None for a corpus without.
        """
        self._links = None if links is None else TokenSequences(links)
        self.source = TokenSequences(source)
        self.target = TokenSequences(target)
        if len(self.source) != len(self.target):
            raise ValueError(f"got {len(self.source)} sources and {len(self.target)} targets")
        self._pad_id, self._bos_id, self._eos_id = pad_id, bos_id, eos_id

    def __len__(self) -> int:
        """Return the number of sentence pairs."""
        return len(self.source)

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        """Return the batch of the pairs at `indices`, in that order."""
        bos, eos = [self._bos_id], [self._eos_id]
        sources = [np.append(self.source[index], eos) for index in indices]
        targets = [self.target[index] for index in indices]
        inputs = [np.concatenate((bos, target)) for target in targets]
        lengths = torch.tensor([len(row) for row in inputs])
        target_input_ids = pad_ids(inputs, self._pad_id)
        source_ids = pad_ids(sources, self._pad_id)
        return Batch(
            source_ids=source_ids,
            source_lengths=torch.tensor([len(source) for source in sources]),
            target_input_ids=target_input_ids,
            target_output_ids=pad_ids([np.append(row, eos) for row in targets], self._pad_id),
            target_mask=torch.arange(target_input_ids.size(1)) < lengths[:, None],
            indices=torch.tensor(list(indices)),
            alignment=self._alignment(indices, target_input_ids.size(1), source_ids.size(1)),
        )

    def _alignment(self, indices: Sequence[int], length: int, source_length: int) -> Tensor | None:
        """Return the links of some pairs, (B, T, S), bool."""
        if self._links is None:
            return None
        alignment = torch.zeros(len(indices), length, source_length, dtype=torch.bool)
        for row, index in enumerate(indices):
            source, target = self._links[index].reshape(-1, 2).T
            alignment[row, target, source] = True
        return alignment


def by_length(
    source_lengths: NDArray[np.int32], target_lengths: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Return the places of pairs sorted by source length, then target length, up and down by turns.

    Pairs of the same lengths stay in order.
    """
    turns = np.where(source_lengths % 2, target_lengths, -target_lengths)
    order: NDArray[np.int64] = np.lexsort((turns, source_lengths))
    return order


class LengthBuckets(Sampler[list[int]]):
    """Batches of pairs of like length, in random order.

    The corpus is shuffled, sorted by source and target length, and cut from the short end; so every
    epoch has the same number of batches of the same shapes, with other pairs in them. Most batches
    have sources of one length, which a CPU reads faster than unequal ones. Targets get longer and
    shorter by turns from one source length to the next: a batch that has sources of two lengths has
    targets of like length all the same.
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
    ) -> None:
        """Prepare one epoch's order.

        Args:
            dataset: The sentence pairs.
            max_tokens: Most tokens of a batch, its longer side's padding included. A longer single
                pair is a batch of its own.
            max_sentences: Most pairs of a batch.
            seed: Makes the order, together with `epoch`.
            epoch: Counts from 0.
            start: How many of the epoch's batches are left out at its beginning.
        """
        # BOS or EOS takes one place on each side
        self._source_lengths = dataset.source.lengths + 1
        self._target_lengths = dataset.target.lengths + 1
        self._max_tokens = max_tokens
        self._max_sentences = max_sentences
        self._seed = seed
        self._epoch = epoch
        self._start = start
        lengths = by_length(self._source_lengths, self._target_lengths)
        longer = np.maximum(self._source_lengths, self._target_lengths)[lengths]
        self._cuts = list(self._cut(longer))

    def __len__(self) -> int:
        """Return the number of the epoch's batches, the same for every epoch and start."""
        return len(self._cuts)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the indices of each batch."""
        generator = np.random.default_rng((self._seed, self._epoch))
        shuffled = generator.permutation(len(self._source_lengths))
        order = by_length(self._source_lengths[shuffled], self._target_lengths[shuffled])
        indices = shuffled[order]
        for place in generator.permutation(len(self._cuts))[self._start :]:
            start, end = self._cuts[place]
            yield indices[start:end].tolist()

    def _cut(self, lengths: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
        """Yield start and end of each batch over pairs whose longer sides are `lengths`."""
        start, widest = 0, 0
        for place, length in enumerate(lengths.tolist()):
            widest = max(widest, length)
            size = place + 1 - start
            if place > start and self._is_over(size, widest):
                yield start, place
                start, widest = place, length
        if start < len(lengths):
            yield start, len(lengths)

    def _is_over(self, num_sentences: int, widest: int) -> bool:
        over_sentences = self._max_sentences is not None and num_sentences > self._max_sentences
        over_tokens = self._max_tokens is not None and num_sentences * widest > self._max_tokens
        return over_sentences or over_tokens
