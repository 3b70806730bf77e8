"""Searches a batch over a shortlist: in the few tokens' own numbers, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from nmt.engine import Engine, FoldedEngine, LimitedEngine
from nmt.errors import NMTError
from nmt.search import Demands, Hypothesis, SearchOptions
from nmt.search.phrases import Ids
from nmt.shortlist import Shortlist


@dataclass(frozen=True, slots=True)
class ShortlistedEngine:
    """A model with a shortlist, from which every batch gets an engine of its own."""

    engine: FoldedEngine
    shortlist: Shortlist

    def limit(self, source_ids: Tensor, demands: Sequence[Demands] | None) -> LimitedBatch:
        """Find the target tokens that a batch may need, what is asked of it included.

        Args:
            source_ids: Tokens and EOS, padded, (B, S), int64.
            demands: What is asked of each sentence; None is nothing.
        """
        allowed = self.shortlist.allowed(source_ids)
        for row, one in zip(allowed, demands or (), strict=False):
            for phrase in (one.prefix, *one.required, *one.preferred):
                row[list(phrase)] = True
        return LimitedBatch(LimitedEngine(self.engine, allowed))


def shortlisted(engine: Engine, shortlist: Shortlist, beam_size: int) -> ShortlistedEngine:
    """Put a model and its shortlist together.

    Raises:
        NMTError: The beam is wider than a sentence's list may be short.
        TypeError: It is another engine.
    """
    if not isinstance(engine, FoldedEngine):
        raise TypeError(f"a shortlist is for a FoldedEngine, got {type(engine).__name__}")
    fewest = len(shortlist.always)
    if beam_size > fewest:
        raise NMTError(
            f"beam_size must be <= {fewest} with a shortlist, the tokens that are on every list, "
            f"got {beam_size}"
        )
    return ShortlistedEngine(engine, shortlist)


class LimitedBatch:
    """Gives tokens the numbers that they have in a limited engine, and takes them back."""

    def __init__(self, engine: LimitedEngine) -> None:
        """Take the engine."""
        self.engine = engine
        self._token_ids: list[int] = engine.token_ids.tolist()
        self._numbers = {token_id: number for number, token_id in enumerate(self._token_ids)}

    def options(self, options: SearchOptions) -> SearchOptions:
        """Return the options in the engine's numbers; what it cannot write needs no ban."""
        return replace(
            options,
            bos_id=self._numbers[options.bos_id],
            eos_id=self._numbers[options.eos_id],
            banned_ids=tuple(
                self._numbers[banned] for banned in options.banned_ids if banned in self._numbers
            ),
        )

    def demands(self, demands: Sequence[Demands] | None) -> list[Demands] | None:
        """Return demands in the engine's numbers; what it cannot write need not be avoided."""
        if demands is None:
            return None
        return [
            Demands(
                prefix=self._numbered(one.prefix),
                required=tuple(map(self._numbered, one.required)),
                preferred=tuple(map(self._numbered, one.preferred)),
                avoided=tuple(
                    self._numbered(phrase)
                    for phrase in one.avoided
                    if self._numbers.keys() >= set(phrase)
                ),
            )
            for one in demands
        ]

    def hypothesis(self, found: Hypothesis) -> Hypothesis:
        """Return what was found in the tokens of the whole vocabulary."""
        return replace(
            found, token_ids=tuple(self._token_ids[number] for number in found.token_ids)
        )

    def _numbered(self, phrase: Ids) -> Ids:
        return tuple(self._numbers[token_id] for token_id in phrase)
