"""The sentence pair, which every room that touches text speaks of. Knows no files."""

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Columns:
    """The two sides of a set as they were read, entry n of one belonging to entry n of the other.

    Args:
        sources: The sources; from some forms of corpora they may still have line breaks inside.
        targets: The targets, as many.
        line_numbers: Where each entry begins in its file, from 1 on.
        links: Which words of each entry belong together, where the set says so.
    """

    sources: Sequence[str]
    targets: Sequence[str]
    line_numbers: Sequence[int]
    links: Sequence[Links] | None = None
