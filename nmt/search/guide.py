"""All that steers a search beside the model: rules, demands, penalties, and what they remember."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from nmt.search.allocation import Extensions
from nmt.search.demands import Demands, check_demands
from nmt.search.options import SearchOptions
from nmt.search.penalties import coverage_penalties, first_coverage, length_penalties
from nmt.search.phrases import Phrases
from nmt.search.preferred import Preferred
from nmt.search.required import Outlook, Required
from nmt.search.rules import (
    LengthRules,
    PrefixRule,
    Ruling,
    allowed_log_probs,
    avoidance,
    repetitions,
)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the guide remembers of R rows; None where nothing asks for it.

    Attributes:
        history: The tokens so far, (R, T), int64.
        avoided: The progress of the avoided phrases, (R, Q), int64.
        required: The progress of the required phrases, (R, P), int64.
        preferred: The progress of the preferred phrases, (R, P'), int64.
        coverage: The sum of the attention so far, 1 at padding, (R, S).
    """

    history: Tensor | None = None
    avoided: Tensor | None = None
    required: Tensor | None = None
    preferred: Tensor | None = None
    coverage: Tensor | None = None

    def select(self, rows: Tensor) -> Memory:
        """Return the given rows in the given order; `rows`: (any,), int64."""
        kept = (getattr(self, field.name) for field in fields(self))
        return Memory(*(None if values is None else values[rows] for values in kept))


