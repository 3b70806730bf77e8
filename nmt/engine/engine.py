"""The door between model and search, and a plain model behind it."""

from __future__ import annotations

from typing import Any, Protocol, Self

import torch
from torch import Tensor

from nmt.model import DecoderState, EncoderOutput, Seq2Seq


class Source(Protocol):
    """Encoded source sentences, one row a sentence; what is in a row, its engine alone knows."""

    def select(self, rows: Tensor) -> Self:
        """Return the given rows in the given order, repeats allowed; `rows`: (N,), int64."""

    def repeat(self, times: int) -> Self:
        """Return every row `times` times, the copies of one row side by side."""


class State(Protocol):
    """What is carried from one target step to the next; what is in it, its engine alone knows."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def select(self, rows: Tensor) -> Self:
        """Return the given rows in the given order, repeats allowed; `rows`: (N,), int64."""

    def reorder(self, rows: Tensor) -> Self:
        """Return row `rows[i]` at row i; `rows`: (B,), int64."""

    def repeat(self, times: int) -> Self:
        """Return every row `times` times, the copies of one row side by side."""


class Engine(Protocol):
    """What search needs of a model, or of several as one.

    An engine is given back only what it gave itself, so a state and a source are of any type where
    they come in: each engine names its own.
    """

    @property
    def device(self) -> torch.device:
        """Where the tensors live that come out of it."""

    @property
    def has_attention(self) -> bool:
        """Whether it looks at the source anew at every step; its attention is all zero if not."""

    def encode(self, source_ids: Tensor, source_lengths: Tensor) -> tuple[Source, State]:
        """Read the source once.

        Args:
            source_ids: Tokens and EOS, padded, (B, S), int64.
            source_lengths: Real tokens, all >= 1, (B,), int64, on the CPU.

        Returns:
            The encoded source and the decoder's first state, B rows each.
        """

    def step(
        self, token_ids: Tensor, state: Any, encoder_output: Any
    ) -> tuple[Tensor, State, Tensor]:
        """Read the newest token of every row and score the next.

        Args:
            token_ids: The newest tokens, BOS at first, (N,), int64.
            state: After the tokens before them, N rows.
            encoder_output: The source of every row, N rows.

        Returns:
            The natural log-probabilities of the next token, (N, V), which are the caller's to
            change, the new state, and the attention, (N, S).
        """


class ScoringEngine(Engine, Protocol):
    """What scoring given targets needs beside that."""

    @property
    def vocab_size(self) -> int:
        """V, the number of target tokens that it scores."""

    def read(
        self, token_ids: Tensor, state: Any, encoder_output: Any
    ) -> tuple[Tensor, State, Tensor]:
        """Read several tokens of every row at once and score what comes behind each of them.

        Args:
            token_ids: The tokens, BOS at first, (N, T), int64.
            state: After the tokens before them, N rows.
            encoder_output: The source of every row, N rows.

        Returns:
            The natural log-probabilities of the token behind each, (N, T, V), the state after the
            last, and the attention with which each of these was found, (N, T, S).
        """


class ModelEngine:
    """One model as it was trained, with its dropout off."""

    def __init__(self, model: Seq2Seq) -> None:
        """Take a model; it is translated with on the device where its weights are."""
        self._model = model

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self._model.output_layer.weight.device

    @property
    def vocab_size(self) -> int:
        """The number of target tokens."""
        return self._model.output_layer.out_features

    @property
    def has_attention(self) -> bool:
        """Whether the model has attention."""
        return self._model.decoder.attention is not None

    def encode(
        self, source_ids: Tensor, source_lengths: Tensor
    ) -> tuple[EncoderOutput, DecoderState]:
        """Read the source once, see `Engine.encode`."""
        self._model.eval()
        return self._model.encode(source_ids, source_lengths)

    def step(
        self, token_ids: Tensor, state: DecoderState, encoder_output: EncoderOutput
    ) -> tuple[Tensor, DecoderState, Tensor]:
        """Score the next token of every row, see `Engine.step`."""
        _check_rows(token_ids, state)
        logits, state, attention = self._model.decode(token_ids, state, encoder_output)
        return torch.log_softmax(logits.float(), dim=-1), state, attention

    def read(
        self, token_ids: Tensor, state: DecoderState, encoder_output: EncoderOutput
    ) -> tuple[Tensor, DecoderState, Tensor]:
        """Score what comes behind each of several tokens, see `ScoringEngine.read`."""
        _check_rows(token_ids, state)
        logits, state, attention = self._model.logits(token_ids, state, encoder_output)
        return torch.log_softmax(logits.float(), dim=-1), state, attention


def _check_rows(token_ids: Tensor, state: DecoderState) -> None:
    if len(state) != len(token_ids):
        raise ValueError(
            f"state has {len(state)} rows, token_ids has {len(token_ids)}; "
            "repeat the state with DecoderState.repeat(beam_size) first"
        )
