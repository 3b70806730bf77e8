"""Searches the translations of many lines, or parts of them: in batches, and until they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.batching import pad_ids
from nmt.engine import Engine
from nmt.search import (
    Demands,
    Hypothesis,
    SamplingOptions,
    SearchOptions,
    beam_search,
    greedy_search,
    sample,
)
from nmt.tokenizer import Tokenizer
from nmt.translator.demands import Demander, PartDemands
from nmt.translator.limiting import ShortlistedEngine
from nmt.translator.segments import Segment


@dataclass(frozen=True, slots=True)
class Part:
    """What is translated at once: a line, or a part of one.

    Attributes:
        source_ids: Tokens, without EOS.
        asked: What is asked of its translation; None is nothing.
        segment: Where it is in its line.
    """

    source_ids: Sequence[int]
    asked: PartDemands | None
    segment: Segment


class LineSearch:
    """Searches with one engine and one set of options."""

    def __init__(
        self,
        engine: Engine | ShortlistedEngine,
        options: SearchOptions,
        sampling: SamplingOptions | None,
        demander: Demander,
    ) -> None:
        """Put the parts together; `sampling`: how to draw, None searches."""
        self._engine = engine
        self._options = options
        self._sampling = sampling
        self._demander = demander

    def find(self, parts: Sequence[Part], *, batch_size: int) -> list[list[Hypothesis]]:
        """Find the hypotheses of each part.

        Args:
            parts: What to translate.
            batch_size: How many at once at most.
        """
        found = self._search(parts, batch_size)
        open_parts = {place: part.asked for place, part in enumerate(parts) if part.asked}
        while open_parts:
            sharper = {
                place: self._demander.sharpen(asked, found[place])
                for place, asked in open_parts.items()
            }
            open_parts = {
                place: asked for place, asked in sharper.items() if asked is not open_parts[place]
            }
            again = [replace(parts[place], asked=asked) for place, asked in open_parts.items()]
            for place, hypotheses in zip(open_parts, self._search(again, batch_size), strict=True):
                found[place] = hypotheses
        return found

    def _search(self, parts: Sequence[Part], batch_size: int) -> list[list[Hypothesis]]:
        """Find the hypotheses of each part once; those of like length share a batch."""
        order = sorted(
            range(len(parts)), key=lambda place: len(parts[place].source_ids), reverse=True
        )
        found: dict[int, list[Hypothesis]] = {}
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            hypotheses = self._search_batch([parts[place] for place in places])
            found.update(zip(places, hypotheses, strict=True))
        return [found[place] for place in range(len(parts))]

    def _search_batch(self, parts: Sequence[Part]) -> list[list[Hypothesis]]:
        source_ids, source_lengths = source_batch([part.source_ids for part in parts])
        demands = None
        if any(part.asked for part in parts):
            demands = [part.asked.demands if part.asked else Demands() for part in parts]
        if not isinstance(self._engine, ShortlistedEngine):
            return self._run(self._engine, source_ids, source_lengths, self._options, demands)
        batch = self._engine.limit(source_ids, demands)
        options, demands = batch.options(self._options), batch.demands(demands)
        found = self._run(batch.engine, source_ids, source_lengths, options, demands)
        return [[batch.hypothesis(one) for one in hypotheses] for hypotheses in found]

    def _run(
        self,
        engine: Engine,
        source_ids: Tensor,
        source_lengths: Tensor,
        options: SearchOptions,
        demands: Sequence[Demands] | None,
    ) -> list[list[Hypothesis]]:
        if self._sampling:
            return sample(engine, source_ids, source_lengths, options, self._sampling, demands)
        search = greedy_search if options.beam_size == 1 else beam_search
        return search(engine, source_ids, source_lengths, options, demands)


def source_batch(sources: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return sources, EOS put behind them, padded, (B, S), and their lengths, (B,), int64."""
    with_eos = [[*source, Tokenizer.eos_id] for source in sources]
    lengths = torch.tensor([len(source) for source in with_eos], dtype=torch.long)
    return pad_ids(with_eos, Tokenizer.pad_id), lengths
