"""What a report must know of the training data: its words, and which test sentences stand in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from nmt.corpus import SentencePair, clean, load_pairs
from nmt.errors import DataError
from nmt.evaluation.words import words_of
from nmt.recipe import HubSet
from nmt.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class TrainingText:
    """The words of the pairs that a model was trained on.

    Args:
        num_pairs: How many pairs there were.
        source_words: How often each word was in the sources, its case left out.
        target_words: Likewise in the targets.
        seen: Those of the test sets' sources that are a source there too.
    """

    num_pairs: int
    source_words: Counter[str]
    target_words: Counter[str]
    seen: Collection[str]


def read_training_text(
    pairs: Iterable[SentencePair], sources: Iterable[str], *, direction: tuple[str, str]
) -> TrainingText:
    """Read through training pairs once.

    Args:
        pairs: What was trained on.
        sources: The sources of the test sets.
        direction: The source and the target language.
    """
    wanted = {source.strip() for source in sources}
    source_words, target_words = Counter[str](), Counter[str]()
    seen: set[str] = set()
    num_pairs = 0
    for pair in pairs:
        num_pairs += 1
        source_words.update(words_of(pair.source.casefold(), direction[0]))
        target_words.update(words_of(pair.target.casefold(), direction[1]))
        if pair.source.strip() in wanted:
            seen.add(pair.source.strip())
    return TrainingText(num_pairs, source_words, target_words, frozenset(seen))


def training_text_of_run(folder: RunFolder, sources: Sequence[str]) -> TrainingText | str:
    """Read the training set that a run's recipe names, as far as it was trained on.

    Returns:
        The text, or why there is none: a run folder may be evaluated far from its data.
    """
    data = folder.recipe.data
    sets = [one for _, one in data.named_train_sets() if data.direction_of(one) == data.direction]
    if any(isinstance(one, HubSet) and one.streaming for one in sets):
        return "it is a stream, which is not read again"
    try:
        read = [load_pairs(one, reverse=data.reverse) for one in sets]
        held_out = [
            pair
            for one in (data.validation, data.test)
            if one is not None
            for pair in load_pairs(one, reverse=data.reverse)
        ]
    except DataError as error:
        return str(error)
    kept = [pair for pairs in read for pair in clean(pairs, data.cleaning, held_out=held_out)[0]]
    return read_training_text(kept, sources, direction=data.direction)
