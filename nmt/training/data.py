"""Corpora to loaders: reads, cleans, tokenizes, and feeds batches to Lightning."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from nmt.batching import Batch, BatchDataset, LengthBuckets
from nmt.corpus import (
    CleaningReport,
    SentencePair,
    clean,
    count_seen,
    find_swapped,
    load_numbered_pairs,
    load_pairs,
)
from nmt.errors import DataError
from nmt.placeholders import teach
from nmt.recipe import Recipe, TrainingRecipe
from nmt.tokenizer import Tokenizer
from nmt.training.position import Position
from nmt.translator import choose_device

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Corpora:
    """The sentence pairs of a run, the training set cleaned."""

    train: list[SentencePair]
    validation: list[SentencePair]
    test: list[SentencePair] | None
    cleaning: CleaningReport

    def fingerprints(self) -> dict[str, str]:
        """Return a hash of each set's text: equal data gives an equal hash."""
        sets = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: _fingerprint(pairs) for name, pairs in sets.items() if pairs is not None}


def load_corpora(recipe: Recipe) -> Corpora:
    """Read all sets of a recipe, clean the training set, and warn of what looks wrong.

    Raises:
        DataError: A set cannot be read, is not parallel or is empty, or too little is left to
            train on.
    """
    data = recipe.data
    train, line_numbers = load_numbered_pairs(data.train, reverse=data.reverse)
    validation = load_pairs(data.validation, reverse=data.reverse)
    test = load_pairs(data.test, reverse=data.reverse) if data.test else None
    _warn_of_swapped(train, line_numbers, validation)
    for name, held_out in (("validation", validation), ("test", test or [])):
        _warn_of_seen(name, held_out, train, is_dropped=data.cleaning.held_out)
    kept, cleaning = clean(
        train,
        data.cleaning,
        held_out=[*validation, *(test or ())],
        line_numbers=line_numbers,
    )
    if recipe.tokenizer.placeholders:
        kept = [_taught(pair, recipe) for pair in kept]
    return Corpora(train=kept, validation=validation, test=test, cleaning=cleaning)


def _taught(pair: SentencePair, recipe: Recipe) -> SentencePair:
    """Put symbols in the place of what is alike on both sides, in some of the pairs."""
    source, target = teach(
        (pair.source, pair.target),
        num_symbols=recipe.tokenizer.placeholders,
        share=recipe.tokenizer.placeholder_share,
        seed=recipe.training.seed,
    )
    return replace(pair, source=source, target=target)


def _warn_of_swapped(
    train: Sequence[SentencePair],
    line_numbers: Sequence[int],
    validation: Sequence[SentencePair],
) -> None:
    swapped = find_swapped(train, validation)
    if swapped is not None:
        _log.warning(
            "warning: %d of %d training pairs, from line %d on, look as if source and target were "
            "swapped, compared with the validation set; see that each side is of one language",
            swapped.num_swapped,
            len(train),
            line_numbers[swapped.first],
        )


def _warn_of_seen(
    name: str,
    held_out: Sequence[SentencePair],
    train: Sequence[SentencePair],
    *,
    is_dropped: bool,
) -> None:
    num_seen = count_seen(held_out, train)
    if num_seen:
        outcome = (
            "these are left out of training"
            if is_dropped
            else "they are trained on, since data.cleaning.held_out is false, and scores on them "
            "say little of other text"
        )
        _log.warning(
            "warning: %d of the %d %s pairs also stand in the training set; %s",
            num_seen,
            len(held_out),
            name,
            outcome,
        )


def train_tokenizers(pairs: Sequence[SentencePair], recipe: Recipe) -> tuple[Tokenizer, Tokenizer]:
    """Return a source and a target tokenizer, the same one twice where the recipe joins them.

    Raises:
        TokenizerError: The vocabulary size does not fit the text.
    """
    seed = recipe.training.seed
    sources = (pair.source for pair in pairs)
    targets = (pair.target for pair in pairs)
    if recipe.tokenizer.joint:
        both = (line for pair in pairs for line in (pair.source, pair.target))
        tokenizer = Tokenizer.train(both, recipe.tokenizer, seed=seed)
        return tokenizer, tokenizer
    return (
        Tokenizer.train(sources, recipe.tokenizer, seed=seed),
        Tokenizer.train(targets, recipe.tokenizer, seed=seed),
    )


