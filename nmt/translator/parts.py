"""Searches the translations of many lines, or parts of them: in batches, and until they fit."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.batching import pad_ids
from nmt.engine import Engine
from nmt.errors import NMTError
from nmt.placeholders import Kept
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
from nmt.translator.marks import has_repeats
from nmt.translator.segments import Segment

# So many tokens may not come twice where a translation would go round in circles.
_GUARDED_SIZE = 3
# What PyTorch says in errors that have no type of their own.
_OUT_OF_MEMORY = ("DefaultCPUAllocator", "MPS backend out of memory", "CUBLAS_STATUS_ALLOC_FAILED")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """What is translated at once: a line, or a part of one.

    Attributes:
        source_ids: Tokens, without EOS.
        asked: What is asked of its translation; None is nothing.
        segment: Where it is in its line.
        kept: What of the line is not translated.
        is_guarded: Whether nothing may come twice in its translation, three tokens at a time.
    """

    source_ids: Sequence[int]
    asked: PartDemands | None
    segment: Segment
    kept: Kept
    is_guarded: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for a part.

    Attributes:
        hypotheses: Its translations, the best first.
        has_repeats: Whether the best one went round in circles, before that was guarded against.
    """

    hypotheses: Sequence[Hypothesis]
    has_repeats: bool


class LineSearch:
    """Searches with one engine and one set of options."""

    def __init__(
        self,
        engine: Engine | ShortlistedEngine,
        options: SearchOptions,
        sampling: SamplingOptions | None,
        demander: Demander,
        *,
        keep_repeats: bool,
    ) -> None:
        """Put the parts together.

        Args:
            engine: The model.
            options: How to search.
            sampling: How to draw instead; None searches.
            demander: Tells what is still to be asked for.
            keep_repeats: Leave translations that go round in circles as they are.
        """
        self._engine = engine
        self._options = options
        self._sampling = sampling
        self._demander = demander
        # Batches that were too large for the memory once are not tried again.
        self._largest_batch = sys.maxsize
        self._guarded_options = replace(options, no_repeat_ngram_size=_GUARDED_SIZE)
        self._keeps_repeats = keep_repeats or sampling is not None

    def find(self, parts: Sequence[Part], *, batch_size: int) -> list[Found]:
        """Find the hypotheses of each part.

        Args:
            parts: What to translate.
            batch_size: How many at once at most.
        """
        found = self._search(parts, batch_size)
        repeating = {
            place
            for place, (part, hypotheses) in enumerate(zip(parts, found, strict=True))
            if has_repeats(hypotheses[0].token_ids, part.source_ids)
        }
        if not self._keeps_repeats:
            parts = [
                replace(part, is_guarded=place in repeating) for place, part in enumerate(parts)
            ]
            again = [parts[place] for place in repeating]
            for place, hypotheses in zip(repeating, self._search(again, batch_size), strict=True):
                found[place] = hypotheses
        self._sharpen(parts, found, batch_size)
        return [Found(one, place in repeating) for place, one in enumerate(found)]

    def _sharpen(
        self, parts: Sequence[Part], found: list[list[Hypothesis]], batch_size: int
    ) -> None:
        """Search again in the place of what is not as it was asked, until all is."""
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

    def _search(self, parts: Sequence[Part], batch_size: int) -> list[list[Hypothesis]]:
        """Find the hypotheses of each part once; those of like length share a batch."""
        found: dict[int, list[Hypothesis]] = {}
        for options in (self._options, self._guarded_options):
            is_guarded = options is self._guarded_options
            alike = [place for place, part in enumerate(parts) if part.is_guarded == is_guarded]
            alike.sort(key=lambda place: len(parts[place].source_ids), reverse=True)
            in_order = [parts[place] for place in alike]
            hypotheses = self._search_batches(in_order, options, batch_size)
            found.update(zip(alike, hypotheses, strict=True))
        return [found[place] for place in range(len(parts))]

    def _search_batches(
        self, parts: Sequence[Part], options: SearchOptions, batch_size: int
    ) -> list[list[Hypothesis]]:
        """Find the hypotheses of each part once, in batches that the memory is enough for."""
        found: list[list[Hypothesis]] = []
        while len(found) < len(parts):
            size = min(batch_size, self._largest_batch)
            batch = parts[len(found) : len(found) + size]
            try:
                found += self._search_batch(batch, options)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                self._shrink(batch, error)
        return found

    def _shrink(self, batch: Sequence[Part], error: Exception) -> None:
        """Take smaller batches from here on; say so the first time.

        Raises:
            NMTError: The batch was of one part.
        """
        if len(batch) == 1:
            raise NMTError(
                f"out of memory with one sentence of {len(batch[0].source_ids) + 1} tokens; lower "
                "the beam size, the greatest length or decoding.max_source_length"
            ) from error
        if self._largest_batch == sys.maxsize:
            _log.warning("out of memory with %d sentences at once; going on with fewer", len(batch))
        self._largest_batch = min(self._largest_batch, len(batch) // 2)

    def _search_batch(
        self, parts: Sequence[Part], options: SearchOptions
    ) -> list[list[Hypothesis]]:
        source_ids, source_lengths = source_batch([part.source_ids for part in parts])
        demands = None
        if any(part.asked for part in parts):
            demands = [part.asked.demands if part.asked else Demands() for part in parts]
        if not isinstance(self._engine, ShortlistedEngine):
            return self._run(self._engine, source_ids, source_lengths, options, demands)
        batch = self._engine.limit(source_ids, demands)
        options, demands = batch.options(options), batch.demands(demands)
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


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error says that there was not enough memory, of the machine or a device."""
    is_said_by_type = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return is_said_by_type or any(sign in str(error) for sign in _OUT_OF_MEMORY)


def source_batch(sources: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return sources, EOS put behind them, padded, (B, S), and their lengths, (B,), int64."""
    with_eos = [[*source, Tokenizer.eos_id] for source in sources]
    lengths = torch.tensor([len(source) for source in with_eos], dtype=torch.long)
    return pad_ids(with_eos, Tokenizer.pad_id), lengths
