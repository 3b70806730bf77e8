"""Variational attention (Deng et al. 2018): a target token is made from one source position.

Which one is not known. With z_t the position behind target token y_t, s the encoder states and h_t
the decoder's top hidden state,

    p(y_t | y_<t, x) = sum_z p(z) p(y_t | h_t, s_z)

where p(z) is the attention, and p(y | h, s_z) what readout and output layer make of h and the one
state s_z in the place of the context. All that the decoder carries to the next step still reads the
context, the mean of the states under p: so each step's sum can be taken by itself.

Training does not need the sum. A guess q(z_t | x, y), made by a network that reads the target to
its end, bounds its logarithm (their section 3):

    log p(y_t | y_<t, x) >= E_q[log p(y_t | h_t, s_z)] - KL(q || p)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from nmt.model.bridge import Bridge
from nmt.model.decoder import Decoder
from nmt.model.encoder import Encoder
from nmt.model.recurrent import real_steps, recurrent_layer
from nmt.model.seq2seq import Seq2Seq
from nmt.model.state import DecoderState, EncoderOutput

Estimate = Literal["sampled", "enumerated"]


class Posterior(nn.Module):
    """The inference network q: LSTMs over source and target, and energies between the two.

    It reads the model's own embeddings, which so learn from it too.
    """

    def __init__(self, embedding_size: int, hidden_size: int) -> None:
        """Take the widths of the tokens' vectors (E) and of one direction."""
        super().__init__()
        self.over_source = recurrent_layer("lstm", embedding_size, hidden_size, bidirectional=True)
        self.over_target = recurrent_layer("lstm", embedding_size, hidden_size, bidirectional=True)
        self.projection = nn.Linear(2 * hidden_size, 2 * hidden_size, bias=False)

    def forward(
        self, source: Tensor, source_lengths: Tensor, target: Tensor, target_lengths: Tensor
    ) -> Tensor:
        """Return log q(z_t = s), -inf at source padding, (B, T, S).

        Args:
            source: Vectors of the source tokens, (B, S, E).
            source_lengths: Real tokens, all >= 1, (B,), int64, on the CPU.
            target: Vectors of the tokens y_t, without BOS, (B, T, E).
            target_lengths: As `source_lengths`.
        """
        read, _ = self.over_source(source, lengths=source_lengths)  # (B, S, 2H)
        written, _ = self.over_target(target, lengths=target_lengths)  # (B, T, 2H)
        energies: Tensor = self.projection(written) @ read.transpose(1, 2)  # (B, T, S)
        is_real = real_steps(source, source_lengths)[:, None]  # (B, 1, S)
        return in_full(energies).masked_fill(~is_real, float("-inf")).log_softmax(dim=-1)


class Unaligned(NamedTuple):
    """Target tokens read as far as can be without saying where they come from.

    Attributes:
        read: From one state a step, (B, T, D), to what the output layer reads, (B, T, R).
        attention: p(z), in full precision, (B, T, S).
        states: The encoder states, (B, S, D).
        state: The decoder's behind the last token.
    """

    read: Callable[[Tensor], Tensor]
    attention: Tensor
    states: Tensor
    state: DecoderState

    def at(self, place: int) -> Tensor:
        """Return the readouts of all steps that look at one source position, (B, T, R)."""
        return self.read(self.states[:, place, None].expand(-1, self.attention.size(1), -1))

    def at_each(self, places: Tensor) -> Tensor:
        """Return the readouts of each step at its own position, (B, T, R); `places`: (B, T)."""
        index = places[..., None].expand(-1, -1, self.states.size(2))  # (B, T, D)
        return self.read(self.states.gather(1, index))

    def at_mean(self) -> Tensor:
        """Return the readouts of the context, (B, T, R)."""
        return self.read(self.attention.to(self.states) @ self.states)

    def log_prior(self) -> Tensor:
        """Return log p(z), (B, T, S), finite also at padding."""
        least = torch.finfo(self.attention.dtype).tiny
        return self.attention.clamp(min=least).log()


