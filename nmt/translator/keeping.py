"""Puts back into a translation what was kept: each once, where the model put it or looked at it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from nmt.placeholders import Kept, keep, symbols, without_invented
from nmt.search import Hypothesis
from nmt.tokenizer import Tokenizer

_SPACES = re.compile(" {2,}")


class Keeper:
    """Keeps placeholders, with the symbols that both tokenizers know."""

    def __init__(
        self, tokenizers: tuple[Tokenizer, Tokenizer], has_attention: bool, numbers: bool
    ) -> None:
        """Look the symbols up.

        Args:
            tokenizers: Of source and target.
            has_attention: Whether the model has.
            numbers: Keep numbers, too.
        """
        self._num_symbols = min(tokenizer.num_placeholders for tokenizer in tokenizers)
        known = symbols(self._num_symbols)
        self._sources, self._targets = (
            {tokenizer.id_of(symbol): symbol for symbol in known} for tokenizer in tokenizers
        )
        self._tokenizer = tokenizers[1]
        self._has_attention = has_attention
        self._numbers = numbers

    def keep(self, line: str) -> Kept:
        """Put symbols in the place of what is kept."""
        return keep(line, num_symbols=self._num_symbols, numbers=self._numbers)

    def restore(
        self, hypothesis: Hypothesis, source_ids: Sequence[int], kept: Kept
    ) -> tuple[str, bool]:
        """Return the text of a translation with everything in it that was kept.

        What the model left out goes before the word that looked at it most, or to the end. What it
        wrote twice, or of itself, is left out.

        Args:
            hypothesis: The translation of a line, or of a part of it.
            source_ids: What it is of.
            kept: The line.

        Returns:
            The text, and whether the model left anything out.
        """
        ids = hypothesis.token_ids
        if not self._num_symbols:
            return self._tokenizer.decode(ids), False
        places = {self._sources[one]: n for n, one in enumerate(source_ids) if one in self._sources}
        written = self._written(hypothesis, places)
        best = set(written.values())

        def text_before(end: int) -> str:
            return self._tokenizer.decode(
                [one for n, one in enumerate(ids[:end]) if one not in self._targets or n in best]
            )

        text = text_before(len(ids))
        lost = [
            (self._gap(hypothesis, place), place, symbol)
            for symbol, place in places.items()
            if symbol not in written
        ]
        # from the end on: what is put in moves no other place
        for gap, _, symbol in sorted(lost, reverse=True):
            text = _inserted(text, symbol, len(text_before(gap)))
        own = text if kept.num_left else without_invented(text, kept.originals)
        if own != text or len(best) < len(places) or any(one in self._targets for one in ids):
            own = _SPACES.sub(" ", own).strip()  # what was left out stood between two of them
        table = {ord(symbol): original for symbol, original in kept.originals.items()}
        return own.translate(table), bool(lost)

    def _written(self, hypothesis: Hypothesis, places: Mapping[str, int]) -> dict[str, int]:
        """Tell where the model wrote each symbol of its source; of several places the best."""
        written: dict[str, int] = {}
        for number, token_id in enumerate(hypothesis.token_ids):
            symbol = self._targets.get(token_id)
            if symbol is None or symbol not in places:
                continue
            place, other = places[symbol], written.setdefault(symbol, number)
            if self._looks(hypothesis, number, place) > self._looks(hypothesis, other, place):
                written[symbol] = number
        return written

    def _looks(self, hypothesis: Hypothesis, number: int, place: int) -> float:
        """Return how much a target token looked at a source token."""
        return float(hypothesis.attention[number, place]) if self._has_attention else 0.0

    def _gap(self, hypothesis: Hypothesis, place: int) -> int:
        """Return before which target token something goes: one that starts a word, or the end."""
        ids = hypothesis.token_ids
        if not self._has_attention:
            return len(ids)
        nearest = int(hypothesis.attention[:, place].argmax())
        words = self._tokenizer.word_numbers(ids)
        if nearest >= len(ids):
            return len(ids)
        return words.index(words[nearest])


def _inserted(text: str, symbol: str, place: int) -> str:
    """Put a symbol into a text as a word of its own."""
    before, behind = text[:place].rstrip(), text[place:].lstrip()
    return " ".join(part for part in (before, symbol, behind) if part)
