"""An LSTM encoder laid out for translating on the CPU; the equations are those of its model.

What the lowest layer makes of the tokens is looked up, upper layers multiply all positions at once,
and both directions take their steps together, padding included: where a sentence has ended, or has
not begun for who reads from the end, its states stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nmt.engine.units import (
    AddProducts,
    Lookup,
    Make,
    add_products,
    lookup,
    lstm,
    lstm_weights,
)
from nmt.model.cells import LayerState
from nmt.model.encoder import Encoder
from nmt.model.products import Linear
from nmt.model.recurrent import RecurrentLayer, reverse


class FoldedEncoder:
    """A trained encoder; `can_fold_encoder` tells which it takes.

    Attributes:
        bound: No state lies outside [-bound, bound].
    """

    def __init__(self, encoder: Encoder, make: Make) -> None:
        """Lay the encoder out; `make`: how its products are made."""
        self._is_backward = encoder.backward
        self._residual_from = encoder.residual_from
        self._layers: list[_Layer] = []
        self.bound = 1.0
        for number, layer in enumerate(encoder.layers, start=1):
            assert isinstance(layer, RecurrentLayer)
            weights = lstm_weights(layer)
            into = torch.cat([into for into, _, _ in weights])  # (directions * 4H, K)
            bias = torch.cat([bias for _, _, bias in weights])
            entering: Lookup | Linear
            if number == 1:
                entering = lookup(encoder.embedding.table.weight, into, bias)
            else:
                entering = make(into, bias, bound=self.bound)
            around = add_products([around for _, around, _ in weights], make)
            self._layers.append(_Layer(entering, around, len(weights), layer.hidden_size))
            is_added = number >= self._residual_from
            self.bound = self.bound + 1 if is_added else 1.0

    def __call__(
        self, source_ids: Tensor, source_lengths: Tensor
    ) -> tuple[Tensor, list[LayerState]]:
        """Encode sentences, see `nmt.model.encoder.Encoder`."""
        if self._is_backward:
            source_ids = reverse(source_ids[:, :, None], source_lengths)[:, :, 0]
        mask = None
        if int(source_lengths.min()) < source_ids.size(1):
            places = torch.arange(source_ids.size(1))[:, None, None]
            mask = places < source_lengths[:, None]  # (S, B, 1)
        inputs = source_ids.T.contiguous()  # (S, B), and from the first layer on (S, B, D)
        finals = []
        for number, layer in enumerate(self._layers, start=1):
            outputs, final = layer(inputs, mask)
            finals.append(final)
            inputs = outputs + inputs if number >= self._residual_from else outputs
        states = inputs.transpose(0, 1).contiguous()  # (B, S, D)
        if self._is_backward:
            states = reverse(states, source_lengths)
        return states, finals


def can_fold_encoder(encoder: Encoder) -> bool:
    """Tell whether all layers are LSTMs without normalisation."""
    return all(
        isinstance(layer, RecurrentLayer) and layer.cell == "lstm" for layer in encoder.layers
    )


class _Layer:
    """One layer, in one direction or both."""

    def __init__(
        self,
        entering: Lookup | Linear,
        around: AddProducts,
        num_directions: int,
        hidden_size: int,
    ) -> None:
        """Take W x + b of all directions side by side, what adds U h of each, and the sizes."""
        self._entering, self._around = entering, around
        self._num_directions, self._size = num_directions, hidden_size

    def __call__(self, inputs: Tensor, mask: Tensor | None) -> tuple[Tensor, LayerState]:
        """Return outputs, zero at padding, (S, B, directions * H), and the last states, (B, same).

        Args:
            inputs: Tokens, (S, B), or what the layer below gives, (S, B, D).
            mask: True at real tokens, (S, B, 1); None is everywhere.
        """
        num_directions, size = self._num_directions, self._size
        length, batch_size = inputs.shape[:2]
        entering = self._entering(inputs.flatten(0, 1)).view(length, batch_size, -1)
        gates = _by_direction(entering, num_directions)
        going_on = (
            None
            if mask is None
            else _by_direction(mask.expand(-1, -1, num_directions), num_directions)
        )
        outputs = entering.new_empty(length, num_directions, batch_size, size)
        hidden = cell = entering.new_zeros(num_directions * batch_size, size)
        for step in range(length):
            sums = gates[step]
            if step:  # before there is nothing to multiply
                self._around(sums, hidden.view(num_directions, batch_size, size))
            new_hidden, new_cell = lstm(sums.flatten(0, 1), cell)
            if going_on is not None:
                new_hidden = torch.where(going_on[step].flatten(0, 1), new_hidden, hidden)
                new_cell = torch.where(going_on[step].flatten(0, 1), new_cell, cell)
            hidden, cell = new_hidden, new_cell
            outputs[step] = hidden.view_as(outputs[step])
        states = _by_direction(outputs.transpose(1, 2).flatten(2), num_directions)
        joined = states.transpose(1, 2).flatten(2)  # (S, B, directions * H)
        if mask is not None:
            joined.mul_(mask)
        last = (
            part.view(num_directions, -1, size).transpose(0, 1).flatten(1)
            for part in (hidden, cell)
        )
        return joined, (next(last), next(last))


def _by_direction(values: Tensor, num_directions: int) -> Tensor:
    """Part what stands side by side, and turn the second direction's steps around.

    Args:
        values: (S, B, directions * any).
        num_directions: 1 or 2.

    Returns:
        In the order of the steps, or back, (S, directions, B, any).
    """
    first, *second = torch.chunk(values, num_directions, dim=2)
    return torch.stack((first, *(part.flip(0) for part in second)), dim=1)
