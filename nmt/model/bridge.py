"""From what the encoder has read to the state that the decoder starts from."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from nmt.model.cells import LayerState

BridgeKind = Literal["linear", "mean", "copy", "learned", "zero"]


class Bridge(nn.Module):
    """Starts every decoder layer.

    With h, c the final states of the encoder's top layer and m the mean of its states,

        linear    tanh(W h), W' c
        mean      tanh(W m), W' m
        copy      h, c of the encoder layer of the same number (Sutskever et al. 2014)
        learned   the same trained vectors for every sentence
        zero      nothing

    Of encoder units that have no c, h stands for it; a decoder whose units have none gets none.
    """

    def __init__(
        self,
        state_size: int,
        hidden_size: int,
        num_layers: int,
        *,
        kind: BridgeKind = "linear",
        has_cell_state: bool = True,
    ) -> None:
        """Take D, H and L, and whether the decoder's units have a cell state."""
        super().__init__()
        self.num_layers = num_layers
        self.hidden_size = hidden_size
        self.kind = kind
        self.has_cell_state = has_cell_state
        self.projections = nn.ModuleList()
        size, num_states = num_layers * hidden_size, 2 if has_cell_state else 1
        if kind in ("linear", "mean"):
            self.projections.extend(nn.Linear(state_size, size) for _ in range(num_states))
        if kind == "learned":
            self.start = nn.Parameter(torch.zeros(num_states, size))

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
        zeros = states.new_zeros(self.num_layers, batch_size, self.hidden_size)
        if self.kind == "zero":
            return zeros, zeros
        if self.kind == "copy":
            hiddens, cells = zip(*finals, strict=True)
            return torch.stack(hiddens), torch.stack(cells)
        if self.kind == "learned":
            starts = [start.expand(batch_size, -1) for start in self.start]
        else:
            hidden, cell = finals[-1]
            if self.kind == "mean":
                mean = states.sum(dim=1) / source_lengths.to(states)[:, None]  # (B, D)
                hidden, cell = mean, mean
            to_hidden, *to_cell = self.projections
            starts = [to_hidden(hidden), *(project(cell) for project in to_cell)]
        # a hidden state lies in (-1, 1), a cell state does not
        first = self._by_layer(torch.tanh(starts[0]))
        return first, self._by_layer(starts[1]) if self.has_cell_state else zeros

    def _by_layer(self, projected: Tensor) -> Tensor:
        by_row = projected.reshape(-1, self.num_layers, self.hidden_size)
        return by_row.transpose(0, 1).contiguous()  # (L, B, H)