class VariationalSeq2Seq(Seq2Seq):
    """A translation model with variational attention.

    Its `readouts` are those of the context: what soft attention would see, not what it says.
    """

    def __init__(
        self,
        encoder: Encoder,
        bridge: Bridge,
        decoder: Decoder,
        output_layer: nn.Linear,
        posterior: Posterior,
        *,
        estimate: Estimate,
    ) -> None:
        """Take the parts; only training asks the posterior.

        Args:
            encoder: See `Seq2Seq`.
            bridge: See `Seq2Seq`.
            decoder: Its attention has one head and sums up to one.
            output_layer: See `Seq2Seq`.
            posterior: q.
            estimate: How training takes the mean over the positions under q: from one that is drawn
                for each token, or over all.
        """
        super().__init__(encoder, bridge, decoder, output_layer)
        self.posterior = posterior
        self.estimate = estimate

    def unaligned(
        self, token_ids: Tensor, state: DecoderState, encoder_output: EncoderOutput
    ) -> Unaligned:
        """Read target tokens up to their readouts; takes what `logits` does."""
        read, state, attention = self.decoder.up_to_readout(token_ids, state, encoder_output)
        prior = in_full(attention)
        prior = prior / prior.sum(dim=2, keepdim=True)  # in half precision it need not be one
        return Unaligned(read, prior, encoder_output.states, state)

    def log_posterior(
        self, source_ids: Tensor, source_lengths: Tensor, target_ids: Tensor, target_mask: Tensor
    ) -> Tensor:
        """Return log q(z_t = s), -inf at source padding, (B, T, S).

        Args:
            source_ids: Tokens and EOS, padded, (B, S), int64.
            source_lengths: Real tokens, (B,), int64, on the CPU.
            target_ids: Target tokens and EOS, padded, (B, T), int64.
            target_mask: True at real target tokens, (B, T), bool.
        """
        log_posterior: Tensor = self.posterior(
            self.encoder.embedding(source_ids),
            source_lengths,
            self.decoder.embedding(target_ids),
            target_mask.sum(dim=1).cpu(),
        )
        return log_posterior

    def logits(
        self, token_ids: Tensor, state: DecoderState, encoder_output: EncoderOutput
    ) -> tuple[Tensor, DecoderState, Tensor]:
        """Score what follows each token, see `Seq2Seq.logits`; the logits are log p(y)."""
        unaligned = self.unaligned(token_ids, state, encoder_output)
        everywhere = torch.ones_like(token_ids, dtype=torch.bool)
        log_p = self._marginal(unaligned, everywhere).view(*token_ids.shape, -1)  # (B, T, V)
        return log_p, unaligned.state, unaligned.attention

    def forward(
        self,
        source_ids: Tensor,
        source_lengths: Tensor,
        target_input_ids: Tensor,
        target_mask: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Score what follows every target token, see `Seq2Seq.forward`; the logits are log p(y)."""
        encoder_output, state = self.encode(source_ids, source_lengths)
        unaligned = self.unaligned(target_input_ids, state, encoder_output)
        return self._marginal(unaligned, target_mask), unaligned.attention

    def _marginal(self, unaligned: Unaligned, mask: Tensor) -> Tensor:
        """Return log p(y) of the N tokens under a mask, (N, V)."""
        prior = unaligned.attention[mask]  # (N, S)
        total = prior.new_zeros(len(prior), self.output_layer.out_features)
        for place in range(prior.size(1)):  # all positions at once would fill memory
            said = in_full(self.output_layer(unaligned.at(place)[mask])).softmax(dim=-1)
            total.addcmul_(prior[:, place, None], said)
        return total.clamp(min=torch.finfo(total.dtype).tiny).log()


def in_full(values: Tensor) -> Tensor:
    """Return values of half precision as 32 bits, others as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
