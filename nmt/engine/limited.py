"""A model that scores only some of the target tokens, other ones for every sentence of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.engine.carried import FoldedSource, FoldedState
from nmt.engine.folded import FoldedEngine


@dataclass(frozen=True, slots=True)
class LimitedSource:
    """Encoded sentences with what their translations may hold.

    Attributes:
        encoded: The sentences, each with W rows that share it.
        bias: 0 at the tokens of a sentence, minus infinity at the others, (B, V').
    """

    encoded: FoldedSource
    bias: Tensor

    def select(self, rows: Tensor) -> LimitedSource:
        """Return the given rows in the given order, repeats allowed; `rows`: (N,), int64."""
        encoded = self.encoded.select(rows)
        sentences = rows[:: encoded.width] // self.encoded.width
        return LimitedSource(encoded, self.bias[sentences])

    def repeat(self, times: int) -> LimitedSource:
        """Return every row `times` times, the copies of one row side by side."""
        return LimitedSource(self.encoded.repeat(times), self.bias)


class LimitedEngine:
    """An engine for one batch, with a vocabulary of those tokens that its sentences may need.

    A sentence is scored over its own tokens alone, whose probabilities add up to one, and so gets
    the same translation in any batch. The engine's token i is the i-th of `token_ids`.

    Attributes:
        token_ids: The tokens of all sentences, ascending, (V',), int64.
    """

    def __init__(self, engine: FoldedEngine, allowed: Tensor) -> None:
        """Take the engine and the tokens.

        Args:
            engine: Of the whole vocabulary.
            allowed: True at the tokens of each sentence, among them all that are read, such as BOS,
                and the end, EOS, (B, V), bool.
        """
        self._engine = engine
        self.token_ids = allowed.any(dim=0).nonzero().squeeze(1)
        bias = torch.zeros(len(allowed), len(self.token_ids))
        self._bias = bias.masked_fill_(~allowed[:, self.token_ids], float("-inf"))
        with torch.inference_mode():
            self._output = engine.output_layer(self.token_ids)

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return self._engine.device

    @property
    def has_attention(self) -> bool:
        """Whether the model has attention."""
        return self._engine.has_attention

    def encode(
        self, source_ids: Tensor, source_lengths: Tensor
    ) -> tuple[LimitedSource, FoldedState]:
        """Read the sentences of the batch once, see `Engine.encode`."""
        encoded, state = self._engine.encode(source_ids, source_lengths)
        return LimitedSource(encoded, self._bias), state

    @torch.inference_mode()
    def step(
        self, token_ids: Tensor, state: FoldedState, encoder_output: LimitedSource
    ) -> tuple[Tensor, FoldedState, Tensor]:
        """Score the next token of every row, see `Engine.step`."""
        encoded, bias = encoder_output.encoded, encoder_output.bias
        readouts, state, attention = self._engine.advance(self.token_ids[token_ids], state, encoded)
        logits = self._output(readouts)  # (N, V')
        logits.view(len(bias), -1, logits.size(1)).add_(bias[:, None])
        return torch.log_softmax(logits, dim=1, out=logits), state, attention
