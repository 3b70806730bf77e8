"""A test set in parts that may explain its score: short and long, usual and rare, and so on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nmt.evaluation.measures import Counts, Measure
from nmt.evaluation.properties import Properties

_NUM_PARTS = 5
# How often the rarest word was seen: the lowest count of each part.
_RARITY = (0, 1, 5, 20, 100)
# Below this an interval says next to nothing, and takes in next to everything.
_MIN_FOR_INTERVAL = 10
_RESAMPLES = 300


@dataclass(frozen=True, slots=True)
class PartScore:
    """The score of a part of a test set; the interval is None where it has too few sentences."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Sentences that have something in common.

    Args:
        label: What they have in common.
        places: Which they are, counted from 0.
    """

    label: str
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grouping:
    """A test set, or what is known of it, by one property; each sentence is in one bucket at most.

    Args:
        name: The property, for programs.
        title: The property, for people.
        buckets: Those that have any sentences.
    """

    name: str
    title: str
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class ScoredBucket:
    """One bucket's scores by metric."""

    label: str
    count: int
    scores: Mapping[str, PartScore]


@dataclass(frozen=True, slots=True)
class ScoredGrouping:
    """A test set's scores by one property, see `Grouping`."""

    name: str
    title: str
    buckets: tuple[ScoredBucket, ...]


def group(properties: Sequence[Properties]) -> list[Grouping]:
    """Part a test set by each property that is known; not by those that tell nothing apart."""
    groupings = [
        _by_size("source_length", "Words of the source", properties, lambda one: one.source_words),
        _by_rarity(properties),
        _by_size(
            "source_pieces", "Pieces of the source", properties, lambda one: one.source_pieces
        ),
        _by_presence("numbers", "Numbers in the source", properties, lambda one: one.has_number),
        _by_presence("names", "Names in the source", properties, lambda one: one.has_name),
        _by_presence(
            "unseen_words",
            "Words that training never saw in the source",
            properties,
            lambda one: None if one.unseen_words is None else one.unseen_words > 0,
        ),
    ]
    return [grouping for grouping in groupings if len(grouping.buckets) > 1]


def score_groupings(
    groupings: Sequence[Grouping], counted: Sequence[tuple[Measure, Counts]]
) -> list[ScoredGrouping]:
    """Score each bucket by each measure; see `Measure.count` for what is counted."""
    return [
        ScoredGrouping(
            grouping.name,
            grouping.title,
            tuple(
                ScoredBucket(
                    bucket.label,
                    len(bucket.places),
                    {
                        measure.name: score_part(measure, counts[list(bucket.places)])
                        for measure, counts in counted
                    },
                )
                for bucket in grouping.buckets
            ),
        )
        for grouping in groupings
    ]


def score_part(measure: Measure, counts: Counts) -> PartScore:
    """Score some sentences, with an interval where they are enough for one."""
    is_enough = len(counts) >= _MIN_FOR_INTERVAL
    interval = measure.interval(counts, resamples=_RESAMPLES) if is_enough else None
    return PartScore(measure.score(counts), interval)


def _by_size(
    name: str,
    title: str,
    properties: Sequence[Properties],
    size: Callable[[Properties], int | None],
) -> Grouping:
    """Part by a number, in parts of about equal size."""
    known = [found for one in properties if (found := size(one)) is not None]
    if not known:
        return Grouping(name, title, ())
    shares = [share / _NUM_PARTS for share in range(_NUM_PARTS)]
    starts = sorted({int(start) for start in np.quantile(known, shares, method="higher")})
    return _in_ranges(name, title, [size(one) for one in properties], starts)


def _by_rarity(properties: Sequence[Properties]) -> Grouping:
    title = "How often training saw the reference's rarest word"
    return _in_ranges("rarest_word", title, [one.rarest_word for one in properties], _RARITY)


def _in_ranges(
    name: str, title: str, sizes: Sequence[int | None], starts: Sequence[int]
) -> Grouping:
    buckets = []
    last = max((size for size in sizes if size is not None), default=0)
    ends = [*starts[1:], None]
    for start, end in zip(starts, ends, strict=True):
        places = tuple(
            place
            for place, size in enumerate(sizes)
            if size is not None and start <= size and (end is None or size < end)
        )
        if places:
            buckets.append(Bucket(range_label(start, last if end is None else end - 1), places))
    return Grouping(name, title, tuple(buckets))


def range_label(first: int, last: int) -> str:
    """Return how people write a range of numbers."""
    return str(first) if first == last else f"{first}-{last}"


def _by_presence(
    name: str,
    title: str,
    properties: Sequence[Properties],
    has: Callable[[Properties], bool | None],
) -> Grouping:
    buckets = []
    for label, wanted in (("without", False), ("with", True)):
        places = tuple(place for place, one in enumerate(properties) if has(one) is wanted)
        if places:
            buckets.append(Bucket(label, places))
    return Grouping(name, title, tuple(buckets))


def frequency_ranges() -> list[tuple[int, int | None]]:
    """Return the parts of `rarest_word`: the lowest and the highest count, None for no end."""
    return [*((low, high - 1) for low, high in pairwise(_RARITY)), (_RARITY[-1], None)]
