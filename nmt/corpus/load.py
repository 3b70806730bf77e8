"""Sentence pairs from wherever a recipe says they are.

Knows the kinds of sets; how each is read is for its own module. Every line that is there becomes a
pair, blank ones included; what is unfit for training is for `clean` to say.
"""

import logging
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice, tee, zip_longest
from typing import assert_never

from nmt.corpus.files import stream_lines
from nmt.corpus.hub import describe_hub, read_hub
from nmt.corpus.links import read_links
from nmt.corpus.pairs import BLOCK_SIZE, Block, Entry, Links, SentencePair
from nmt.corpus.records import read_jsonl
from nmt.corpus.tables import read_csv, read_tsv
from nmt.errors import DataError
from nmt.recipe import BuiltinSet, CorpusSet, CorpusSets, CsvSet, FileSet, HubSet, JsonlSet, TsvSet

_log = logging.getLogger(__name__)


def load_pairs(corpus_set: CorpusSet, *, reverse: bool = False) -> list[SentencePair]:
    """Load all sentence pairs of a set, see `load_numbered_pairs`."""
    pairs, _ = load_numbered_pairs(corpus_set, reverse=reverse)
    return pairs


def load_numbered_pairs(
    corpus_set: CorpusSet, *, reverse: bool = False
) -> tuple[list[SentencePair], Sequence[int]]:
    """Load all sentence pairs of a set, in their order, and the lines they stand in.

    Args:
        corpus_set: Where the pairs are.
        reverse: Swap the sides: what the set calls target becomes the source.

    Returns:
        The pairs and their lines, see `stream_blocks`.

    Raises:
        DataError: The set cannot be read, is not parallel or is empty.
    """
    pairs: list[SentencePair] = []
    line_numbers = array("q")
    for block in stream_blocks(corpus_set, reverse=reverse):
        pairs += block.pairs
        line_numbers.extend(block.line_numbers)
    return pairs, line_numbers


def stream_blocks(corpus_set: CorpusSet, *, reverse: bool = False) -> Iterator[Block]:
    """Yield the sentence pairs of a set as they are read, some thousand at a time.

    A sentence is one line: a line break inside one, which some forms of corpora allow, becomes a
    space, and the log says how many there were.

    Args:
        corpus_set: Where the pairs are.
        reverse: Swap the sides: what the set calls target becomes the source.

    Yields:
        One pair for each line or row, at least one in all.

    Raises:
        DataError: The set cannot be read, is not parallel or is empty.
    """
    name = describe_set(corpus_set)
    # the grammar draws English with its German; a recipe may ask for it the other way round
    reverse ^= isinstance(corpus_set, BuiltinSet) and corpus_set.source_lang == "de"
    num_broken = [0, 0]
    entries = _entries(corpus_set)
    is_empty = True
    while chunk := list(islice(entries, BLOCK_SIZE)):
        is_empty = False
        sources, targets, line_numbers, links = zip(*chunk, strict=True)
        sides = [sources, targets]
        for side, texts in enumerate(sides):
            broken = sum("\n" in text for text in texts)
            num_broken[side] += broken
            sides[side] = _without_line_breaks(texts) if broken else texts
        pairs = map(_swapped if reverse else SentencePair, *sides, links)
        yield Block(list(pairs), line_numbers)
    if is_empty:
        raise DataError(f"{name} must have at least one sentence pair, got none")
    for what, count in zip(("sources", "targets"), num_broken, strict=True):
        if count:
            _log.info("%s: made a space of the line breaks inside %d %s", name, count, what)


def pairs_of(
    sources: Sequence[str], targets: Sequence[str], *, reverse: bool
) -> list[SentencePair]:
    """Make pairs of texts: a line break inside one becomes a space, as in `stream_blocks`."""
    sides = (_without_line_breaks(texts) for texts in (sources, targets))
    swapped = [
        (target, source) if reverse else (source, target)
        for source, target in zip(*sides, strict=True)
    ]
    return [SentencePair(source, target) for source, target in swapped]


def describe_set(corpus_set: CorpusSets) -> str:
    """Name a set in a few words, or the sets of a list, for messages and reports."""
    match corpus_set:
        case tuple():
            return "; ".join(map(describe_set, corpus_set))
        case FileSet():
            return f"{corpus_set.source} + {corpus_set.target}"
        case TsvSet():
            return corpus_set.tsv
        case CsvSet():
            return corpus_set.csv
        case JsonlSet():
            return corpus_set.jsonl
        case HubSet():
            return describe_hub(corpus_set)
        case BuiltinSet():
            distance = "" if corpus_set.distance is None else f", distance {corpus_set.distance}"
            return (
                f"built-in {corpus_set.builtin}, {corpus_set.split}, {corpus_set.sentences} "
                f"artificial sentences, seed {corpus_set.seed}{distance}"
            )
        case _:
            assert_never(corpus_set)


def _entries(corpus_set: CorpusSet) -> Iterator[tuple[str, str, int, Links | None]]:
    """Yield source, target, line and links of each pair."""
    match corpus_set:
        case FileSet():
            entries = _read_files(corpus_set)
            if corpus_set.alignment is not None:
                return _with_links(entries, corpus_set.alignment)
        case TsvSet():
            entries = read_tsv(corpus_set)
        case CsvSet():
            entries = read_csv(corpus_set)
        case JsonlSet():
            entries = read_jsonl(corpus_set)
        case HubSet():
            entries = read_hub(corpus_set)
        case BuiltinSet():
            entries = _draw(corpus_set)
        case _:
            assert_never(corpus_set)
    return ((*entry, None) for entry in entries)


def _read_files(corpus_set: FileSet) -> Iterator[Entry]:
    sources, targets = stream_lines(corpus_set.source), stream_lines(corpus_set.target)
    for number, (source, target) in enumerate(zip_longest(sources, targets), start=1):
        if source is None or target is None:
            num_sources = number - (source is None) + sum(1 for _ in sources)
            num_targets = number - (target is None) + sum(1 for _ in targets)
            raise DataError(
                f"{corpus_set.source} has {num_sources} lines, "
                f"{corpus_set.target} has {num_targets}; "
                "parallel files must have equal numbers of lines"
            )
        yield source, target, number


def _with_links(
    entries: Iterator[Entry], path: str
) -> Iterator[tuple[str, str, int, Links | None]]:
    entries, again = tee(entries)
    links = read_links(path, ((source, target) for source, target, _ in again))
    # the links first: they complain of a line too many
    for pair_links, entry in zip(links, entries, strict=True):
        yield (*entry, pair_links)


def _draw(corpus_set: BuiltinSet) -> Iterator[Entry]:
    # Only the built-in corpus needs the grammar.
    from nmt.corpus.grammar import draw_pairs

    pairs = draw_pairs(
        split=corpus_set.split,
        count=corpus_set.sentences,
        seed=corpus_set.seed,
        distance=corpus_set.distance,
    )
    return ((pair.source, pair.target, number) for number, pair in enumerate(pairs, start=1))


def _swapped(source: str, target: str, links: Links | None) -> SentencePair:
    turned = None if links is None else tuple((j, i) for i, j in links)
    return SentencePair(target, source, turned)


def _without_line_breaks(texts: Sequence[str]) -> tuple[str, ...]:
    """Put each text on one line."""
    return tuple(text.replace("\r\n", " ").replace("\n", " ") for text in texts)
