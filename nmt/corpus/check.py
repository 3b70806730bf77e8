"""What looks wrong with whole sets before they are trained on. Changes nothing, only tells.

Pairs to be tested on that stand in the training set. And sides that are swapped, perhaps only from
some line on: each side has its own frequent words and characters, which the validation set shows.
Where those cannot tell the two sides of the validation set itself apart (digits and digits
reversed, two dialects), nothing is said of the training set.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import log

from nmt.corpus.clean import is_blank
from nmt.corpus.pairs import SentencePair

# Pairs to learn the sides from: fewer show too little, more show nothing new.
_MIN_LEARNED, _MAX_LEARNED = 20, 5_000
# Words and characters that are weighed, the most frequent of each side.
_NUM_WORDS, _NUM_CHARACTERS = 500, 500
# Pairs looked at first; only where some of them are suspicious, all others are.
_NUM_SAMPLED = 5_000
# How much evidence makes a pair look swapped: e to this power times likelier than not.
_MARGIN = 4.0
# Shares of pairs: what the validation set may have swapped or undecided for it to be believed, and
# what the training set must have swapped for a warning.
_MAX_WRONG, _MIN_RIGHT, _MIN_SWAPPED = 0.02, 0.6, 0.05
# Pairs from the first swapped one on that must be swapped for about as large a share.
_WINDOW = 20


@dataclass(frozen=True, slots=True)
class SwappedSides:
    """How much of a training set looks as if source and target were swapped.

    Args:
        num_swapped: Pairs that look so.
        first: Where the first of them is, from 0 on; single ones that others do not follow apart.
    """

    num_swapped: int
    first: int


class SeenPairs:
    """Counts how many of the pairs held out stand in a training set; blank ones do not count."""

    def __init__(self, held_out: Sequence[SentencePair]) -> None:
        """Take the pairs to look for."""
        self._held_out = [(pair.source, pair.target) for pair in held_out]
        self._wanted = {pair for pair in self._held_out if not any(map(is_blank, pair))}
        self._sources = {source for source, _ in self._wanted}
        self._seen: set[tuple[str, str]] = set()

    def look_at(self, pairs: Iterable[SentencePair]) -> None:
        """Look for them among some of the training set."""
        sources = self._sources
        self._seen.update(
            (pair.source, pair.target)
            for pair in pairs
            if pair.source in sources and (pair.source, pair.target) in self._wanted
        )

    @property
    def num_pairs(self) -> int:
        """How many pairs are held out."""
        return len(self._held_out)

    @property
    def count(self) -> int:
        """How many of them were found so far."""
        return sum(pair in self._seen for pair in self._held_out)


def find_swapped(
    pairs: Sequence[SentencePair], validation: Sequence[SentencePair]
) -> SwappedSides | None:
    """Look for pairs whose source looks like a target, and the target like a source.

    Args:
        pairs: A training set.
        validation: Pairs whose sides are believed.

    Returns:
        What was found; None where next to nothing is swapped, or nobody can tell.
    """
    learned = _spread(validation, _MAX_LEARNED)
    if len(learned) < _MIN_LEARNED or not _can_tell(learned):
        return None
    weights = _learn(learned)
    sample = _spread(pairs, _NUM_SAMPLED)
    if _share(_look_swapped(weights, sample)) < _MIN_SWAPPED:
        return None
    swapped = _look_swapped(weights, pairs)
    share = _share(swapped)
    return SwappedSides(sum(swapped), _first(swapped, share)) if share >= _MIN_SWAPPED else None


def _spread(pairs: Sequence[SentencePair], count: int) -> list[SentencePair]:
    """Return at most so many pairs, at even distances."""
    count = min(count, len(pairs))
    return [pairs[place * len(pairs) // count] for place in range(count)]


def _can_tell(pairs: Sequence[SentencePair]) -> bool:
    """Learn from one half of the pairs, and see that the other half looks right."""
    weights = _learn(pairs[::2])
    evidence = [_evidence(weights, pair) for pair in pairs[1::2]]
    num_right = sum(one > _MARGIN for one in evidence)
    num_wrong = sum(one < -_MARGIN for one in evidence)
    return num_right >= _MIN_RIGHT * len(evidence) and num_wrong <= _MAX_WRONG * len(evidence)


def _learn(pairs: Sequence[SentencePair]) -> dict[str, float]:
    """Return how much each frequent word and character speaks for the source side.

    The logarithm of how many more sentences have it there than on the target side.
    """
    sources, targets = Counter[str](), Counter[str]()
    for pair in pairs:
        sources.update(_features(pair.source))
        targets.update(_features(pair.target))
    frequent = {*_most_frequent(sources), *_most_frequent(targets)}
    return {name: log((sources[name] + 0.5) / (targets[name] + 0.5)) for name in frequent}


def _most_frequent(counts: Counter[str]) -> Iterable[str]:
    ranked = [name for name, _ in counts.most_common()]
    yield from islice((name for name in ranked if len(name) == 1), _NUM_CHARACTERS)
    yield from islice((name for name in ranked if len(name) > 1), _NUM_WORDS)


def _features(text: str) -> set[str]:
    """Return the words of a text, each with a space in front, and its characters."""
    text = text.casefold()
    return {f" {word}" for word in text.split()} | set(text)


def _evidence(weights: Mapping[str, float], pair: SentencePair) -> float:
    """Say how much speaks for the sides as they are; less than 0 speaks for swapping them."""
    source, target = _features(pair.source), _features(pair.target)
    # what both sides have says nothing
    return sum(weights.get(name, 0.0) for name in source - target) - sum(
        weights.get(name, 0.0) for name in target - source
    )


def _look_swapped(weights: Mapping[str, float], pairs: Iterable[SentencePair]) -> bytearray:
    """Return a byte for each pair, 1 or 0."""
    return bytearray(_evidence(weights, pair) < -_MARGIN for pair in pairs)


def _share(flags: Sequence[int]) -> float:
    return sum(flags) / len(flags)


def _first(swapped: Sequence[int], share: float) -> int:
    """Return the first that is swapped and has about as many swapped ones behind it as all have."""
    enough = share * _WINDOW / 2
    candidates = (place for place, is_swapped in enumerate(swapped) if is_swapped)
    return next(place for place in candidates if sum(swapped[place : place + _WINDOW]) >= enough)
