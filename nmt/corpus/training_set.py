"""The training sets of a recipe: read, checked and cleaned once, then maps of the disk.

What was made is found again by what went into it: the content of the files, the pairs held out, and
what the recipe says of cleaning. What looked wrong is remembered with it, to be said every time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from nmt import __version__
from nmt.corpus.bar import counting
from nmt.corpus.cache import Cache, Facts
from nmt.corpus.check import SeenPairs, find_swapped
from nmt.corpus.clean import Cleaner, CleaningReport, LengthRatios, check_any, check_number
from nmt.corpus.hashes import find_repeated, hash_pairs
from nmt.corpus.hub import fingerprint_hub
from nmt.corpus.load import describe_set, stream_blocks
from nmt.corpus.mapped import MappedPairs, write_pairs
from nmt.corpus.numbers import NumberFile
from nmt.corpus.pairs import Block, SentencePair
from nmt.corpus.stream import PairStream
from nmt.corpus.teaching import taught
from nmt.errors import DataError
from nmt.placeholders import Teaching
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
        name: Where in the recipe's `data` it stands.
        weight: How often each pair comes in an epoch.
        tag: The piece that stands before every source; None for none.
        stream: All pairs, where those above are only the first of them; None where they are all.
    """

    pairs: MappedPairs
    cleaning: CleaningReport
    fingerprint: str
    warnings: tuple[str, ...] = ()
    name: str = "train"
    weight: float = 1.0
    tag: str | None = None
    stream: PairStream | None = None


def prepare_training_sets(
    cache: Cache,
    data: DataRecipe,
    *,
    validation: Sequence[SentencePair],
    test: Sequence[SentencePair],
    teaching: Teaching | None = None,
) -> list[TrainingSet]:
    """Return the training sets of a recipe, made anew where that has not been done before.

    Args:
        cache: Where they are kept.
        data: Where they come from, and what is left out.
        validation: The validation set.
        test: The test set; empty for none.
        teaching: How symbols for what is not translated get into the pairs; None is not at all.

    Raises:
        DataError: One cannot be read, is not parallel or is empty, too little is left, or the cache
            cannot be written.
    """
    prepared = [
        _prepare(cache, _Origin(name, one, data, validation, test, teaching))
        for name, one in data.named_train_sets()
    ]
    num_kept = sum(len(one.pairs) for one in prepared)
    if num_kept < data.cleaning.min_pairs:
        raise DataError(
            f"training sets must have at least {data.cleaning.min_pairs} sentence pairs left "
            f"together, got {num_kept}; add pairs, or lower data.cleaning.min_pairs"
        )
    return prepared


@dataclass(frozen=True, slots=True)
class _Origin:
    """A training set as a recipe has it, and what it must not have in common with others."""

    name: str
    corpus_set: CorpusSet
    data: DataRecipe
    validation: Sequence[SentencePair]
    test: Sequence[SentencePair]
    teaching: Teaching | None

    def taught(self, pairs: list[SentencePair]) -> list[SentencePair]:
        """Return pairs with symbols in some of them, where they are taught."""
        return pairs if self.teaching is None else taught(pairs, self.teaching)

    @property
    def held_out(self) -> list[SentencePair]:
        """The pairs that must not be trained on, in the direction of the set."""
        return [*self.in_its_direction("validation"), *self.in_its_direction("test")]

    def in_its_direction(self, name: str) -> Sequence[SentencePair]:
        """Return the validation or the test set, turned where the set to train on is."""
        pairs: Sequence[SentencePair] = getattr(self, name)
        if self._direction == self.data.direction[::-1]:
            return [SentencePair(pair.target, pair.source) for pair in pairs]
        return pairs

    @property
    def can_be_compared(self) -> bool:
        """Whether the validation set shows what either side should look like."""
        return self._direction in (self.data.direction, self.data.direction[::-1])

    @property
    def _direction(self) -> tuple[str, str]:
        return self.data.direction_of(self.corpus_set)


