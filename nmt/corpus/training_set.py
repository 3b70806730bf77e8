"""The training set of a recipe: read, checked and cleaned once, then a map of the disk.

What was made is found again by what went into it: the content of the files, the pairs held out, and
what the recipe says of cleaning. What looked wrong is remembered with it, to be said every time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from nmt import __version__
from nmt.corpus.bar import counting
from nmt.corpus.cache import Cache, Facts
from nmt.corpus.check import count_seen, find_swapped
from nmt.corpus.clean import Cleaner, CleaningReport, LengthRatios
from nmt.corpus.hashes import NumberFile, find_repeated, hash_pairs
from nmt.corpus.hub import fingerprint_hub
from nmt.corpus.load import stream_blocks
from nmt.corpus.mapped import MappedPairs, write_pairs
from nmt.corpus.pairs import Block, SentencePair
from nmt.recipe import (
    BuiltinSet,
    CorpusSet,
    CsvSet,
    DataRecipe,
    FileSet,
    HubSet,
    JsonlSet,
    TsvSet,
)

_PAIRS_FILE = "pairs.arrow"
# What files begin with that are gone when the pairs are cleaned.
_RAW = "raw"


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Sentence pairs to train on.

    Args:
        pairs: Those that stayed.
        cleaning: What became of the others.
        fingerprint: A hash of the text of the pairs.
        warnings: What looks wrong, a line each.
    """

    pairs: MappedPairs
    cleaning: CleaningReport
    fingerprint: str
    warnings: tuple[str, ...] = ()


def prepare_training_set(
    cache: Cache,
    data: DataRecipe,
    *,
    validation: Sequence[SentencePair],
    test: Sequence[SentencePair],
) -> TrainingSet:
    """Return the training set of a recipe, made anew where that has not been done before.

    Args:
        cache: Where it is kept.
        data: Where it comes from, and what is left out.
        validation: The validation set.
        test: The test set; empty for none.

    Raises:
        DataError: It cannot be read, is not parallel or is empty, too little is left of it, or the
            cache cannot be written.
    """
    key = {
        "set": data.train.model_dump(mode="json"),
        "content": _content_of(data.train, cache),
        "reverse": data.reverse,
        "cleaning": data.cleaning.model_dump(mode="json"),
        "validation": fingerprint(validation),
        "test": fingerprint(test),
    }

    def build(folder: Path) -> Facts:
        return _write(folder, data, validation, test)

    folder, facts = cache.obtain("pairs", key, build)
    return TrainingSet(
        pairs=MappedPairs(folder / _PAIRS_FILE),
        cleaning=CleaningReport.from_dict(facts["cleaning"]),
        fingerprint=facts["fingerprint"],
        warnings=tuple(facts["warnings"]),
    )


class Fingerprint:
    """A hash of the text of sentence pairs: equal ones in equal order give an equal hash."""

    def __init__(self) -> None:
        """Start with no pairs."""
        self._digest = hashlib.sha256()

    def add(self, pairs: Sequence[SentencePair]) -> Sequence[SentencePair]:
        """Take pairs that come next, and give them back."""
        for pair in pairs:
            self._digest.update(f"{pair.source}\n{pair.target}\n".encode())
            if pair.links is not None:
                self._digest.update(f"{pair.links}\n".encode())
        return pairs

    def text(self) -> str:
        """Return the hash of all pairs so far."""
        return self._digest.hexdigest()


def fingerprint(pairs: Sequence[SentencePair]) -> str:
    """Return a hash of the text of sentence pairs, see `Fingerprint`."""
    digest = Fingerprint()
    digest.add(pairs)
    return digest.text()


def _content_of(corpus_set: CorpusSet, cache: Cache) -> list[str]:
    """Return what changes whenever the content of a set does."""
    match corpus_set:
        case FileSet():
            files = [corpus_set.source, corpus_set.target, corpus_set.alignment]
            return [cache.digest_of(file) for file in files if file is not None]
        case TsvSet():
            return [cache.digest_of(corpus_set.tsv)]
        case CsvSet():
            return [cache.digest_of(corpus_set.csv)]
        case JsonlSet():
            return [cache.digest_of(corpus_set.jsonl)]
        case HubSet():
            return fingerprint_hub(corpus_set, cache.digest_of)
        case BuiltinSet():
            # the same version draws the same sentences
            return [__version__]
        case _:
            assert_never(corpus_set)


