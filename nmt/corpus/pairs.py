"""The sentence pair, which every room that touches text speaks of. Knows no files."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SentencePair:
    """One sentence and its translation, as plain text without a line end.

    Args:
        source: The sentence to translate.
        target: Its translation.
    """

    source: str
    target: str
