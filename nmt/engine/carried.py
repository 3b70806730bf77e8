"""What a laid-out model carries through a search: encoded sentences, and the state of every row."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class FoldedSource:
    """Encoded sentences, each with a number of rows that share it.

    Attributes:
        keys: Encoder states as the attention compares them, (B, A, S).
        values: What every reader of the context makes of each state, side by side, (B, S, G); the
            states, (B, S, D), where the readers get their context by a product at every step.
        bias: 0 at real tokens, minus infinity at padding, (B, 1, S).
        width: W, the rows of each sentence; row i is of sentence i // W.
    """

    keys: Tensor
    values: Tensor
    bias: Tensor
    width: int = 1

    def select(self, rows: Tensor) -> FoldedSource:
        """Return the given rows in the given order, repeats allowed; `rows`: (N,), int64."""
        sentences, counts = torch.unique_consecutive(rows // self.width, return_counts=True)
        width = int(counts[0]) if len(counts) else 1
        if not bool((counts == width).all()):
            sentences, width = rows // self.width, 1
        return FoldedSource(
            self.keys[sentences], self.values[sentences], self.bias[sentences], width
        )

    def repeat(self, times: int) -> FoldedSource:
        """Return every row `times` times, the copies of one row side by side."""
        return FoldedSource(self.keys, self.values, self.bias, self.width * times)


@dataclass(frozen=True, slots=True)
class FoldedState:
    """What is carried from one target step to the next: P states, and which of them each row has.

    Selecting rows copies nothing.

    Attributes:
        hidden: Hidden state of every layer, (P, L, H).
        cell: Cell state of every layer, (P, L, H).
        feedback: What the lowest layer reads beside the token and its own state: the attentional
            state, (P, R), or the context, multiplied by its weight already, (P, 4H); else (P, 0).
        origins: Which of the P each of the N rows goes on from, (N,), int64; None is each its own.
    """

    hidden: Tensor
    cell: Tensor
    feedback: Tensor
    origins: Tensor | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.hidden if self.origins is None else self.origins)

    def select(self, rows: Tensor) -> FoldedState:
        """Return the given rows in the given order, repeats allowed; `rows`: (N,), int64."""
        return replace(self, origins=rows if self.origins is None else self.origins[rows])

    def reorder(self, rows: Tensor) -> FoldedState:
        """Return row `rows[i]` at row i; `rows`: (B,), int64."""
        return self.select(rows)

    def repeat(self, times: int) -> FoldedState:
        """Return every row `times` times, the copies of one row side by side."""
        rows = torch.arange(len(self), device=self.hidden.device)
        return self.select(rows.repeat_interleave(times))