def _write(
    folder: Path,
    data: DataRecipe,
    validation: Sequence[SentencePair],
    test: Sequence[SentencePair],
) -> Facts:
    """Read, check, clean and write the pairs; return what is to be known of them."""
    raw = _read(folder, data)
    warnings = [
        *_warnings_of_swapped(raw.pairs, raw.line_numbers, validation),
        *_warnings_of_seen("validation", validation, raw.pairs, is_dropped=data.cleaning.held_out),
        *_warnings_of_seen("test", test, raw.pairs, is_dropped=data.cleaning.held_out),
    ]
    cleaner = Cleaner(data.cleaning, [*validation, *test], raw.ratio)
    digest = Fingerprint()
    write_pairs(folder / _PAIRS_FILE, map(digest.add, _cleaned(raw, cleaner)))
    for file in folder.glob(f"{_RAW}*"):
        file.unlink()
    return {
        "cleaning": asdict(cleaner.report()),
        "fingerprint": digest.text(),
        "warnings": warnings,
    }


@dataclass(frozen=True, slots=True)
class _Raw:
    """A corpus as it was read: maps of files, and what cleaning must know of all of it."""

    pairs: MappedPairs
    line_numbers: NDArray[np.int64]
    repeated: NDArray[np.bool_]
    ratio: float | None


def _read(folder: Path, data: DataRecipe) -> _Raw:
    """Read a corpus once; what is to be read again is read from the disk."""
    line_numbers = NumberFile(folder / f"{_RAW}.lines", "int64")
    hashes = NumberFile(folder / f"{_RAW}.hashes", "uint64")
    ratios = LengthRatios()

    def pass_on() -> Iterator[Sequence[SentencePair]]:
        with counting("reading", None) as advance:
            for block in stream_blocks(data.train, reverse=data.reverse):
                line_numbers.append(block.line_numbers)
                hashes.append(hash_pairs(block.pairs))
                ratios.add(block.pairs)
                advance(len(block.pairs))
                yield block.pairs

    path = folder / f"{_RAW}.arrow"
    write_pairs(path, pass_on())
    repeated = find_repeated(hashes.map())
    return _Raw(MappedPairs(path), line_numbers.map(), repeated, ratios.median())


def _cleaned(raw: _Raw, cleaner: Cleaner) -> Iterator[list[SentencePair]]:
    """Yield what stays of each block."""
    done = 0
    with counting("cleaning", len(raw.pairs)) as advance:
        for number in range(raw.pairs.num_parts):
            pairs = raw.pairs.part(number)
            rows = slice(done, done + len(pairs))
            block = Block(pairs, raw.line_numbers[rows].tolist())
            yield cleaner.clean(block, raw.repeated[rows].tolist())
            done += len(pairs)
            advance(len(pairs))


def _warnings_of_swapped(
    train: Sequence[SentencePair],
    line_numbers: NDArray[np.int64],
    validation: Sequence[SentencePair],
) -> Iterator[str]:
    swapped = find_swapped(train, validation)
    if swapped is not None:
        yield (
            f"warning: {swapped.num_swapped} of {len(train)} training pairs, from line "
            f"{line_numbers[swapped.first]} on, look as if source and target were swapped, "
            "compared with the validation set; see that each side is of one language"
        )


def _warnings_of_seen(
    name: str,
    held_out: Sequence[SentencePair],
    train: Sequence[SentencePair],
    *,
    is_dropped: bool,
) -> Iterator[str]:
    num_seen = count_seen(held_out, train)
    if num_seen:
        outcome = (
            "these are left out of training"
            if is_dropped
            else "they are trained on, since data.cleaning.held_out is false, and scores on them "
            "say little of other text"
        )
        yield (
            f"warning: {num_seen} of the {len(held_out)} {name} pairs also stand in the training "
            f"set; {outcome}"
        )
