"""What passes between encoder, decoder and search: tensors only, nothing of how they are made."""

from __future__ import annotations

from dataclasses import dataclass

import torch
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
        cell: Cell states of all layers, (L, B, H).
    """

    hidden: Tensor
    cell: Tensor

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.hidden.size(1)

    def select(self, rows: Tensor) -> DecoderState:
        """Return the given rows in the given order, repeats allowed; `rows`: (N,), int64."""
        return DecoderState(self.hidden[:, rows], self.cell[:, rows])

    def reorder(self, rows: Tensor) -> DecoderState:
        """Return row `rows[i]` at row i, as a beam search step asks; `rows`: (B,), int64."""
        return DecoderState(
            torch.index_select(self.hidden, 1, rows), torch.index_select(self.cell, 1, rows)
        )

    def repeat(self, times: int) -> DecoderState:
        """Return every row `times` times, the copies of one row side by side, (L, B*times, H)."""
        return DecoderState(
            self.hidden.repeat_interleave(times, dim=1),  # (L, B*times, H)
            self.cell.repeat_interleave(times, dim=1),  # (L, B*times, H)
        )
