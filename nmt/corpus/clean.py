"""Which pairs are unfit for training, and a count of why. Knows no files and no tokens."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from nmt.corpus.pairs import SentencePair
from nmt.errors import DataError
from nmt.recipe import CleaningRecipe

Reason = Literal["blank", "too_long", "length_ratio", "duplicate"]


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """How many pairs came, how many stayed, and how many left for which reason.

    A pair that is unfit for several reasons counts under the first, in the order of the fields.

    Args:
        num_pairs: Pairs before cleaning.
        num_kept: Pairs after it.
        blank: Nothing to see on one side or on both.
        too_long: A side longer than `max_characters`.
        length_ratio: The longer side more than `max_length_ratio` times the shorter, in characters.
        duplicate: The same pair, both sides alike, was kept before.
    """

    num_pairs: int
    num_kept: int
    blank: int = 0
    too_long: int = 0
    length_ratio: int = 0
    duplicate: int = 0

    def __str__(self) -> str:
        """Say it in one line, without the reasons that dropped nothing."""
        counts = asdict(self)
        dropped = [f"{reason} {counts[reason]}" for reason in get_args(Reason) if counts[reason]]
        kept = f"kept {self.num_kept} of {self.num_pairs} sentence pairs"
        return f"{kept} (dropped: {', '.join(dropped)})" if dropped else kept

    def to_json(self) -> str:
        """Return the counts as a JSON object over several lines."""
        return json.dumps(asdict(self), indent=2) + "\n"


def clean(
    pairs: Iterable[SentencePair], cleaning: CleaningRecipe
) -> tuple[list[SentencePair], CleaningReport]:
    """Drop the pairs that training would learn nothing good from.

    Meant for training sets alone: a test set is translated as it is.

    Args:
        pairs: The pairs of a training set.
        cleaning: Limits; one that is None is off. Pairs blank on a side always go.

    Returns:
        The pairs that stay, in their order, and the counts.

    Raises:
        DataError: No pair stays.
    """
    kept: list[SentencePair] = []
    seen: set[SentencePair] = set()
    dropped: Counter[Reason] = Counter()
    for pair in pairs:
        reason = _flaw(pair, cleaning)
        if reason is None and pair in seen:
            reason = "duplicate"
        if reason is not None:
            dropped[reason] += 1
            continue
        kept.append(pair)
        if cleaning.deduplicate:
            seen.add(pair)
    report = CleaningReport(
        num_pairs=len(kept) + dropped.total(),
        num_kept=len(kept),
        blank=dropped["blank"],
        too_long=dropped["too_long"],
        length_ratio=dropped["length_ratio"],
        duplicate=dropped["duplicate"],
    )
    if not kept:
        raise DataError(f"training set must have pairs left after cleaning, {report}")
    return kept, report


def _flaw(pair: SentencePair, cleaning: CleaningRecipe) -> Reason | None:
    """Say what is wrong with a pair by itself; None where nothing is."""
    if _is_blank(pair.source) or _is_blank(pair.target):
        return "blank"
    shorter, longer = sorted((len(pair.source), len(pair.target)))
    if cleaning.max_characters is not None and longer > cleaning.max_characters:
        return "too_long"
    if cleaning.max_length_ratio is not None and longer > cleaning.max_length_ratio * shorter:
        return "length_ratio"
    return None


def _is_blank(text: str) -> bool:
    """Say whether a tokenizer may find nothing: only white space, controls and zero-width marks."""
    return all(
        character.isspace() or unicodedata.category(character) in ("Cc", "Cf") for character in text
    )
