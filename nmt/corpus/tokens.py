"""Sentence pairs to token ids on the disk, made once by as many processes as there are cores.

What was made is found again by what went into it: the pairs, both tokenizers, the longest side.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import Path

import numpy as np

from nmt.corpus.bar import counting
from nmt.corpus.cache import Cache, Facts
from nmt.corpus.mapped import (
    ArrowFile,
    Ids,
    MappedPairs,
    MappedTokens,
    TokenWriter,
    lengths_file,
    tokens_file,
)
from nmt.corpus.pairs import SentencePair
from nmt.errors import DataError
from nmt.tokenizer import Tokenizer

# Parts of a corpus from which on the work of several processes is worth their start.
_MIN_PARTS = 10

# Parts for each process that wait for their turn to be written.
_PARTS_AHEAD = 4

Tokenizers = tuple[Tokenizer, Tokenizer]
# For each column the lengths of its rows, and their ids one behind the other.
Block = list[tuple[Ids, Ids]]


@dataclass(frozen=True, slots=True)
class TokenIds:
    """A corpus as token ids, without BOS and EOS; see `nmt.batching.BatchDataset`.

    Attributes:
        source: Source tokens.
        target: Target tokens.
        links: Which of them belong together, where the pairs say so.
    """

    source: MappedTokens
    target: MappedTokens
    links: MappedTokens | None


@dataclass(frozen=True, slots=True)
class Encoder:
    """Turns a part of a corpus into token ids.

    Args:
        pairs: The corpus.
        tokenizers: Those of source and target.
        max_length: Pairs with a longer side, in tokens, are left out, and those with an empty one.
        tag_ids: What stands before every source.
    """

    pairs: MappedPairs
    tokenizers: Tokenizers
    max_length: int
    tag_ids: tuple[int, ...] = ()

    @property
    def id_type(self) -> str:
        """NumPy's name for a type that holds every id, and every place that a link leads to."""
        sizes = [tokenizer.vocab_size for tokenizer in self.tokenizers]
        return np.min_scalar_type(max(256, self.max_length, *sizes)).name

    @property
    def columns(self) -> tuple[str, ...]:
        """What the columns of token ids are called."""
        return ("source_ids", "target_ids", *(("links",) if self.pairs.has_links else ()))

    def encode(self, part: int) -> Block:
        """Return the token ids of a part of the corpus, and its links as those of pieces."""
        pairs = self.pairs.part(part)
        kept, sources, targets = encode_pairs(
            pairs, self.tokenizers, max_length=self.max_length, tag_ids=self.tag_ids
        )
        columns = [sources, targets]
        if self.pairs.has_links:
            num_tags = len(self.tag_ids)
            rows = zip(kept, sources, targets, strict=True)
            columns.append(
                [
                    link_pieces(
                        pairs[place], source[num_tags:], target, self.tokenizers, num_tags=num_tags
                    )
                    for place, source, target in rows
                ]
            )
        return [_joined(column, self.id_type) for column in columns]


def encode_pairs(
    pairs: Sequence[SentencePair],
    tokenizers: Tokenizers,
    *,
    max_length: int,
    tag_ids: Sequence[int] = (),
) -> tuple[list[int], list[list[int]], list[list[int]]]:
    """Return the pairs that are neither empty nor too long as token ids.

    Args:
        pairs: The pairs.
        tokenizers: Those of source and target.
        max_length: Pairs with a longer side, in tokens, are left out, and those with an empty one.
        tag_ids: What stands before every source.

    Returns:
        Their places among the pairs, their sources, and their targets.
    """
    sources, targets = (
        tokenizer.encode_batch([getattr(pair, side) for pair in pairs], num_threads=1)
        for tokenizer, side in zip(tokenizers, ("source", "target"), strict=True)
    )
    longest = max_length - len(tag_ids)
    kept = [
        place
        for place, (source, target) in enumerate(zip(sources, targets, strict=True))
        if 0 < len(source) <= longest and 0 < len(target) <= max_length
    ]
    kept_sources = [sources[place] for place in kept]
    if tag_ids:
        kept_sources = [[*tag_ids, *source] for source in kept_sources]
    return kept, kept_sources, [targets[place] for place in kept]


