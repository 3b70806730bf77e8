"""From what the encoder has read to the state that the decoder starts from."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from nmt.model.recurrent import LayerState

BridgeKind = Literal["linear", "mean", "copy", "learned", "zero"]


class Bridge(nn.Module):
    """Starts every decoder layer.

    With h, c the final states of the encoder's top layer and m the mean of its states,

        linear    tanh(W h), W' c
        mean      tanh(W m), W' m
        copy      h, c of the encoder layer of the same number (Sutskever et al. 2014)
        learned   the same trained vectors for every sentence
        zero      nothing
    """

    def __init__(
        self, state_size: int, hidden_size: int, num_layers: int, *, kind: BridgeKind = "linear"
    ) -> None:
        """Take D, H and L."""
        super().__init__()
        self.num_layers = num_layers
        self.hidden_size = hidden_size
        self.kind = kind
        self.projections = nn.ModuleList()
        size = num_layers * hidden_size
        if kind in ("linear", "mean"):
            self.projections.extend(nn.Linear(state_size, size) for _ in range(2))
        if kind == "learned":
            self.start = nn.Parameter(torch.zeros(2, size))

    def forward(
        self, states: Tensor, source_lengths: Tensor, finals: list[LayerState]
    ) -> tuple[Tensor, Tensor]:
        """Return the decoder's first hidden and cell states, (L, B, H) both.

        Args:
            states: Encoder states, zero at padding, (B, S, D).
            source_lengths: Real tokens, (B,), int64.
            finals: Final hidden and cell state of every encoder layer, (B, its size) each.
        """
        batch_size = states.size(0)
        if self.kind == "zero":
            zeros = states.new_zeros(self.num_layers, batch_size, self.hidden_size)
            return zeros, zeros
        if self.kind == "copy":
            hiddens, cells = zip(*finals, strict=True)
            return torch.stack(hiddens), torch.stack(cells)
        if self.kind == "learned":
            hidden, cell = self.start[:, None].expand(-1, batch_size, -1)
            return self._by_layer(torch.tanh(hidden)), self._by_layer(cell)
        hidden, cell = finals[-1]
        if self.kind == "mean":
            mean = states.sum(dim=1) / source_lengths.to(states)[:, None]  # (B, D)
            hidden, cell = mean, mean
        to_hidden, to_cell = self.projections
        # a hidden state lies in (-1, 1), a cell state does not
        return self._by_layer(torch.tanh(to_hidden(hidden))), self._by_layer(to_cell(cell))

    def _by_layer(self, projected: Tensor) -> Tensor:
        by_row = projected.reshape(-1, self.num_layers, self.hidden_size)
        return by_row.transpose(0, 1).contiguous()  # (L, B, H)
