"""What a batch holds, and how the token ids of its pairs become tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset


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

    def twice(self) -> Batch:
        """Return the sentence pairs once and, in the same order, once more."""

        def double(tensor: Tensor) -> Tensor:
            return torch.cat((tensor, tensor))

        return Batch(
            source_ids=double(self.source_ids),
            source_lengths=double(self.source_lengths),
            target_input_ids=double(self.target_input_ids),
            target_output_ids=double(self.target_output_ids),
            target_mask=double(self.target_mask),
            indices=double(self.indices),
            alignment=None if self.alignment is None else double(self.alignment),
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
        self.links = None if links is None else _stored(links)
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
        return self.collate(
            indices,
            [self.source[index] for index in indices],
            [self.target[index] for index in indices],
            None if self.links is None else [self.links[index] for index in indices],
        )

    def collate(
        self,
        indices: Sequence[int],
        sources: Sequence[Sequence[int] | Ids],
        targets: Sequence[Sequence[int] | Ids],
        links: Sequence[Sequence[int] | Ids] | None,
    ) -> Batch:
        """Return a batch of these tokens, which may be others than those at `indices`."""
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
            alignment=None
            if links is None
            else _alignment(links, target_output_ids.shape[1], source_ids.shape[1]),
        )

    def _ended(
        self, sequences: Sequence[Sequence[int] | Ids]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return sequences with EOS behind, (B, longest), and their lengths, (B,)."""
        lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
        rows = np.full((len(lengths), lengths.max() + 1), self._pad_id, dtype=np.int64)
        rows[np.arange(rows.shape[1]) < lengths[:, None]] = np.concatenate(sequences)
        rows[np.arange(len(rows)), lengths] = self._eos_id
        return rows, lengths + 1


def _alignment(links: Sequence[Sequence[int] | Ids], length: int, source_length: int) -> Tensor:
    """Return the links of some pairs, (B, T, S), bool."""
    alignment = torch.zeros(len(links), length, source_length, dtype=torch.bool)
    for row, places in enumerate(links):
        # a copy: a map of the disk is not to be written, and torch insists
        source, target = np.array(places, dtype=np.int64).reshape(-1, 2).T
        alignment[row, target, source] = True
    return alignment


class TokenSampler(Protocol):
    """Cuts the text of pairs into other tokens every time."""

    def sample(
        self, indices: Sequence[int], key: tuple[int, int, int]
    ) -> tuple[Sequence[Sequence[int]], Sequence[Sequence[int]], Sequence[Sequence[int]] | None]:
        """Return sources, targets and links of the pairs at `indices`: the same for a key."""
        ...


class SampledBatches(Dataset[Batch]):
    """Sentence pairs whose tokens are drawn for each batch anew.

    What is drawn depends on the seed, the epoch and the number of the batch and on nothing else: it
    is the same in any process, and after a stop.
    """

    def __init__(self, dataset: BatchDataset, sampler: TokenSampler) -> None:
        """Take the pairs and what draws their tokens."""
        self._dataset = dataset
        self._sampler = sampler

    def __len__(self) -> int:
        """Return the number of sentence pairs."""
        return len(self._dataset)

    def __getitem__(self, numbered: tuple[Sequence[int], tuple[int, int, int]]) -> Batch:
        """Return the batch of some pairs, see `NumberedBatches`."""
        indices, key = numbered
        return self._dataset.collate(indices, *self._sampler.sample(indices, key))


def _stored(sequences: TokenStore | Sequence[Sequence[int]]) -> TokenStore:
    return sequences if isinstance(sequences, TokenStore) else TokenSequences(sequences)
