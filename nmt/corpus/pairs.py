"""The sentence pair, which every room that touches text speaks of. Knows no files."""

from collections.abc import Sequence
from dataclasses import dataclass

# Pairs that are read, written and worked on at a time.
BLOCK_SIZE = 10_000

# Word i of a source belongs to word j of its target, words being parted by white space.
Links = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class SentencePair:
    """One sentence and its translation, as plain text without a line end.

    Args:
        source: The sentence to translate.
        target: Its translation.
        links: Which words belong together; None where nobody said.
    """

    source: str
    target: str
    links: Links | None = None


# A source, its target, and the line of the file in which the two begin, from 1 on. From some forms
# of corpora either side may still have line breaks inside.
Entry = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Block:
    """Some pairs of a corpus, in their order.

    Args:
        pairs: The pairs.
        line_numbers: In which line of its file, or row of its set, each begins, from 1 on.
    """

    pairs: Sequence[SentencePair]
    line_numbers: Sequence[int]
