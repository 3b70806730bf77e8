"""What passes between encoder, decoder and search: tensors only, nothing of how they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class EncoderOutput:
    """The encoded source sentences, one row a sentence (or a beam of one).

    Attributes:
        states: Encoder states, zero at padding, (B, S, D).
        keys: Encoder states as the attention compares them with a query, (B, S, A or H).
        mask: True at real tokens, (B, S), bool.
    """

    states: Tensor
    keys: Tensor
    mask: Tensor

    def select(self, rows: Tensor) -> EncoderOutput:
        """Return the given rows in the given order; `rows`: (N,), int64."""
        return EncoderOutput(self.states[rows], self.keys[rows], self.mask[rows])

    def repeat(self, times: int) -> EncoderOutput:
        """Return every row `times` times, the copies of one row side by side, (B*times, ...)."""
        return EncoderOutput(
            self.states.repeat_interleave(times, dim=0),  # (B*times, S, D)
            self.keys.repeat_interleave(times, dim=0),  # (B*times, S, A)
            self.mask.repeat_interleave(times, dim=0),  # (B*times, S)
        )


@dataclass(frozen=True, slots=True)
class DecoderState:
    """All that the decoder carries from one target step to the next.

    Attributes:
        hidden: Hidden states of all layers, (L, B, H).
        cell: Cell states of all layers, (L, B, H); only LSTMs use them.
        feedback: What the lowest layer reads beside the next token, (B, F); F is 0 where nothing is
            fed back.
        coverage: Sum of the attention of all steps so far, (B, S), or (B, 0) where the attention
            does not read it.
    """

    hidden: Tensor
    cell: Tensor
    feedback: Tensor
    coverage: Tensor

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.hidden.size(1)

    def select(self, rows: Tensor) -> DecoderState:
        """Return the given rows in the given order, repeats allowed; `rows`: (N,), int64."""
        return self._by_row(lambda tensor, dim: tensor.index_select(dim, rows))

    def reorder(self, rows: Tensor) -> DecoderState:
        """Return row `rows[i]` at row i, as a beam search step asks; `rows`: (B,), int64."""
        return self.select(rows)

    def repeat(self, times: int) -> DecoderState:
        """Return every row `times` times, the copies of one row side by side, (L, B*times, H)."""
        return self._by_row(lambda tensor, dim: tensor.repeat_interleave(times, dim=dim))

    def _by_row(self, change: Callable[[Tensor, int], Tensor]) -> DecoderState:
        return DecoderState(
            change(self.hidden, 1),
            change(self.cell, 1),
            change(self.feedback, 0),
            change(self.coverage, 0),
        )
