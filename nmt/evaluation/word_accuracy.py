"""How well words are translated, by how often training saw them (after compare-mt, Neubig 2019)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nmt.bleu import References
from nmt.evaluation.buckets import frequency_ranges
from nmt.evaluation.training_text import TrainingText
from nmt.evaluation.words import words_of


@dataclass(frozen=True, slots=True)
class WordAccuracy:
    """The words that training saw about as often.

    Args:
        label: How often training saw them.
        num_reference: How many the references have.
        num_hypothesis: How many the hypotheses have.
        num_matched: How many of these a hypothesis has in common with its reference, wherever they
            stand in the sentence.
    """

    label: str
    num_reference: int
    num_hypothesis: int
    num_matched: int

    @property
    def recall(self) -> float | None:
        """The share of the references' words that were found; None where there are none."""
        return self.num_matched / self.num_reference if self.num_reference else None

    @property
    def precision(self) -> float | None:
        """The share of the hypotheses' words that are right; None where there are none."""
        return self.num_matched / self.num_hypothesis if self.num_hypothesis else None


def word_accuracy(
    hypotheses: Sequence[str],
    references: References,
    training: TrainingText,
    *,
    target_lang: str,
) -> list[WordAccuracy]:
    """Count words found and missed; of several references the one with most words in common.

    Case is left out.

    Returns:
        One entry for each range of frequencies, from words never seen on.
    """
    wanted, written, matched = Counter[str](), Counter[str](), Counter[str]()
    for hypothesis, *lines in zip(hypotheses, *references, strict=True):
        words = _counted(hypothesis, target_lang)
        choices = [_counted(line or "", target_lang) for line in lines]
        reference = max(choices, key=lambda one: (words & one).total())
        wanted += reference
        written += words
        matched += words & reference
    entries = []
    for low, high in frequency_ranges():
        totals = [
            sum(
                count
                for word, count in counts.items()
                if low <= training.target_words[word]
                and (high is None or training.target_words[word] <= high)
            )
            for counts in (wanted, written, matched)
        ]
        label = f"{low} and more" if high is None else "never" if high == 0 else f"{low}-{high}"
        entries.append(WordAccuracy(label, *totals))
    return entries


def _counted(text: str, lang: str) -> Counter[str]:
    return Counter(words_of(text.casefold(), lang))