def prepare_tokens(
    cache: Cache,
    pairs: MappedPairs,
    tokenizers: Tokenizers,
    *,
    fingerprint: str,
    max_length: int,
    tag_ids: tuple[int, ...] = (),
) -> TokenIds:
    """Return a corpus as token ids, made anew where that has not been done before.

    Args:
        cache: Where it is kept.
        pairs: The corpus.
        tokenizers: Those of source and target.
        fingerprint: A hash of the pairs.
        max_length: Pairs with a longer side, in tokens, are left out, and those with an empty one.
        tag_ids: What stands before every source.

    Raises:
        DataError: The cache cannot be written, or a process was stopped by the system.
    """
    encoder = Encoder(pairs, tokenizers, max_length, tag_ids)
    models = [blake2b(tokenizer.model).hexdigest() for tokenizer in tokenizers]
    key = {"pairs": fingerprint, "models": models, "max_length": max_length, "tags": tag_ids}
    folder, _ = cache.obtain("tokens", key, lambda part: _write(encoder, part))
    file = ArrowFile(tokens_file(folder))
    stores = [MappedTokens(file, name, lengths_file(folder, name)) for name in encoder.columns]
    return TokenIds(
        source=stores[0],
        target=stores[1],
        links=stores[2] if pairs.has_links else None,
    )


def _write(encoder: Encoder, folder: Path) -> Facts:
    count = 0
    with (
        TokenWriter(folder, encoder.columns, encoder.id_type) as writer,
        counting("preparing", len(encoder.pairs)) as advance,
    ):
        for block in _encode_all(encoder):
            writer.write(block)
            count += len(block[0][0])
            advance(len(block[0][0]))
    return {"num_pairs": count}


def _encode_all(encoder: Encoder) -> Iterator[Block]:
    """Yield the parts of a corpus as token ids, in their order."""
    parts = range(encoder.pairs.num_parts)
    num_processes = min(len(parts), _num_cores())
    if len(parts) < _MIN_PARTS or num_processes < 2:
        yield from map(encoder.encode, parts)
        return
    models = [tokenizer.model for tokenizer in encoder.tokenizers]
    with ProcessPoolExecutor(
        num_processes,
        # a forked child of a process with threads may hang; spawn works everywhere
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(encoder.pairs, models, encoder.max_length, encoder.tag_ids),
    ) as pool:
        try:
            yield from _in_order(pool, parts, ahead=_PARTS_AHEAD * num_processes)
        except BrokenProcessPool as error:
            raise DataError(
                "preparing the corpus: a process was stopped from outside, perhaps for want of "
                "memory; make room and try again"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _in_order(pool: Executor, parts: Sequence[int], *, ahead: int) -> Iterator[Block]:
    """Yield parts as token ids; so many are made before they are asked for, and no more."""
    made: deque[Future[Block]] = deque()
    for part in parts:
        made.append(pool.submit(_encode_part, part))
        if len(made) > ahead:
            yield made.popleft().result()
    while made:
        yield made.popleft().result()


_encoder_of_worker: list[Encoder] = []


def _start_worker(
    pairs: MappedPairs, models: Sequence[bytes], max_length: int, tag_ids: tuple[int, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it tells it when to stop
    source, target = (Tokenizer(model) for model in models)
    _encoder_of_worker.append(Encoder(pairs, (source, target), max_length, tag_ids))


def _encode_part(part: int) -> Block:
    return _encoder_of_worker[0].encode(part)


def _num_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _joined(sequences: Sequence[Sequence[int]], id_type: str) -> tuple[Ids, Ids]:
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    ids = chain.from_iterable(sequences)
    return lengths, np.fromiter(ids, dtype=id_type, count=int(lengths.sum()))


def link_pieces(
    pair: SentencePair,
    source_ids: Sequence[int],
    target_ids: Sequence[int],
    tokenizers: Tokenizers,
    *,
    num_tags: int = 0,
) -> list[int]:
    """Link every piece of a word with every piece of the words that it belongs to.

    Args:
        pair: Says which words belong together.
        source_ids: The pieces of its source.
        target_ids: The pieces of its target.
        tokenizers: Those of source and target.
        num_tags: How many pieces will stand before the source.

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
                places += [source_place + num_tags, target_place]
    return places


def _places(words: Sequence[int], wanted: int) -> list[int]:
    return [place for place, word in enumerate(words) if word == wanted]
