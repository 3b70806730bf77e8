"""The whole translation model: encoder, bridge, decoder and output layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.bridge import Bridge
from nmt.model.decoder import Decoder
from nmt.model.encoder import Encoder
from nmt.model.state import DecoderState, EncoderOutput


class Seq2Seq(nn.Module):
    """Source tokens and a target prefix to logits of the next token."""

    def __init__(
        self, encoder: Encoder, bridge: Bridge, decoder: Decoder, output_layer: nn.Linear
    ) -> None:
        """Take the parts; the output layer may share its weight with an embedding."""
        super().__init__()
        self.encoder = encoder
        self.bridge = bridge
        self.decoder = decoder
        self.output_layer = output_layer

    def encode(
        self, source_ids: Tensor, source_lengths: Tensor
    ) -> tuple[EncoderOutput, DecoderState]:
        """Read the source once.

        Args:
            source_ids: Tokens and EOS, padded, (B, S), int64.
            source_lengths: Real tokens, all >= 1, (B,), int64, on the CPU.

        Returns:
            The encoded source and the decoder's first state.
        """
        states, final = self.encoder(source_ids, source_lengths)
        positions = torch.arange(source_ids.size(1))
        mask = (positions < source_lengths[:, None]).to(states.device, non_blocking=True)
        keys = self.decoder.attention.keys(states)
        state: DecoderState = self.bridge(final)
        return EncoderOutput(states, keys, mask), state

    def decode(
        self, token_ids: Tensor, state: DecoderState, encoder_output: EncoderOutput
    ) -> tuple[Tensor, DecoderState, Tensor]:
        """Read one target token in every row and score the next.

        Args:
            token_ids: The newest token of every row, (B,), int64.
            state: After the tokens before it.
            encoder_output: The source of every row.

        Returns:
            The logits, (B, V), the new state and the attention, (B, S).
        """
        attentional, state, attention = self.decoder(token_ids[:, None], state, encoder_output)
        logits: Tensor = self.output_layer(attentional.squeeze(1))  # (B, V)
        return logits, state, attention.squeeze(1)  # (B, S)

    def forward(
        self,
        source_ids: Tensor,
        source_lengths: Tensor,
        target_input_ids: Tensor,
        target_mask: Tensor,
    ) -> Tensor:
        """Score every target token after its reference prefix (teacher forcing).

        Args:
            source_ids: Tokens and EOS, padded, (B, S), int64.
            source_lengths: Real tokens, (B,), int64, on the CPU.
            target_input_ids: BOS and target tokens, padded, (B, T), int64.
            target_mask: True at real target tokens, (B, T), bool.

        Returns:
            The logits at the N real target positions, row by row, (N, V): none at padding.
        """
        encoder_output, state = self.encode(source_ids, source_lengths)
        attentional, _, _ = self.decoder(target_input_ids, state, encoder_output)
        logits: Tensor = self.output_layer(attentional[target_mask])
        return logits
