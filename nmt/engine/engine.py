"""The door between model and search, and a plain model behind it."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from nmt.model import DecoderState, EncoderOutput, Seq2Seq


class Engine(Protocol):
    """What search needs of a model, or of several as one."""

    @property
    def device(self) -> torch.device:
        """Where the tensors live that come out of it."""

    def encode(
        self, source_ids: Tensor, source_lengths: Tensor
    ) -> tuple[EncoderOutput, DecoderState]:
        """Read the source once.

        Args:
            source_ids: Tokens and EOS, padded, (B, S), int64.
            source_lengths: Real tokens, all >= 1, (B,), int64, on the CPU.

        Returns:
            The encoded source and the decoder's first state, B rows each.
        """

    def step(
        self, token_ids: Tensor, state: DecoderState, encoder_output: EncoderOutput
    ) -> tuple[Tensor, DecoderState, Tensor]:
        """Read the newest token of every row and score the next.

        Args:
            token_ids: The newest tokens, BOS at first, (N,), int64.
            state: After the tokens before them, N rows.
            encoder_output: The source of every row, N rows.

        Returns:
            The natural log-probabilities of the next token, (N, V), the new state, and the
            attention, (N, S).
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
        if len(state) != len(token_ids):
            raise ValueError(
                f"state has {len(state)} rows, token_ids has {len(token_ids)}; "
                "repeat the state with DecoderState.repeat(beam_size) first"
            )
        logits, state, attention = self._model.decode(token_ids, state, encoder_output)
        return torch.log_softmax(logits.float(), dim=-1), state, attention
