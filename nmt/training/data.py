"""Corpora to loaders: reads, cleans, tokenizes, and feeds batches to Lightning."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from nmt.batching import (
    Batch,
    BatchDataset,
    LengthBuckets,
    NumberedBatches,
    SampledBatches,
    WeightedDraw,
)
from nmt.corpus import (
    Cache,
    JoinedPairs,
    JoinedTokens,
    PairSampler,
    SentencePair,
    TokenIds,
    TrainingSet,
    fingerprint,
    load_pairs,
    prepare_tokens,
    prepare_training_sets,
)
from nmt.errors import DataError
from nmt.recipe import Recipe
from nmt.tokenizer import Tokenizer, tag_ids
from nmt.training.position import Position
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
        """The pairs to train on, set by set."""
        if len(self.training_sets) == 1:
            return self.training_sets[0].pairs
        return JoinedPairs([one.pairs for one in self.training_sets])

    def describe_cleaning(self) -> list[str]:
        """Say what became of the pairs that are not trained on, a line for each set."""
        if len(self.training_sets) == 1:
            return [str(self.training_sets[0].cleaning)]
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
    training_sets = prepare_training_sets(cache, data, validation=validation, test=test or [])
    for one in training_sets:
        place = f"data.{one.name}: " if len(training_sets) > 1 else ""
        for warning in one.warnings:
            _log.warning("%s%s", place, warning)
    return Corpora(training_sets, validation, test, cache)


class TranslationData(LightningDataModule):
    """Token ids of the training and validation sets, as loaders of batches.

    The position in the data is two numbers, the epoch and how many of its batches were consumed:
    everything else follows from them and the recipe's seed. The trainer's current epoch is the one,
    `position`, which is the training's own, has the other.
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
        self._recipe = training = recipe.training
        self.position = Position()
        prepared = [
            _prepared(corpora.cache, one, tokenizers, max_length=training.max_length)
            for one in corpora.training_sets
        ]
        for one, token_ids in zip(corpora.training_sets, prepared, strict=True):
            if not len(token_ids.source):
                place = f"data.{one.name}: " if len(prepared) > 1 else ""
                raise DataError(
                    f"{place}training set must have pairs of at most {training.max_length} tokens "
                    "a side (training.max_length), got none"
                )
        self._train = _joined(prepared, tokenizers)
        self._draw = _draw(self._train, prepared, corpora.training_sets)
        self._sampled = _sampled(self._train, tokenizers, recipe)
        tag = recipe.data.tag_of(recipe.data.direction[1])
        self._validation = _dataset(corpora.validation, tokenizers, tag)
        self.num_too_long = len(corpora.train) - len(self._train)
        if not len(self._validation):
            raise DataError("validation set must have pairs with text on both sides, got none")
        self._num_batches = len(self._buckets(self._train, draw=self._draw))

    @property
    def num_batches(self) -> int:
        """Batches of an epoch; every epoch has the same number."""
        return self._num_batches

    @property
    def num_target_tokens(self) -> int:
        """Real target tokens of an epoch, EOS included, when nothing is drawn at random."""
        lengths = self._train.target.lengths if self._draw is None else self._draw.target_lengths
        return int((lengths + 1).sum())

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the trainer's current epoch, those consumed left out.

        Its length is that of the whole epoch: a trainer that goes on counts from where it was.
        """
        epoch = self.trainer.current_epoch if self.trainer else 0
        start = self.position.batch
        buckets = self._buckets(self._train, epoch=epoch, start=start, draw=self._draw)
        workers = self._recipe.num_workers
        return DataLoader(
            self._sampled or self._train,
            sampler=NumberedBatches(buckets) if self._sampled else buckets,
            batch_size=None,
            num_workers=workers,
            # a forked child of a process with threads may hang; spawn works everywhere
            multiprocessing_context="spawn" if workers else None,
            pin_memory=choose_device(self._recipe.device) == "cuda",
        )

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the validation set, always in the same order."""
        return DataLoader(
            self._validation, sampler=self._buckets(self._validation), batch_size=None
        )

    def _buckets(
        self,
        dataset: BatchDataset,
        *,
        epoch: int = 0,
        start: int = 0,
        draw: WeightedDraw | None = None,
    ) -> LengthBuckets:
        return LengthBuckets(
            dataset,
            max_tokens=self._recipe.max_tokens,
            max_sentences=self._recipe.max_sentences,
            seed=self._recipe.seed,
            epoch=epoch,
            start=start,
            draw=draw,
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


def _sampled(
    dataset: BatchDataset, tokenizers: tuple[Tokenizer, Tokenizer], recipe: Recipe
) -> SampledBatches | None:
    """Return the training sets cut into other pieces every time, where the recipe says so."""
    settings = recipe.tokenizer_with_tags
    if settings.sampling_alpha is None:
        return None
    sampler = PairSampler(dataset.source, dataset.target, dataset.links, tokenizers, settings)
    return SampledBatches(dataset, sampler)


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