class Guide:
    """Steers the search of a batch of B sentences, the longest source of which has S tokens.

    Rows are partial hypotheses; `sentences`, (R,), int64, names the sentence of each. `length` is
    that of the row with the token which is chosen next, or has just been chosen.

    Attributes:
        max_length: How many tokens the longest hypothesis may have, EOS included.
    """

    def __init__(
        self,
        options: SearchOptions,
        source_lengths: Tensor,
        demands: Sequence[Demands] | None,
        device: torch.device,
    ) -> None:
        """Prepare what the options and the demands ask for, and nothing else.

        Args:
            options: How to search.
            source_lengths: Real tokens of each source, (B,), int64, on the CPU.
            demands: What is asked of each sentence, B of them; None is nothing.
            device: Where to compute.

        Raises:
            ValueError: There are demands that cannot be met.
        """
        self._options = options
        self._source_lengths = source_lengths.to(device)
        self._lengths = LengthRules(options, source_lengths, device)
        self.max_length = self._lengths.max_length
        self._length_penalties = length_penalties(options, self._lengths.max_length).to(device)
        self._banned_ids = torch.tensor(options.banned_ids, dtype=torch.long, device=device)
        self._prefix: PrefixRule | None = None
        self._avoided: Phrases | None = None
        self._required: Required | None = None
        self._preferred: Preferred | None = None
        max_lengths = self._lengths.max_lengths.tolist()
        checked = check_demands(demands, max_lengths, options)
        if any(one.prefix for one in checked):
            self._prefix = PrefixRule([one.prefix for one in checked], device)
        if any(one.avoided or one.required for one in checked):
            self._avoided = Phrases.of([one.avoided for one in checked], device)
        if any(one.required for one in checked):
            self._required = Required(checked, options.eos_id, device)
            self._required.check_room(checked, max_lengths)
        if any(one.preferred for one in checked):
            self._preferred = Preferred(checked, options.preference_bonus, device)

    def first_memory(self, sentences: Tensor) -> Memory:
        """Return what is remembered of rows without tokens; `sentences`: (R,), int64."""
        nothing = sentences.new_empty(len(sentences), 0)
        return Memory(
            history=None if self._options.no_repeat_ngram_size is None else nothing,
            avoided=_start(self._avoided, sentences),
            required=_start(_phrases(self._required), sentences),
            preferred=_start(_phrases(self._preferred), sentences),
            coverage=first_coverage(self._source_lengths)[sentences]
            if self._options.coverage_penalty
            else None,
        )

    def remember(
        self, memory: Memory, sentences: Tensor, token_ids: Tensor, attention: Tensor
    ) -> Memory:
        """Return what is remembered after one more token.

        Args:
            memory: Of R rows.
            sentences: (R,), int64.
            token_ids: The next token of each row, (R,), int64.
            attention: The attention behind it, (R, S).

        Raises:
            ValueError: A coverage penalty is asked for, and nothing is attended to.
        """
        history, coverage = memory.history, memory.coverage
        if history is not None:
            history = torch.cat([history, token_ids.unsqueeze(1)], dim=1)
        if coverage is not None:
            if not attention.any():
                raise ValueError(
                    "coverage_penalty must be 0 for a model without attention, "
                    f"got {self._options.coverage_penalty}"
                )
            coverage = coverage + attention[:, : coverage.size(1)]
        return Memory(
            history,
            _follow(self._avoided, memory.avoided, sentences, token_ids),
            _follow(_phrases(self._required), memory.required, sentences, token_ids),
            _follow(_phrases(self._preferred), memory.preferred, sentences, token_ids),
            coverage,
        )

    def extend(
        self,
        log_probs: Tensor,
        next_log_probs: Tensor,
        sentences: Tensor,
        memory: Memory,
        length: int,
    ) -> Extensions:
        """Put every next token behind every row.

        Args:
            log_probs: Log-probability of each row, (R,).
            next_log_probs: Log-probability of each token in each row, (R, V), changed in place.
            sentences: (R,), int64.
            memory: Of the rows.
            length: Of the rows with the next token.
        """
        outlook = None
        if self._required and memory.required is not None and memory.avoided is not None:
            outlook = self._required.outlook(sentences, memory.required, memory.avoided)
        rulings = self._rulings(sentences, memory, outlook, length)
        totals = allowed_log_probs(log_probs, next_log_probs, self._banned_ids, rulings)
        ranked = totals
        if self._preferred and memory.preferred is not None:
            ranked = self._preferred.add_bonuses(totals, sentences, memory.preferred)
        return Extensions(totals, ranked, outlook)

    def scores(self, log_probs: Tensor, sentences: Tensor, memory: Memory, length: int) -> Tensor:
        """Tell what hypotheses that end here are ranked by, see `SearchOptions` for the penalties.

        The score is (log-probability + bonuses) / length penalty + coverage penalty.

        Args:
            log_probs: (R,).
            sentences: (R,), int64.
            memory: Of the rows.
            length: Of the rows.

        Returns:
            The scores, (R,).
        """
        if self._preferred and memory.preferred is not None:
            log_probs = log_probs + self._preferred.bonuses(sentences, memory.preferred)
        scores = log_probs / self._length_penalties[length]
        if memory.coverage is not None:
            scores = scores + coverage_penalties(memory.coverage, self._options.coverage_penalty)
        return scores

    def attainable_scores(self, log_probs: Tensor, sentences: Tensor, length: int) -> Tensor:
        """Tell what score a row cannot better, however it goes on.

        Its log-probability only falls, and its bonuses are at most those of all preferred phrases.
        Length penalties grow with the length: where the sum is negative, the greatest of them, that
        of the longest hypothesis, leaves most of a score; where it is not, the least of them does,
        that of the next length. The coverage penalty is 0 at best. A diversity penalty enters no
        score. Rounding keeps the order of what is added and divided, and so the bound.

        Args:
            log_probs: (R,).
            sentences: (R,), int64.
            length: Of the rows.

        Returns:
            The bounds, (R,).
        """
        greatest = self._length_penalties[self._lengths.max_lengths[sentences]]
        if self._preferred is None:
            return log_probs / greatest
        log_probs = log_probs + self._preferred.most[sentences]
        least = self._length_penalties[min(length + 1, self.max_length)]
        return log_probs / torch.where(log_probs < 0, greatest, least)

    def _rulings(
        self, sentences: Tensor, memory: Memory, outlook: Outlook | None, length: int
    ) -> Iterable[Ruling]:
        """Give the rulings on the next token; a later one overrules an earlier one."""
        if memory.history is not None and self._options.no_repeat_ngram_size is not None:
            yield repetitions(memory.history, self._options.no_repeat_ngram_size)
        if self._required and memory.required is not None and outlook is not None:
            if memory.history is not None:
                yield self._required.exemptions(sentences, memory.required)
            rooms = (self._lengths.max_lengths[sentences] - 1 - length).clamp(min=0)
            yield from self._required.rulings(outlook, rooms)
        yield from self._lengths.rulings(sentences, length)
        if self._avoided is not None and memory.avoided is not None:
            yield avoidance(self._avoided.select(sentences), memory.avoided)
        if self._prefix is not None:
            yield from self._prefix.rulings(sentences, length)


def _phrases(kind: Required | Preferred | None) -> Phrases | None:
    return None if kind is None else kind.phrases


def _start(phrases: Phrases | None, sentences: Tensor) -> Tensor | None:
    return None if phrases is None else phrases.start(sentences)


def _follow(
    phrases: Phrases | None, progress: Tensor | None, sentences: Tensor, token_ids: Tensor
) -> Tensor | None:
    if phrases is None or progress is None:
        return None
    return phrases.follow(sentences, progress, token_ids)