class TranslationData(LightningDataModule):
    """Token ids of the training and validation sets, as loaders of batches."""

    def __init__(
        self, corpora: Corpora, tokenizers: tuple[Tokenizer, Tokenizer], recipe: TrainingRecipe
    ) -> None:
        """Tokenize both sets.

        Raises:
            DataError: No training pair is short enough, or no validation pair has text.
        """
        super().__init__()
        self._recipe = recipe
        self.position = Position()
        self._train = _dataset(corpora.train, tokenizers, max_length=recipe.max_length)
        self._validation = _dataset(corpora.validation, tokenizers, max_length=None)
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
        """Return the batches of the trainer's current epoch that are not consumed yet."""
        epoch = self.trainer.current_epoch if self.trainer else 0
        workers = self._recipe.num_workers
        return DataLoader(
            self._train,
            sampler=self._buckets(self._train, epoch=epoch, start=self.position.batch),
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

    def _buckets(self, dataset: BatchDataset, *, epoch: int, start: int = 0) -> LengthBuckets:
        return LengthBuckets(
            dataset,
            max_tokens=self._recipe.max_tokens,
            max_sentences=self._recipe.max_sentences,
            seed=self._recipe.seed,
            epoch=epoch,
            start=start,
        )


def _dataset(
    pairs: Sequence[SentencePair],
    tokenizers: tuple[Tokenizer, Tokenizer],
    *,
    max_length: int | None,
) -> BatchDataset:
    """Tokenize pairs; those with an empty or too long side are left out."""
    source, target = tokenizers
    sources = source.encode_batch([pair.source for pair in pairs])
    targets = target.encode_batch([pair.target for pair in pairs])
    kept = [
        (pair, source_ids, target_ids)
        for pair, source_ids, target_ids in zip(pairs, sources, targets, strict=True)
        if source_ids
        and target_ids
        and (max_length is None or max(len(source_ids), len(target_ids)) <= max_length)
    ]
    links = None
    if any(pair.links is not None for pair, _, _ in kept):
        links = [_piece_links(*one, tokenizers) for one in kept]
    return BatchDataset(
        [source_ids for _, source_ids, _ in kept],
        [target_ids for _, _, target_ids in kept],
        pad_id=target.pad_id,
        bos_id=target.bos_id,
        eos_id=target.eos_id,
        links=links,
    )


def _piece_links(
    pair: SentencePair,
    source_ids: Sequence[int],
    target_ids: Sequence[int],
    tokenizers: tuple[Tokenizer, Tokenizer],
) -> list[int]:
    """Link every piece of a word with every piece of the words that it belongs to.

    Returns:
        A source place and a target place by turns. None at all where SentencePiece sees other words
        than white space parts: it drops some characters, and takes others for spaces.
    """
    source_words = tokenizers[0].word_numbers(source_ids)
    target_words = tokenizers[1].word_numbers(target_ids)
    if source_words[-1] + 1 != len(pair.source.split()):
        return []
    if target_words[-1] + 1 != len(pair.target.split()):
        return []
    places = []
    for source_word, target_word in pair.links or ():
        for source_place in _places(source_words, source_word):
            for target_place in _places(target_words, target_word):
                places += [source_place, target_place]
    return places


def _places(words: Sequence[int], wanted: int) -> list[int]:
    return [place for place, word in enumerate(words) if word == wanted]


def _fingerprint(pairs: Iterable[SentencePair]) -> str:
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(f"{pair.source}\n{pair.target}\n".encode())
        if pair.links is not None:
            digest.update(f"{pair.links}\n".encode())
    return digest.hexdigest()
