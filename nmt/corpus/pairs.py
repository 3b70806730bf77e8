"""The sentence pair, which every room that touches text speaks of. Knows no files."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

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


class PairSequence(Sequence[SentencePair]):
    """Sentence pairs that are not held in a list: `pair` finds one, slices are lists."""

    @abstractmethod
    def pair(self, place: int) -> SentencePair:
        """Return the pair at a place, counted from 0."""

    @overload
    def __getitem__(self, index: int) -> SentencePair: ...

    @overload
    def __getitem__(self, index: slice) -> list[SentencePair]: ...

    def __getitem__(self, index: int | slice) -> SentencePair | list[SentencePair]:
        """Return a pair, or several."""
        places = range(len(self))[index]
        return self.pair(places) if isinstance(places, int) else [*map(self.pair, places)]


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
