"""Which pairs are unfit for training, and a count of why. Knows no files and no tokens."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal, get_args

import numpy as np

from nmt.corpus.hashes import find_repeated, hash_pairs
from nmt.corpus.pairs import Block, SentencePair
from nmt.errors import DataError
from nmt.recipe import CleaningRecipe

Reason = Literal["blank", "too_long", "length_ratio", "identical", "held_out", "duplicate"]
REASONS: tuple[Reason, ...] = get_args(Reason)

# Lines that the report names for each reason: enough to look at.
_NUM_FIRST_LINES = 5


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """How many pairs came, how many stayed, and how many left for which reason.

    A pair that is unfit for several reasons counts under the first, in the order of the fields.

    Args:
        num_pairs: Pairs before cleaning.
        num_kept: Pairs after it.
        blank: Nothing to see on one side or on both.
        too_long: A side longer than `max_characters`.
        length_ratio: The target's length over the source's, in characters, is more than
            `max_length_ratio` times the corpus's median of that, or less than it over as much.
        identical: Both sides are the same.
        held_out: The pair also stands in the validation or the test set.
        duplicate: The same pair, both sides alike, was kept before.
        median_length_ratio: The corpus's median; None where that was not asked for.
        first_lines: For each reason that dropped something, the first few lines it was found in.
    """

    num_pairs: int
    num_kept: int
    blank: int = 0
    too_long: int = 0
    length_ratio: int = 0
    identical: int = 0
    held_out: int = 0
    duplicate: int = 0
    median_length_ratio: float | None = None
    first_lines: Mapping[Reason, tuple[int, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Say it in one line, without the reasons that dropped nothing."""
        dropped = [
            f"{reason} {getattr(self, reason)} from line {lines[0]}"
            for reason, lines in self.first_lines.items()
        ]
        kept = f"kept {self.num_kept} of {self.num_pairs} sentence pairs"
        return f"{kept} (dropped: {', '.join(dropped)})" if dropped else kept

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> CleaningReport:
        """Return the report whose fields went through JSON."""
        first_lines = {reason: tuple(lines) for reason, lines in fields["first_lines"].items()}
        return cls(**{**fields, "first_lines": first_lines})

    def to_record(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold."""
        dropped = {
            reason: {
                "count": getattr(self, reason),
                "first_lines": list(self.first_lines.get(reason, ())),
            }
            for reason in REASONS
        }
        return {
            "num_pairs": self.num_pairs,
            "num_kept": self.num_kept,
            "median_length_ratio": self.median_length_ratio,
            "dropped": dropped,
        }


def clean(
    pairs: Sequence[SentencePair],
    cleaning: CleaningRecipe,
    *,
    held_out: Iterable[SentencePair] = (),
    line_numbers: Sequence[int] | None = None,
) -> tuple[list[SentencePair], CleaningReport]:
    """Drop the pairs that training would learn nothing good from.

    Meant for training sets alone: a test set is translated as it is.

    Args:
        pairs: The pairs of a training set.
        cleaning: Limits; one that is None is off. Pairs blank on a side always go.
        held_out: The pairs of the validation and the test set.
        line_numbers: Where each pair stands in its file; by default they are counted from 1.

    Returns:
        The pairs that stay, in their order, and the report.

    Raises:
        DataError: Fewer pairs stay than `min_pairs`.
    """
    ratios = LengthRatios()
    ratios.add(pairs)
    hashes = np.array(hash_pairs(pairs), dtype=np.uint64)
    cleaner = Cleaner(cleaning, held_out, ratios.median())
    if line_numbers is None:
        line_numbers = range(1, len(pairs) + 1)
    kept = cleaner.clean(Block(pairs, line_numbers), find_repeated(hashes).tolist())
    report = cleaner.report()
    check_number(report, min_pairs=cleaning.min_pairs)
    return kept, report


class Cleaner:
    """Drops unfit pairs, block by block, and counts them."""

    def __init__(
        self, cleaning: CleaningRecipe, held_out: Iterable[SentencePair], ratio: float | None
    ) -> None:
        """Take what to go by.

        Args:
            cleaning: Limits; one that is None is off. Pairs blank on a side always go.
            held_out: The pairs of the validation and the test set.
            ratio: The corpus's median of the target's length over the source's.
        """
        self._cleaning = cleaning
        self._ratio = ratio if cleaning.max_length_ratio is not None else None
        self._flaws = _Flaws(cleaning, held_out if cleaning.held_out else (), self._ratio)
        self._num_pairs = 0
        self._num_dropped: Counter[Reason] = Counter()
        self._first_lines: dict[Reason, list[int]] = {reason: [] for reason in REASONS}

    def clean(self, block: Block, repeated: Iterable[bool]) -> list[SentencePair]:
        """Return the pairs that stay, in their order.

        Args:
            block: Pairs that come next.
            repeated: For each of them whether it came before, anywhere in the corpus.
        """
        kept = []
        rows = zip(block.pairs, block.line_numbers, repeated, strict=True)
        for pair, number, is_repeated in rows:
            reason = self._flaws.find(pair.source, pair.target, is_repeated=is_repeated)
            if reason is None:
                kept.append(pair)
                continue
            self._num_dropped[reason] += 1
            if len(self._first_lines[reason]) < _NUM_FIRST_LINES:
                self._first_lines[reason].append(number)
        self._num_pairs += len(block.pairs)
        return kept

    def report(self) -> CleaningReport:
        """Return what became of all pairs so far."""
        return CleaningReport(
            num_pairs=self._num_pairs,
            num_kept=self._num_pairs - self._num_dropped.total(),
            **{reason: self._num_dropped[reason] for reason in REASONS},
            median_length_ratio=self._ratio,
            first_lines={
                reason: tuple(lines) for reason, lines in self._first_lines.items() if lines
            },
        )


class LengthRatios:
    """How often which lengths stand beside each other, in characters; blank sides apart."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._counts: Counter[tuple[int, int]] = Counter()

    def add(self, pairs: Iterable[SentencePair]) -> None:
        """Count some pairs."""
        self._counts.update(
            (len(pair.target), len(pair.source))
            for pair in pairs
            if not (is_blank(pair.source) or is_blank(pair.target))
        )

    def median(self) -> float | None:
        """Return the median of target over source length; None where nothing was counted."""
        total = self._counts.total()
        if not total:
            return None
        ranked = sorted(
            (target / source, count) for (target, source), count in self._counts.items()
        )
        ends = list(accumulate(count for _, count in ranked))
        middle = [ranked[bisect_right(ends, place)][0] for place in ((total - 1) // 2, total // 2)]
        return sum(middle) / 2


class _Flaws:
    """Tells what is wrong with one pair after the other."""

    def __init__(
        self, cleaning: CleaningRecipe, held_out: Iterable[SentencePair], ratio: float | None
    ) -> None:
        infinity = float("inf")
        self._max_characters = cleaning.max_characters or infinity
        self._lowest_ratio, self._highest_ratio = 0.0, infinity
        if cleaning.max_length_ratio is not None and ratio is not None:
            self._lowest_ratio = ratio / cleaning.max_length_ratio
            self._highest_ratio = ratio * cleaning.max_length_ratio
        self._identical = cleaning.identical
        self._deduplicate = cleaning.deduplicate
        self._held_out = {(pair.source, pair.target) for pair in held_out}

    def find(self, source: str, target: str, *, is_repeated: bool) -> Reason | None:
        """Say why a pair is unfit; None where it is not."""
        if is_blank(source) or is_blank(target):
            return "blank"
        source_length, target_length = len(source), len(target)
        if source_length > self._max_characters or target_length > self._max_characters:
            return "too_long"
        if not self._lowest_ratio <= target_length / source_length <= self._highest_ratio:
            return "length_ratio"
        if self._identical and source.strip() == target.strip():
            return "identical"
        if (source, target) in self._held_out:
            return "held_out"
        # an equal pair that came before was kept: nothing above tells the two apart
        return "duplicate" if self._deduplicate and is_repeated else None


def is_blank(text: str) -> bool:
    """Say whether a tokenizer may find nothing: only white space, controls and zero-width marks."""
    if text[:1].isalnum():  # nearly always; the rest is slow
        return False
    return all(
        character.isspace() or unicodedata.category(character) in ("Cc", "Cf") for character in text
    )


def _listed_keys(report: CleaningReport) -> str:
    """Name the settings that dropped something, or what no setting keeps."""
    keys = {"too_long": "max_characters", "length_ratio": "max_length_ratio"}
    keys |= {"identical": "identical", "held_out": "held_out", "duplicate": "deduplicate"}
    named = [f"data.cleaning.{keys[reason]}" for reason in report.first_lines if reason in keys]
    return " and ".join(named) if named else "the blank lines"


def check_number(report: CleaningReport, *, min_pairs: int) -> None:
    """See that enough pairs stay to train on.

    Raises:
        DataError: They do not.
    """
    if report.num_kept >= min_pairs:
        return
    advice = "add pairs, or lower data.cleaning.min_pairs"
    if report.first_lines:
        advice = f"{advice}, or see {_listed_keys(report)}"
    raise DataError(
        f"training set must have at least {min_pairs} sentence pairs left, {report}; {advice}"
    )


def check_any(report: CleaningReport, *, name: str) -> None:
    """See that a corpus of several is not empty.

    Raises:
        DataError: It is.
    """
    if not report.num_kept:
        raise DataError(
            f"{name}: must have sentence pairs left, {report}; see {_listed_keys(report)}, or take "
            "it out of the list"
        )
