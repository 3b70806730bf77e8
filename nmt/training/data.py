"""Corpora to loaders: reads, cleans, tokenizes, and feeds batches to Lightning."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from nmt.batching import Batch, BatchDataset, LengthBuckets
from nmt.corpus import (
    Cache,
    JoinedPairs,
    SentencePair,
    TrainingSet,
    fingerprint,
    load_pairs,
    prepare_training_sets,
)
from nmt.errors import DataError
from nmt.placeholders import Teaching
from nmt.recipe import Recipe
from nmt.tokenizer import Tokenizer, tag_ids
from nmt.training.mapped import MappedBatches
from nmt.training.position import Position
from nmt.training.streaming import StreamedBatches
from nmt.translator import choose_device

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Corpora:
    """The sentence pairs of a run.

    Args:
        training_sets: What to train on, cleaned; at least one.
        validation: All pairs of the validation set.
        test: All pairs of the test set, where there is one.
        cache: Where prepared corpora are kept.
    """

    training_sets: Sequence[TrainingSet]
    validation: list[SentencePair]
    test: list[SentencePair] | None
    cache: Cache

    @property
    def train(self) -> Sequence[SentencePair]:
        """The pairs to train on, set by set; of a stream those at its beginning."""
        if len(self.training_sets) == 1:
            return self.training_sets[0].pairs
        return JoinedPairs([one.pairs for one in self.training_sets])

    @property
    def num_train(self) -> int | None:
        """How many pairs there are to train on; None where nobody knows."""
        return None if self.training_sets[0].stream is not None else len(self.train)

    def describe_cleaning(self) -> list[str]:
        """Say what became of the pairs that are not trained on, a line for each set."""
        first = self.training_sets[0]
        if first.stream is not None:
            return [f"at the beginning of the stream: {first.cleaning}"]
        if len(self.training_sets) == 1:
            return [str(first.cleaning)]
        return [f"data.{one.name}: {one.cleaning}" for one in self.training_sets]

    def cleaning_json(self) -> str:
        """Return the cleaning report as JSON, with a part for each set where there are several."""
        reports = {one.name: one.cleaning.to_record() for one in self.training_sets}
        whole = {"sets": reports} if len(reports) > 1 else reports.popitem()[1]
        return json.dumps(whole, indent=2) + "\n"

    def fingerprints(self) -> dict[str, str]:
        """Return a hash of each set's text: equal data gives an equal hash."""
        sets = {"validation": self.validation, "test": self.test}
        found = {name: fingerprint(pairs) for name, pairs in sets.items() if pairs is not None}
        train = [one.fingerprint for one in self.training_sets]
        return {"train": train[0] if len(train) == 1 else "+".join(train), **found}


def load_corpora(recipe: Recipe) -> Corpora:
    """Read all sets of a recipe, the training sets cleaned, and warn of what looks wrong.

    Raises:
        DataError: A set cannot be read, is not parallel or is empty, too little is left to train
            on, or the cache cannot be written.
    """
    data = recipe.data
    cache = Cache(data.cache_dir)
    validation = load_pairs(data.validation, reverse=data.reverse)
    test = load_pairs(data.test, reverse=data.reverse) if data.test else None
    training_sets = prepare_training_sets(
        cache, data, validation=validation, test=test or [], teaching=_teaching(recipe)
    )
    for one in training_sets:
        place = f"data.{one.name}: " if len(training_sets) > 1 else ""
        for warning in one.warnings:
            _log.warning("%s%s", place, warning)
    return Corpora(training_sets, validation, test, cache)


def _teaching(recipe: Recipe) -> Teaching | None:
    """Return how symbols get into the training pairs; None where there are none."""
    symbols = recipe.tokenizer
    if not symbols.placeholders:
        return None
    return Teaching(symbols.placeholders, symbols.placeholder_share, recipe.training.seed)


class TranslationData(LightningDataModule):
    """Token ids of the training and validation sets, as loaders of batches.

    The position in the data is two numbers, the epoch and how many of its batches were consumed:
    everything else follows from them and the recipe's seed, for a stream together with its state.
    The trainer's current epoch is the one, `position`, which is the training's own, has the other.
    """

    def __init__(
        self, corpora: Corpora, tokenizers: tuple[Tokenizer, Tokenizer], recipe: Recipe
    ) -> None:
        """Tokenize all sets; the training sets only where that has not been done before.

        Raises:
            DataError: No training pair is short enough, no validation pair has text, or the cache
                cannot be written.
        """
        super().__init__()
        self._recipe = recipe.training
        self.position = Position()
        training_set = corpora.training_sets[0]
        self._train: MappedBatches | StreamedBatches
        if training_set.stream is None:
            self._train = MappedBatches(corpora.cache, corpora.training_sets, tokenizers, recipe)
        else:
            self._train = StreamedBatches(
                training_set.stream, tokenizers, recipe, tag=training_set.tag
            )
        tag = recipe.data.tag_of(recipe.data.direction[1])
        self._validation = _dataset(corpora.validation, tokenizers, tag)
        if not len(self._validation):
            raise DataError("validation set must have pairs with text on both sides, got none")

    @property
    def num_batches(self) -> int:
        """Batches of an epoch; every epoch has the same number."""
        return self._train.num_batches

    @property
    def num_too_long(self) -> int | None:
        """Pairs left out for a side that is too long; None where that is not known."""
        return self._train.num_too_long

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the trainer's current epoch, those consumed left out.

        Its length is that of the whole epoch: a trainer that goes on counts from where it was.
        """
        epoch = self.trainer.current_epoch if self.trainer else 0
        dataset, sampler = self._train.epoch(epoch, start=self.position.batch)
        workers = self._recipe.num_workers
        return DataLoader(
            dataset,
            sampler=sampler,
            batch_size=None,
            num_workers=workers,
            # a forked child of a process with threads may hang; spawn works everywhere
            multiprocessing_context="spawn" if workers else None,
            pin_memory=choose_device(self._recipe.device) == "cuda",
        )

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the validation set, always in the same order."""
        buckets = LengthBuckets(
            self._validation,
            max_tokens=self._recipe.max_tokens,
            max_sentences=self._recipe.max_sentences,
            seed=self._recipe.seed,
        )
        return DataLoader(self._validation, sampler=buckets, batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold of the data: the place in a stream."""
        if not isinstance(self._train, StreamedBatches):
            return {}
        num_consumed = self.position.epoch * self.num_batches + self.position.batch
        return self._train.state_dict(num_consumed)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what `state_dict` gave.

        Raises:
            CheckpointError: It is something else.
        """
        if isinstance(self._train, StreamedBatches):
            self._train.load_state_dict(state_dict)


def _dataset(
    pairs: Sequence[SentencePair], tokenizers: tuple[Tokenizer, Tokenizer], tag: str | None
) -> BatchDataset:
    """Tokenize pairs; those with an empty side are left out."""
    source, target = tokenizers
    sources = source.encode_batch([pair.source for pair in pairs])
    targets = target.encode_batch([pair.target for pair in pairs])
    kept = [both for both in zip(sources, targets, strict=True) if all(both)]
    before = tag_ids(tag, source)
    return BatchDataset(
        [[*before, *source_ids] for source_ids, _ in kept],
        [target_ids for _, target_ids in kept],
        pad_id=target.pad_id,
        bos_id=target.bos_id,
        eos_id=target.eos_id,
    )
