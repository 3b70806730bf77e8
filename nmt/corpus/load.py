"""Sentence pairs from wherever a recipe says they are.

Knows the kinds of sets; how each is read is for its own module. Every line that is there becomes a
pair, blank ones included; what is unfit for training is for `clean` to say.
"""

import logging
from collections.abc import Sequence
from typing import assert_never

from nmt.corpus.files import read_lines
from nmt.corpus.hub import describe_hub, read_hub
from nmt.corpus.links import read_links
from nmt.corpus.pairs import Columns, SentencePair
from nmt.corpus.records import read_jsonl
from nmt.corpus.tables import read_csv, read_tsv
from nmt.errors import DataError
from nmt.recipe import BuiltinSet, CorpusSet, CsvSet, FileSet, HubSet, JsonlSet, TsvSet

_log = logging.getLogger(__name__)


def load_pairs(corpus_set: CorpusSet, *, reverse: bool = False) -> list[SentencePair]:
    """Load all sentence pairs of a set, see `load_numbered_pairs`."""
    pairs, _ = load_numbered_pairs(corpus_set, reverse=reverse)
    return pairs


def load_numbered_pairs(
    corpus_set: CorpusSet, *, reverse: bool = False
) -> tuple[list[SentencePair], Sequence[int]]:
    """Load all sentence pairs of a set, in their order, and the lines they stand in.

    A sentence is one line: a line break inside one, which some forms of corpora allow, becomes a
    space, and the log says how many there were.

    Args:
        corpus_set: Where the pairs are.
        reverse: Swap the sides: what the set calls target becomes the source.

    Returns:
        One pair for each line or row, at least one; and in which line of its file each begins, or
        in which row of its set, from 1 on.

    Raises:
        DataError: The set cannot be read, is not parallel or is empty.
    """
    columns = _load(corpus_set)
    if not columns.sources:
        raise DataError(
            f"{describe_set(corpus_set)} must have at least one sentence pair, got none"
        )
    name = describe_set(corpus_set)
    sources = _without_line_breaks(columns.sources, name=name, side="sources")
    targets = _without_line_breaks(columns.targets, name=name, side="targets")
    links = columns.links
    if reverse:
        sources, targets = targets, sources
        links = links and [tuple((j, i) for i, j in pair_links) for pair_links in links]
    pairs = map(SentencePair, sources, targets, *([] if links is None else [links]))
    return list(pairs), columns.line_numbers


def describe_set(corpus_set: CorpusSet) -> str:
    """Name a set in a few words, for messages and reports."""
    match corpus_set:
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


def _load(corpus_set: CorpusSet) -> Columns:
    match corpus_set:
        case FileSet():
            return _read_files(corpus_set)
        case TsvSet():
            return read_tsv(corpus_set)
        case CsvSet():
            return read_csv(corpus_set)
        case JsonlSet():
            return read_jsonl(corpus_set)
        case HubSet():
            return read_hub(corpus_set)
        case BuiltinSet():
            return _draw(corpus_set)
        case _:
            assert_never(corpus_set)


def _read_files(corpus_set: FileSet) -> Columns:
    sources = read_lines(corpus_set.source)
    targets = read_lines(corpus_set.target)
    if len(sources) != len(targets):
        raise DataError(
            f"{corpus_set.source} has {len(sources)} lines, "
            f"{corpus_set.target} has {len(targets)}; "
            "parallel files must have equal numbers of lines"
        )
    links = None
    if corpus_set.alignment is not None:
        links = read_links(corpus_set.alignment, sources, targets)
    return Columns(sources, targets, range(1, len(sources) + 1), links)


def _draw(corpus_set: BuiltinSet) -> Columns:
    # Only the built-in corpus needs the grammar.
    from nmt.corpus.grammar import draw_pairs

    pairs = list(
        draw_pairs(
            split=corpus_set.split,
            count=corpus_set.sentences,
            seed=corpus_set.seed,
            distance=corpus_set.distance,
        )
    )
    return Columns(
        [pair.source for pair in pairs],
        [pair.target for pair in pairs],
        range(1, len(pairs) + 1),
    )


def _without_line_breaks(texts: Sequence[str], *, name: str, side: str) -> Sequence[str]:
    """Put each text on one line; the same texts where they are already."""
    num_broken = sum("\n" in text for text in texts)
    if not num_broken:
        return texts
    _log.info("%s: made a space of the line breaks inside %d %s", name, num_broken, side)
    return [text.replace("\r\n", " ").replace("\n", " ") for text in texts]
