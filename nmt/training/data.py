"""Corpora to loaders: reads, cleans, tokenizes, and feeds batches to Lightning."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from nmt.batching import Batch, BatchDataset, LengthBuckets
from nmt.corpus import (
    Cache,
    CleaningReport,
    SentencePair,
    TrainingSet,
    fingerprint,
    load_pairs,
    prepare_tokens,
    prepare_training_set,
)
from nmt.errors import DataError
from nmt.recipe import Recipe, TrainingRecipe
from nmt.tokenizer import Tokenizer
from nmt.translator import choose_device

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Corpora:
    """The sentence pairs of a run.

    Args:
        training_set: What to train on, cleaned.
        validation: All pairs of the validation set.
        test: All pairs of the test set, where there is one.
        cache: Where prepared corpora are kept.
    """

    training_set: TrainingSet
    validation: list[SentencePair]
    test: list[SentencePair] | None
    cache: Cache

    @property
    def train(self) -> Sequence[SentencePair]:
        """The pairs to train on."""
        return self.training_set.pairs

    @property
    def cleaning(self) -> CleaningReport:
        """What became of the pairs that are not trained on."""
        return self.training_set.cleaning

    def fingerprints(self) -> dict[str, str]:
        """Return a hash of each set's text: equal data gives an equal hash."""
        sets = {"validation": self.validation, "test": self.test}
        found = {name: fingerprint(pairs) for name, pairs in sets.items() if pairs is not None}
        return {"train": self.training_set.fingerprint, **found}


def load_corpora(recipe: Recipe) -> Corpora:
    """Read all sets of a recipe, the training set cleaned, and warn of what looks wrong.

    Raises:
        DataError: A set cannot be read, is not parallel or is empty, too little is left to train
            on, or the cache cannot be written.
    """
    data = recipe.data
    cache = Cache(data.cache_dir)
    validation = load_pairs(data.validation, reverse=data.reverse)
    test = load_pairs(data.test, reverse=data.reverse) if data.test else None
    training_set = prepare_training_set(cache, data, validation=validation, test=test or [])
    for warning in training_set.warnings:
        _log.warning("%s", warning)
    return Corpora(training_set, validation, test, cache)


def train_tokenizers(pairs: Sequence[SentencePair], recipe: Recipe) -> tuple[Tokenizer, Tokenizer]:
    """Return a source and a target tokenizer, the same one twice where the recipe joins them.

    Raises:
        TokenizerError: The vocabulary size does not fit the text.
    """
    settings, seed = recipe.tokenizer, recipe.training.seed
    limit = settings.sample_sentences
    if limit is not None and settings.joint:
        limit = max(1, limit // 2)  # a pair has two sentences
    places = _sample(len(pairs), limit, seed=seed)
    if len(places) < len(pairs):
        _log.info("training the tokenizer on %d of %d pairs", len(places), len(pairs))
    if settings.joint:
        both = (line for place in places for line in _sides(pairs[place]))
        tokenizer = Tokenizer.train(both, settings, seed=seed)
        return tokenizer, tokenizer
    return (
        Tokenizer.train((pairs[place].source for place in places), settings, seed=seed),
        Tokenizer.train((pairs[place].target for place in places), settings, seed=seed),
    )


def _sides(pair: SentencePair) -> tuple[str, str]:
    return pair.source, pair.target


def _sample(size: int, limit: int | None, *, seed: int) -> Sequence[int]:
    """Return at most so many places, in order: one at random in each of equal stretches."""
    if limit is None or limit >= size:
        return range(size)
    starts = np.arange(limit + 1) * size // limit
    places: list[int] = np.random.default_rng(seed).integers(starts[:-1], starts[1:]).tolist()
    return places


class TranslationData(LightningDataModule):
    """Token ids of the training and validation sets, as loaders of batches."""

    def __init__(
        self, corpora: Corpora, tokenizers: tuple[Tokenizer, Tokenizer], recipe: TrainingRecipe
    ) -> None:
        """Tokenize both sets; the training set only where that has not been done before.

        Raises:
            DataError: No training pair is short enough, no validation pair has text, or the cache
                cannot be written.
        """
        super().__init__()
        self._recipe = recipe
        self._train = _prepared(corpora, tokenizers, max_length=recipe.max_length)
        self._validation = _dataset(corpora.validation, tokenizers)
        self.num_too_long = len(corpora.train) - len(self._train)
        if not len(self._train):
            raise DataError(
                f"training set must have pairs of at most {recipe.max_length} tokens a side "
                "(training.max_length), got none"
            )
        if not len(self._validation):
            raise DataError("validation set must have pairs with text on both sides, got none")

    @property
    def num_batches(self) -> int:
        """Batches of an epoch; every epoch has the same number."""
        return len(self._buckets(self._train, epoch=0))

    @property
    def num_target_tokens(self) -> int:
        """Real target tokens of an epoch, EOS included."""
        return int((self._train.target.lengths + 1).sum())

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the trainer's current epoch."""
        epoch = self.trainer.current_epoch if self.trainer else 0
        workers = self._recipe.num_workers
        return DataLoader(
            self._train,
            sampler=self._buckets(self._train, epoch=epoch),
            batch_size=None,
            num_workers=workers,
            # a forked child of a process with threads may hang; spawn works everywhere
            multiprocessing_context="spawn" if workers else None,
            pin_memory=choose_device(self._recipe.device) == "cuda",
        )

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the validation set, always in the same order."""
        return DataLoader(
            self._validation, sampler=self._buckets(self._validation, epoch=0), batch_size=None
        )

    def _buckets(self, dataset: BatchDataset, *, epoch: int) -> LengthBuckets:
        return LengthBuckets(
            dataset,
            max_tokens=self._recipe.max_tokens,
            max_sentences=self._recipe.max_sentences,
            seed=self._recipe.seed,
            epoch=epoch,
        )


def _prepared(
    corpora: Corpora, tokenizers: tuple[Tokenizer, Tokenizer], *, max_length: int
) -> BatchDataset:
    """Return the training set as maps of the disk; pairs with a too long side are left out."""
    training_set = corpora.training_set
    token_ids = prepare_tokens(
        corpora.cache,
        training_set.pairs,
        tokenizers,
        fingerprint=training_set.fingerprint,
        max_length=max_length,
    )
    target = tokenizers[1]
    return BatchDataset(
        token_ids.source,
        token_ids.target,
        pad_id=target.pad_id,
        bos_id=target.bos_id,
        eos_id=target.eos_id,
        links=token_ids.links,
    )


def _dataset(
    pairs: Sequence[SentencePair], tokenizers: tuple[Tokenizer, Tokenizer]
) -> BatchDataset:
    """Tokenize pairs; those with an empty side are left out."""
    source, target = tokenizers
    sources = source.encode_batch([pair.source for pair in pairs])
    targets = target.encode_batch([pair.target for pair in pairs])
    kept = [both for both in zip(sources, targets, strict=True) if all(both)]
    return BatchDataset(
        [source_ids for source_ids, _ in kept],
        [target_ids for _, target_ids in kept],
        pad_id=target.pad_id,
        bos_id=target.bos_id,
        eos_id=target.eos_id,
    )
