"""Reads the source: a stack of bidirectional LSTMs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.model.embedding import Embedding
from nmt.model.layers import Dropout, one_layer_lstm


class Encoder(nn.Module):
    """Bidirectional LSTM layers; from the second on, what a layer reads is added to its output."""

    def __init__(
        self, embedding: Embedding, *, num_layers: int, hidden_size: int, dropout: Dropout
    ) -> None:
        """Take the source embedding and the sizes.

        Args:
            embedding: Token ids to vectors.
            num_layers: LSTM layers, at least one.
            hidden_size: Of one direction; D is twice that.
            dropout: Applied between the layers.
        """
        super().__init__()
        self.embedding = embedding
        embedding_size = embedding.table.embedding_dim
        input_sizes = [embedding_size] + [2 * hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(
            one_layer_lstm(size, hidden_size, bidirectional=True) for size in input_sizes
        )
        self.dropout = dropout
        self.state_size = 2 * hidden_size

    def forward(self, source_ids: Tensor, source_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode sentences; padding changes nothing.

        Args:
            source_ids: Padded tokens, (B, S), int64.
            source_lengths: Real tokens, all >= 1, (B,), int64, on the CPU.

        Returns:
            The encoder states, zero at padding, (B, S, D), and the top layer's final hidden and
            cell state, both directions joined, (2, B, D).
        """
        states: Tensor = self.embedding(source_ids)  # (B, S, E)
        final = states
        for depth, layer in enumerate(self.layers):
            inputs: Tensor = states if depth == 0 else self.dropout(states)
            outputs, final = _run(layer, inputs, source_lengths)
            states = outputs if depth == 0 else outputs + states
        return states, final


def _run(layer: nn.Module, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Run a bidirectional layer over the real tokens alone."""
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    outputs, (hidden, cell) = layer(packed)
    states, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.size(1))
    final = torch.stack((hidden, cell))  # (2, 2, B, D/2)
    return states, final.transpose(1, 2).flatten(2)  # (2, B, D)
