"""Batches of a stream of pairs: lot by lot, each shuffled and sorted by length on its own.

Batches are counted through from the beginning of the training. Where one of them is in the stream
is told by the lot that it is of: its place, and how many batches came before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset, Sampler

from nmt.batching import Batch, BatchDataset, LengthBuckets, NumberedBatches, SampledBatches
from nmt.corpus import PairStream, SentencePair, StreamPlace, encode_pairs
from nmt.errors import CheckpointError, DataError
from nmt.recipe import Recipe
from nmt.tokenizer import Tokenizer, tag_ids
from nmt.training.mapped import sampled


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a lot begins: in the stream, and among the batches."""

    place: StreamPlace
    first: int


@dataclass(frozen=True, slots=True)
class _Lot:
    """Pairs that are shuffled together, and which of them share a batch."""

    mark: _Mark
    pairs: BatchDataset | SampledBatches
    batches: Sequence[Any]

    @property
    def end(self) -> int:
        """The first batch behind the lot."""
        return self.mark.first + len(self.batches)


class StreamedBatches(Dataset[Batch]):
    """All batches of a stream, to be taken in their order.

    They follow from the stream, the recipe and its seed. The lot in use is kept from one
    epoch to the next; what came before can be had again by its mark.

    Attributes:
        num_batches: Batches of an epoch.
        num_too_long: Nobody knows how many pairs the stream has that are too long.
    """

    num_too_long = None

    def __init__(
        self,
        pairs: PairStream,
        tokenizers: tuple[Tokenizer, Tokenizer],
        recipe: Recipe,
        *,
        tag: str | None,
    ) -> None:
        """Take the pairs; nothing is read yet.

        Args:
            pairs: The stream.
            tokenizers: Those of source and target.
            recipe: How large batches are, and the seed of their order.
            tag: The piece that stands before every source; None for none.
        """
        streaming = recipe.data.streaming
        assert streaming is not None
        self.num_batches = streaming.batches_per_epoch
        self._pairs = pairs
        self._tokenizers = tokenizers
        self._recipe = recipe
        self._tag_ids = tag_ids(tag, tokenizers[0])
        self._marks = [_Mark(StreamPlace(), 0)]
        self._lots: Iterator[_Lot] = iter(())
        self._lot: _Lot | None = None

    def epoch(self, epoch: int, *, start: int = 0) -> tuple[Dataset[Batch], Sampler[int]]:
        """Return what a loader takes an epoch from.

        Args:
            epoch: Counts from 0.
            start: How many of its batches are left out at its beginning.
        """
        return self, _Numbers(epoch * self.num_batches, self.num_batches, start=start)

    def __getitem__(self, number: int) -> Batch:
        """Return a batch, counted from the beginning of the training.

        Raises:
            DataError: The stream breaks off, or has no pair to train on.
        """
        lot = self._find(number)
        batch: Batch = lot.pairs[lot.batches[number - lot.mark.first]]
        return batch

    def state_dict(self, num_consumed: int) -> dict[str, Any]:
        """Return what is to be known to go on.

        Args:
            num_consumed: Batches that lie behind.
        """
        mark = self._mark_of(num_consumed)
        return {"place": mark.place.state_dict(), "first": mark.first}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave.

        Raises:
            CheckpointError: It is something else.
        """
        try:
            first = state["first"]
            if type(first) is not int or first < 0:
                raise ValueError(f"first must be a count, got {first!r}")
            self._marks = [_Mark(StreamPlace.from_state_dict(state["place"]), first)]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the last checkpoint holds no place in a stream ({error}); delete it to train "
                "from the start"
            ) from error
        self._lot = None

    def _find(self, number: int) -> _Lot:
        """Return the lot of a batch."""
        if self._lot is None or number < self._lot.mark.first:
            self._lots = self._read(self._mark_of(number))
            self._lot = next(self._lots)
        while number >= self._lot.end:
            self._lot = next(self._lots)
        return self._lot

    def _mark_of(self, number: int) -> _Mark:
        """Return the last mark that is not behind a batch; those before it are forgotten."""
        while len(self._marks) > 1 and self._marks[1].first <= number:
            del self._marks[0]
        return self._marks[0]

    def _read(self, mark: _Mark) -> Iterator[_Lot]:
        """Yield lots from a mark on, those without a pair to train on left out."""
        first, passes = mark.first, mark.place.passes
        for place, pairs in self._pairs.lots(mark.place):
            if place.passes > passes + 1:
                limit = self._recipe.training.max_length
                raise DataError(
                    f"training set must have pairs of at most {limit} tokens a side "
                    "(training.max_length), got none in all of the stream"
                )
            dataset = self._dataset(pairs)
            if not len(dataset):
                continue
            lot = self._lot_of(dataset, _Mark(place, first))
            if first > self._marks[-1].first:
                self._marks.append(lot.mark)
            yield lot
            first, passes = lot.end, place.passes

    def _dataset(self, pairs: Sequence[SentencePair]) -> BatchDataset:
        """Tokenize the pairs of a lot; those with a side that is empty or too long are left out."""
        _, sources, targets = encode_pairs(
            pairs,
            self._tokenizers,
            max_length=self._recipe.training.max_length,
            tag_ids=self._tag_ids,
        )
        target = self._tokenizers[1]
        return BatchDataset(
            sources, targets, pad_id=target.pad_id, bos_id=target.bos_id, eos_id=target.eos_id
        )

    def _lot_of(self, dataset: BatchDataset, mark: _Mark) -> _Lot:
        training = self._recipe.training
        buckets = LengthBuckets(
            dataset,
            max_tokens=training.max_tokens,
            max_sentences=training.max_sentences,
            seed=training.seed,
            epoch=mark.place.number,
        )
        cut = sampled(dataset, self._tokenizers, self._recipe)
        if cut is None:
            return _Lot(mark, dataset, list(buckets))
        return _Lot(mark, cut, list(NumberedBatches(buckets)))


class _Numbers(Sampler[int]):
    """The numbers of an epoch's batches, from one of them on."""

    def __init__(self, first: int, length: int, *, start: int) -> None:
        self._first = first
        self._length = length
        self._start = start

    def __len__(self) -> int:
        """Return the number of the epoch's batches, the same for every start."""
        return self._length

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers."""
        return iter(range(self._first + self._start, self._first + self._length))
