"""Reads the source: a stack of recurrent layers, one way or both."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from nmt.model.cells import LayerState
from nmt.model.dropout import Dropout
from nmt.model.embedding import Embedding
from nmt.model.recurrent import Cell, has_cell_state, recurrent_layer, reverse

Directions = Literal["both", "bottom", "forward", "backward"]


class Encoder(nn.Module):
    """Recurrent layers over the source; what an upper layer reads may be added to its output."""

    def __init__(
        self,
        embedding: Embedding,
        *,
        num_layers: int,
        hidden_size: int,
        cell: Cell = "lstm",
        directions: Directions = "both",
        residual_from: int | None = 2,
        dropout: Dropout,
        weight_drop: float = 0.0,
    ) -> None:
        """Take the source embedding and the sizes.

        Args:
            embedding: Token ids to vectors.
            num_layers: Layers, at least one.
            hidden_size: Of one direction.
            cell: What the layers are made of.
            directions: Which layers read both ways: `both` all, `bottom` the lowest alone and the
                rest forward (Wu et al. 2016, section 3.2), `forward` and `backward` none. A stack
                that reads backward is one that gets its source reversed (Sutskever et al. 2014,
                section 3.3); its states still stand at the tokens that they have read last.
            residual_from: The lowest layer, counted from one, to whose output its input is added;
                None is no layer.
            dropout: Applied between the layers.
            weight_drop: See `recurrent_layer`.
        """
        super().__init__()
        self.embedding = embedding
        self.backward = directions == "backward"
        self.has_cell_state = has_cell_state(cell)
        both_ways = [
            directions == "both" or (directions == "bottom" and depth == 0)
            for depth in range(num_layers)
        ]
        output_sizes = [hidden_size * (2 if both else 1) for both in both_ways]
        input_sizes = [embedding.table.embedding_dim, *output_sizes[:-1]]
        self.layers = nn.ModuleList(
            recurrent_layer(cell, size, hidden_size, bidirectional=both, weight_drop=weight_drop)
            for size, both in zip(input_sizes, both_ways, strict=True)
        )
        self.residual_from = residual_from or num_layers + 1
        self.dropout = dropout
        self.state_size = output_sizes[-1]

    def forward(
        self, source_ids: Tensor, source_lengths: Tensor
    ) -> tuple[Tensor, list[LayerState]]:
        """Encode sentences; padding changes nothing.

        Args:
            source_ids: Padded tokens, (B, S), int64.
            source_lengths: Real tokens, all >= 1, (B,), int64, on the CPU.

        Returns:
            The encoder states, zero at padding, (B, S, D), and the final hidden and cell state of
            every layer, both directions joined, (B, H or 2H) each; the hidden state twice where
            the units have no other.
        """
        states: Tensor = self.embedding(source_ids)  # (B, S, E)
        if self.backward:
            states = reverse(states, source_lengths)
        finals = []
        for number, layer in enumerate(self.layers, start=1):
            inputs: Tensor = states if number == 1 else self.dropout(states)
            outputs, (hidden, cell) = layer(inputs, lengths=source_lengths)
            finals.append((_joined(hidden), _joined(cell if self.has_cell_state else hidden)))
            states = outputs + states if number >= self.residual_from else outputs
        if self.backward:
            states = reverse(states, source_lengths)
        return states, finals


def _joined(final: Tensor) -> Tensor:
    """Join the directions of a layer's final state; `final`: (directions, B, H)."""
    return final.transpose(0, 1).flatten(1)  # (B, H or 2H)
