"""Word alignments: which word of the source belongs to which of the target.

Read in the form that aligners write (fast_align, eflomal, Pharaoh): a line for each pair, `i-j` for
each link, words counted from 0 and parted by white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

from nmt.corpus.files import stream_lines
from nmt.corpus.pairs import Links
from nmt.errors import DataError

_LINK = re.compile(r"(\d+)-(\d+)")


def read_links(path: str | Path, pairs: Iterable[tuple[str, str]]) -> Iterator[Links]:
    """Yield the links of every sentence pair.

    Args:
        path: The file.
        pairs: Source and target of each.

    Raises:
        DataError: There are more or fewer lines than pairs, or a line has something else than links
            between words that are there.
    """
    lines, rest = stream_lines(path), iter(pairs)
    for number, (line, pair) in enumerate(zip_longest(lines, rest), start=1):
        if line is None or pair is None:
            num_lines = number - (line is None) + sum(1 for _ in lines)
            num_pairs = number - (pair is None) + sum(1 for _ in rest)
            raise DataError(
                f"{path} has {num_lines} lines, its corpus has {num_pairs}; "
                "an alignment file must have a line for each pair"
            )
        yield _parse(line, *pair, place=f"{path}: line {number}")


def _parse(line: str, source_text: str, target_text: str, *, place: str) -> Links:
    num_words = len(source_text.split()), len(target_text.split())
    parsed = []
    for link in line.split():
        numbers = _LINK.fullmatch(link)
        if numbers is None:
            raise DataError(f"{place}: a link must be two numbers such as 0-1, got {link!r}")
        source, target = int(numbers[1]), int(numbers[2])
        if source >= num_words[0] or target >= num_words[1]:
            raise DataError(
                f"{place}: link {link!r} must be between words that are there, the sentences have "
                f"{num_words[0]} and {num_words[1]}"
            )
        parsed.append((source, target))
    return tuple(parsed)
