"""Batches of training sets that lie on the disk as token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset, Sampler

from nmt.batching import (
    Batch,
    BatchDataset,
    LengthBuckets,
    NumberedBatches,
    SampledBatches,
    WeightedDraw,
)
from nmt.corpus import Cache, JoinedTokens, PairSampler, TokenIds, TrainingSet, prepare_tokens
from nmt.errors import DataError
from nmt.recipe import Recipe
from nmt.tokenizer import Tokenizer, tag_ids


class MappedBatches:
    """The batches of each epoch, from training sets that are made ready once."""

    def __init__(
        self,
        cache: Cache,
        training_sets: Sequence[TrainingSet],
        tokenizers: tuple[Tokenizer, Tokenizer],
        recipe: Recipe,
    ) -> None:
        """Tokenize the sets where that has not been done before.

        Raises:
            DataError: No pair of a set is short enough, or the cache cannot be written.
        """
        self._recipe = training = recipe.training
        prepared = [
            _prepared(cache, one, tokenizers, max_length=training.max_length)
            for one in training_sets
        ]
        for one, token_ids in zip(training_sets, prepared, strict=True):
            if not len(token_ids.source):
                place = f"data.{one.name}: " if len(prepared) > 1 else ""
                raise DataError(
                    f"{place}training set must have pairs of at most {training.max_length} tokens "
                    "a side (training.max_length), got none"
                )
        self._pairs = _joined(prepared, tokenizers)
        self._draw = _draw(self._pairs, prepared, training_sets)
        self._sampled = sampled(self._pairs, tokenizers, recipe)
        self.num_too_long = sum(len(one.pairs) for one in training_sets) - len(self._pairs)
        self.num_batches = len(self._buckets())

    def epoch(self, epoch: int, *, start: int = 0) -> tuple[Dataset[Batch], Sampler[Any]]:
        """Return what a loader takes an epoch from.

        Args:
            epoch: Counts from 0.
            start: How many of its batches are left out at its beginning.
        """
        buckets = self._buckets(epoch, start=start)
        if self._sampled is None:
            return self._pairs, buckets
        return self._sampled, NumberedBatches(buckets)

    def _buckets(self, epoch: int = 0, *, start: int = 0) -> LengthBuckets:
        return LengthBuckets(
            self._pairs,
            max_tokens=self._recipe.max_tokens,
            max_sentences=self._recipe.max_sentences,
            seed=self._recipe.seed,
            epoch=epoch,
            start=start,
            draw=self._draw,
        )


def _prepared(
    cache: Cache,
    training_set: TrainingSet,
    tokenizers: tuple[Tokenizer, Tokenizer],
    *,
    max_length: int,
) -> TokenIds:
    """Return a training set as maps of the disk; pairs with a too long side are left out."""
    return prepare_tokens(
        cache,
        training_set.pairs,
        tokenizers,
        fingerprint=training_set.fingerprint,
        max_length=max_length,
        tag_ids=tag_ids(training_set.tag, tokenizers[0]),
    )


def _joined(prepared: Sequence[TokenIds], tokenizers: tuple[Tokenizer, Tokenizer]) -> BatchDataset:
    """Return the training sets one behind the other."""
    target = tokenizers[1]
    links = [one.links for one in prepared if one.links is not None]
    several = len(prepared) > 1
    return BatchDataset(
        JoinedTokens([one.source for one in prepared]) if several else prepared[0].source,
        JoinedTokens([one.target for one in prepared]) if several else prepared[0].target,
        pad_id=target.pad_id,
        bos_id=target.bos_id,
        eos_id=target.eos_id,
        links=(JoinedTokens(links) if several else links[0]) if links else None,
    )


def _draw(
    dataset: BatchDataset, prepared: Sequence[TokenIds], training_sets: Sequence[TrainingSet]
) -> WeightedDraw | None:
    """Return what heeds the weights of the training sets; None where all pairs come once."""
    weights = [one.weight for one in training_sets]
    sizes = [len(one.source) for one in prepared]
    if all(weight == 1 for weight in weights):
        return None
    return WeightedDraw(
        dataset.source.lengths, dataset.target.lengths, sizes=sizes, weights=weights
    )


def sampled(
    dataset: BatchDataset, tokenizers: tuple[Tokenizer, Tokenizer], recipe: Recipe
) -> SampledBatches | None:
    """Return pairs cut into other pieces every time, where the recipe says so."""
    settings = recipe.tokenizer_with_tags
    if settings.sampling_alpha is None:
        return None
    sampler = PairSampler(dataset.source, dataset.target, dataset.links, tokenizers, settings)
    return SampledBatches(dataset, sampler)
