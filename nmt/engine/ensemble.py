"""Several models as one: each reads with a state of its own, their probabilities are averaged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from nmt.engine.engine import ScoringEngine, Source, State

Average = Literal["linear", "log"]


@dataclass(frozen=True, slots=True)
class EnsembleSource:
    """The source as each engine has encoded it."""

    parts: tuple[Source, ...]

    def select(self, rows: Tensor) -> EnsembleSource:
        """Return the given rows of all engines, see `Source.select`."""
        return EnsembleSource(tuple(part.select(rows) for part in self.parts))

    def repeat(self, times: int) -> EnsembleSource:
        """Return every row several times, see `Source.repeat`."""
        return EnsembleSource(tuple(part.repeat(times) for part in self.parts))


@dataclass(frozen=True, slots=True)
class EnsembleState:
    """The state of each engine; all have the same rows."""

    parts: tuple[State, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.parts[0])

    def select(self, rows: Tensor) -> EnsembleState:
        """Return the given rows of all engines, see `State.select`."""
        return EnsembleState(tuple(part.select(rows) for part in self.parts))

    def reorder(self, rows: Tensor) -> EnsembleState:
        """Return the rows of all engines in another order, see `State.reorder`."""
        return EnsembleState(tuple(part.reorder(rows) for part in self.parts))

    def repeat(self, times: int) -> EnsembleState:
        """Return every row several times, see `State.repeat`."""
        return EnsembleState(tuple(part.repeat(times) for part in self.parts))


class EnsembleEngine:
    """Several engines that vote on every token; each may be of another architecture.

    The probability of a token is the mean of the engines' (`linear`), or proportional to their
    geometric mean (`log`): what one engine thinks impossible then stays so. The attention is the
    mean of the engines that have any.
    """

    def __init__(self, engines: Sequence[ScoringEngine], *, average: Average = "linear") -> None:
        """Take the engines, ensembles among them if need be.

        Args:
            engines: At least one, all with the same tokenizers, which cannot be seen from here.
            average: How their probabilities become one.

        Raises:
            ValueError: There is no engine, they differ in vocabulary size or device, or there is
                no such average.
        """
        if not engines:
            raise ValueError("engines must hold at least one, got none")
        if average not in get_args(Average):
            raise ValueError(f"average must be linear or log, got {average!r}")
        for name in ("vocab_size", "device"):
            values = [getattr(engine, name) for engine in engines]
            if len(set(values)) > 1:
                found = ", ".join(map(str, values))
                raise ValueError(f"engines must have the same {name}, got {found}")
        self._engines = tuple(engines)
        self._average = average

    @property
    def device(self) -> torch.device:
        """Where all the engines are."""
        return self._engines[0].device

    @property
    def vocab_size(self) -> int:
        """The number of target tokens."""
        return self._engines[0].vocab_size

    @property
    def has_attention(self) -> bool:
        """Whether any of the engines has attention."""
        return any(engine.has_attention for engine in self._engines)

    def encode(
        self, source_ids: Tensor, source_lengths: Tensor
    ) -> tuple[EnsembleSource, EnsembleState]:
        """Let every engine read the source, see `Engine.encode`."""
        encoded = [engine.encode(source_ids, source_lengths) for engine in self._engines]
        sources, states = zip(*encoded, strict=True)
        return EnsembleSource(sources), EnsembleState(states)

    def step(
        self, token_ids: Tensor, state: EnsembleState, encoder_output: EnsembleSource
    ) -> tuple[Tensor, EnsembleState, Tensor]:
        """Score the next token of every row, see `Engine.step`."""
        steps = [engine.step for engine in self._engines]
        return self._vote(steps, token_ids, state, encoder_output)

    def read(
        self, token_ids: Tensor, state: EnsembleState, encoder_output: EnsembleSource
    ) -> tuple[Tensor, EnsembleState, Tensor]:
        """Score what comes behind each of several tokens, see `ScoringEngine.read`."""
        reads = [engine.read for engine in self._engines]
        return self._vote(reads, token_ids, state, encoder_output)

    def _vote(
        self,
        votes: Sequence[Callable[[Tensor, Any, Any], tuple[Tensor, State, Tensor]]],
        token_ids: Tensor,
        state: EnsembleState,
        encoder_output: EnsembleSource,
    ) -> tuple[Tensor, EnsembleState, Tensor]:
        """Ask each engine, by its `step` or its `read`, and join the answers."""
        answers = [
            vote(token_ids, *parts)
            for vote, *parts in zip(votes, state.parts, encoder_output.parts, strict=True)
        ]
        log_probs, states, attentions = zip(*answers, strict=True)
        return self._mean_log_probs(log_probs), EnsembleState(states), self._mean(attentions)

    def _mean_log_probs(self, log_probs: Sequence[Tensor]) -> Tensor:
        """Return the log-probabilities of all engines as one, each (..., V)."""
        stacked = torch.stack(list(log_probs))  # (engines, ..., V)
        if self._average == "linear":
            return torch.logsumexp(stacked, dim=0) - math.log(len(stacked))
        return torch.log_softmax(stacked.mean(dim=0), dim=-1)

    def _mean(self, attentions: Sequence[Tensor]) -> Tensor:
        """Return the mean attention of the engines that have any, (..., S)."""
        looking = [
            attention
            for attention, engine in zip(attentions, self._engines, strict=True)
            if engine.has_attention
        ]
        return torch.stack(looking or list(attentions)).mean(dim=0)