def _prepare(cache: Cache, origin: _Origin) -> TrainingSet:
    data, corpus_set = origin.data, origin.corpus_set
    key = {
        "set": corpus_set.model_dump(
            mode="json", exclude={"weight": True, "streaming": {"batches_per_epoch"}}
        ),
        "content": _content_of(corpus_set, cache),
        "reverse": data.reverse,
        "cleaning": data.cleaning.model_dump(mode="json"),
        "is_listed": isinstance(data.train, tuple),
        "can_be_compared": origin.can_be_compared,
        "validation": fingerprint(origin.in_its_direction("validation")),
        "test": fingerprint(origin.in_its_direction("test")),
        "teaching": None if origin.teaching is None else asdict(origin.teaching),
    }
    folder, facts = cache.obtain("pairs", key, lambda part: _write(part, origin))
    report = CleaningReport.from_dict(facts["cleaning"])
    return TrainingSet(
        pairs=MappedPairs(folder / _PAIRS_FILE),
        cleaning=report,
        fingerprint=facts["fingerprint"],
        warnings=tuple(facts["warnings"]),
        name=origin.name,
        weight=corpus_set.weight,
        tag=data.tag_of(data.direction_of(corpus_set)[1]),
        stream=_stream(origin, report.median_length_ratio),
    )


def _stream(origin: _Origin, ratio: float | None) -> PairStream | None:
    data, corpus_set = origin.data, origin.corpus_set
    if not isinstance(corpus_set, HubSet) or corpus_set.streaming is None:
        return None
    cleaning, teaching = data.cleaning, origin.teaching
    return PairStream(corpus_set, cleaning, origin.held_out, ratio, data.reverse, teaching)


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


def _write(folder: Path, origin: _Origin) -> Facts:
    """Read, check, clean and write the pairs; return what is to be known of them."""
    data = origin.data
    raw = _read(folder, origin)
    cleaner = Cleaner(data.cleaning, origin.held_out, raw.ratio)
    digest = Fingerprint()
    write_pairs(folder / _PAIRS_FILE, map(digest.add, map(origin.taught, _cleaned(raw, cleaner))))
    report = cleaner.report()
    if isinstance(data.train, tuple):
        check_any(report, name=f"data.{origin.name} ({describe_set(origin.corpus_set)})")
    else:
        check_number(report, min_pairs=data.cleaning.min_pairs)
    warnings = list(_warnings(raw, origin))
    for file in folder.glob(f"{_RAW}*"):
        file.unlink()
    return {"cleaning": asdict(report), "fingerprint": digest.text(), "warnings": warnings}


@dataclass(frozen=True, slots=True)
class _Raw:
    """A corpus as it was read: maps of files, and what cleaning must know of all of it."""

    pairs: MappedPairs
    line_numbers: NDArray[np.int64]
    repeated: NDArray[np.bool_]
    ratio: float | None
    seen: Mapping[str, SeenPairs]


def _read(folder: Path, origin: _Origin) -> _Raw:
    """Read a corpus once; what is to be read again is read from the disk."""
    line_numbers = NumberFile(folder / f"{_RAW}.lines", "int64")
    hashes = NumberFile(folder / f"{_RAW}.hashes", "uint64")
    ratios = LengthRatios()
    names = ("validation", "test")
    seen = {name: SeenPairs(origin.in_its_direction(name)) for name in names}

    def pass_on() -> Iterator[Sequence[SentencePair]]:
        with counting("reading", None) as advance:
            for block in stream_blocks(origin.corpus_set, reverse=origin.data.reverse):
                line_numbers.append(block.line_numbers)
                hashes.append(hash_pairs(block.pairs))
                ratios.add(block.pairs)
                for pairs in seen.values():
                    pairs.look_at(block.pairs)
                advance(len(block.pairs))
                yield block.pairs

    path = folder / f"{_RAW}.arrow"
    write_pairs(path, pass_on())
    repeated = find_repeated(hashes.map())
    return _Raw(MappedPairs(path), line_numbers.map(), repeated, ratios.median(), seen)


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


def _warnings(raw: _Raw, origin: _Origin) -> Iterator[str]:
    """Yield what looks wrong with the pairs as they were read."""
    if origin.can_be_compared:
        yield from _warnings_of_swapped(raw, origin.in_its_direction("validation"))
    is_dropped = origin.data.cleaning.held_out
    outcome = (
        "these are left out of training"
        if is_dropped
        else "they are trained on, since data.cleaning.held_out is false, and scores on them "
        "say little of other text"
    )
    for name, seen in raw.seen.items():
        if seen.count:
            yield (
                f"warning: {seen.count} of the {seen.num_pairs} {name} pairs also stand in the "
                f"training set; {outcome}"
            )


def _warnings_of_swapped(raw: _Raw, validation: Sequence[SentencePair]) -> Iterator[str]:
    swapped = find_swapped(raw.pairs, validation)
    if swapped is not None:
        yield (
            f"warning: {swapped.num_swapped} of {len(raw.pairs)} training pairs, from line "
            f"{raw.line_numbers[swapped.first]} on, look as if source and target were swapped, "
            "compared with the validation set; see that each side is of one language"
        )
