"""What of a sentence may explain its score: length, rare and unseen words, numbers, names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.evaluation.details import Detail
from nmt.evaluation.segments import Segments
from nmt.evaluation.training_text import TrainingText
from nmt.evaluation.words import words_of


@dataclass(frozen=True, slots=True)
class Properties:
    """What is told of one sentence; None is what nobody knows here.

    Args:
        source_words: Words of the source.
        source_pieces: Pieces of the source, as the tokenizer cuts it.
        rarest_word: How often the rarest word of the references was in the training targets.
        unseen_words: Words of the source that no training source had.
        has_number: Whether the source has a digit.
        has_name: Whether the source has a capitalised word, other than its first, that a reference
            keeps as it is.
    """

    source_words: int
    source_pieces: int | None
    rarest_word: int | None
    unseen_words: int | None
    has_number: bool
    has_name: bool


def properties_of(
    segments: Segments,
    *,
    direction: tuple[str, str],
    details: Sequence[Detail] | None = None,
    training: TrainingText | None = None,
) -> list[Properties]:
    """Return what is told of each sentence of a test set."""
    source_lang, target_lang = direction
    found = []
    for place, source in enumerate(segments.sources):
        words = words_of(source, source_lang)
        targets = [
            word
            for lines in segments.references
            for word in words_of(lines[place] or "", target_lang)
        ]
        found.append(
            Properties(
                source_words=len(words),
                source_pieces=details[place].num_pieces if details else None,
                rarest_word=_rarest(targets, training),
                unseen_words=_num_unseen(words, training),
                has_number=any(character.isdigit() for character in source),
                has_name=any(word in targets for word in words[1:] if _is_capitalised(word)),
            )
        )
    return found


def _rarest(words: Sequence[str], training: TrainingText | None) -> int | None:
    if training is None or not words:
        return None
    return min(training.target_words[word.casefold()] for word in words)


def _num_unseen(words: Sequence[str], training: TrainingText | None) -> int | None:
    if training is None:
        return None
    return sum(training.source_words[word.casefold()] == 0 for word in words)


def _is_capitalised(word: str) -> bool:
    return len(word) > 1 and word[0].isupper()
