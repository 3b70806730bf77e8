"""The whole translation model: encoder, bridge, decoder and output layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.bridge import Bridge
from nmt.model.decoder import Decoder
from nmt.model.encoder import Encoder
from nmt.model.recurrent import real_steps
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
        states, finals = self.encoder(source_ids, source_lengths)
        mask = real_steps(states, source_lengths)
        attention = self.decoder.attention
        keys = states if attention is None else attention.keys(states)
        encoder_output = EncoderOutput(states, keys, mask)
        hidden, cell = self.bridge(states, source_lengths, finals)
        return encoder_output, self.decoder.start(hidden, cell, encoder_output)

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
        logits, state, attention = self.logits(token_ids[:, None], state, encoder_output)
        return logits.squeeze(1), state, attention.squeeze(1)

    def logits(
        self, token_ids: Tensor, state: DecoderState, encoder_output: EncoderOutput
    ) -> tuple[Tensor, DecoderState, Tensor]:
        """Read several target tokens in every row and score what follows each.

        Args:
            token_ids: BOS and the tokens so far, or the newest ones, (B, T), int64.
            state: After the tokens before these.
            encoder_output: The source of every row.

        Returns:
            The logits, (B, T, V), the state behind the last token and the attention, (B, T, S).
        """
        readouts, state, attention = self.decoder(token_ids, state, encoder_output)
        return self.output_layer(readouts), state, attention

    def readouts(
        self,
        source_ids: Tensor,
        source_lengths: Tensor,
        target_input_ids: Tensor,
        target_mask: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Read every target token after its reference prefix (teacher forcing).

        Args:
            source_ids: Tokens and EOS, padded, (B, S), int64.
            source_lengths: Real tokens, (B,), int64, on the CPU.
            target_input_ids: BOS and target tokens, padded, (B, T), int64.
            target_mask: True at real target tokens, (B, T), bool.

        Returns:
            What the output layer reads at the N real target positions, row by row, (N, readout
            size): nothing at padding; and the attention, (B, T, S), padding included.
        """
        encoder_output, state = self.encode(source_ids, source_lengths)
        readouts, _, attention = self.decoder(target_input_ids, state, encoder_output)
        return readouts[target_mask], attention

    def forward(
        self,
        source_ids: Tensor,
        source_lengths: Tensor,
        target_input_ids: Tensor,
        target_mask: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Score what follows every target token: `readouts`, and logits of them, (N, V)."""
        readouts, attention = self.readouts(
            source_ids, source_lengths, target_input_ids, target_mask
        )
        return self.output_layer(readouts), attention

    @torch.no_grad()
    def mix_inputs(
        self,
        source_ids: Tensor,
        source_lengths: Tensor,
        target_input_ids: Tensor,
        *,
        probability: float,
    ) -> Tensor:
        """Put the model's own tokens in the place of some reference tokens (Bengio et al. 2015).

        The tokens are chosen step by step, each by what the model holds likeliest after those that
        were chosen before.

        Args:
            source_ids: Tokens and EOS, padded, (B, S), int64.
            source_lengths: Real tokens, (B,), int64, on the CPU.
            target_input_ids: BOS and target tokens, padded, (B, T), int64.
            probability: With which a token behind BOS is the model's own, in [0, 1].

        Returns:
            The mixed tokens, (B, T), int64.
        """
        encoder_output, state = self.encode(source_ids, source_lengths)
        inputs = target_input_ids.clone()
        is_own = torch.rand(inputs.shape, device=inputs.device) < probability  # (B, T)
        for step in range(1, inputs.size(1)):
            logits, state, _ = self.decode(inputs[:, step - 1], state, encoder_output)
            own = logits.argmax(dim=-1)  # (B,)
            inputs[:, step] = torch.where(is_own[:, step], own, inputs[:, step])
        return inputs
