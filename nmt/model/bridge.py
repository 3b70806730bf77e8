"""From the encoder's final states to the decoder's first."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from nmt.model.state import DecoderState

BridgeKind = Literal["linear", "zero"]


class Bridge(nn.Module):
    """Starts every decoder layer from a projection of the final states, or from zero."""

    def __init__(
        self, state_size: int, hidden_size: int, num_layers: int, *, kind: BridgeKind = "linear"
    ) -> None:
        """Take D, H and L."""
        super().__init__()
        self.num_layers = num_layers
        self.hidden_size = hidden_size
        self.projections = nn.ModuleList()
        if kind == "linear":
            size = num_layers * hidden_size
            self.projections.extend(nn.Linear(state_size, size) for _ in range(2))

    def forward(self, final: Tensor) -> DecoderState:
        """Return the decoder's first state; `final`: hidden and cell, (2, B, D)."""
        if not self.projections:
            zeros = final.new_zeros(self.num_layers, final.size(1), self.hidden_size)
            return DecoderState(zeros, zeros)
        to_hidden, to_cell = self.projections
        # a hidden state lies in (-1, 1), a cell state does not
        return DecoderState(
            self._by_layer(torch.tanh(to_hidden(final[0]))), self._by_layer(to_cell(final[1]))
        )

    def _by_layer(self, projected: Tensor) -> Tensor:
        batch_size = projected.size(0)
        by_row = projected.view(batch_size, self.num_layers, self.hidden_size)
        return by_row.transpose(0, 1).contiguous()  # (L, B, H)
