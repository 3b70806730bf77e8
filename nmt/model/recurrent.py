"""One recurrent layer: LSTM, GRU or plain tanh units, or an LSTM with normalised gates.

All have the same door: inputs and a state in, outputs and a state out, padding left aside.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from nmt.model.cells import (
    LayerState,
    OneStep,
    gru_step,
    lstm,
    lstm_step,
    normalised,
    rnn_step,
)
from nmt.model.dropout import keep_mask
from nmt.model.products import RepeatedLinear

Cell = Literal["lstm", "gru", "rnn", "layer_norm_lstm"]

_MODES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN_TANH"}
_KERNELS = {"lstm": torch.lstm, "gru": torch.gru, "rnn": torch.rnn_tanh}
_STEPS = {"lstm": lstm_step, "gru": gru_step, "rnn": rnn_step}


def has_cell_state(cell: Cell) -> bool:
    """Tell whether units of a kind carry a cell state beside the hidden one."""
    return cell in ("lstm", "layer_norm_lstm")


def recurrent_layer(
    cell: Cell,
    input_size: int,
    hidden_size: int,
    *,
    bidirectional: bool = False,
    weight_drop: float = 0.0,
) -> RecurrentLayer | LayerNormLSTM:
    """Return a layer of the given kind with fresh weights.

    Args:
        cell: What its units are.
        input_size: Width of what it reads.
        hidden_size: H, of one direction.
        bidirectional: Read both ways; the outputs are joined, (B, T, 2H).
        weight_drop: Probability that a weight between hidden states is zero for a whole pass of
            training (DropConnect; Merity et al. 2018), in [0, 1).
    """
    if cell == "layer_norm_lstm":
        return LayerNormLSTM(
            input_size, hidden_size, bidirectional=bidirectional, weight_drop=weight_drop
        )
    return RecurrentLayer(
        cell, input_size, hidden_size, bidirectional=bidirectional, weight_drop=weight_drop
    )


class RecurrentLayer(nn.RNNBase):
    """LSTM, GRU or tanh units by PyTorch's own kernels; `nmt.model.cells` has the equations."""

    def __init__(
        self,
        cell: Literal["lstm", "gru", "rnn"],
        input_size: int,
        hidden_size: int,
        *,
        bidirectional: bool = False,
        weight_drop: float = 0.0,
    ) -> None:
        """Make the layer, see `recurrent_layer`.

        Weights are drawn from U(-1/sqrt(H), 1/sqrt(H)). The two biases of an LSTM's forget gate add
        up to one, so that the cell remembers from the start (Jozefowicz et al. 2015); all other
        biases are zero.
        """
        super().__init__(
            _MODES[cell], input_size, hidden_size, batch_first=True, bidirectional=bidirectional
        )
        self.cell = cell
        self.weight_drop = weight_drop
        bound = 1 / math.sqrt(hidden_size)
        for name, weight in self.named_parameters():
            with torch.no_grad():
                if "bias" not in name:
                    weight.uniform_(-bound, bound)
                    continue
                weight.zero_()
                if cell == "lstm":  # gate order: in, forget, cell, out
                    weight[hidden_size : 2 * hidden_size] = 0.5

    def draw(self) -> list[Tensor]:
        """Return the weights of one pass, thinned by weight drop while training."""
        weights: list[Tensor] = [w for direction in self.all_weights for w in direction]
        if self.training and self.weight_drop > 0:
            for place in range(1, len(weights), len(weights) // len(self.all_weights)):
                around = weights[place]
                weights[place] = around * keep_mask(tuple(around.shape), self.weight_drop, around)
        return weights

    def one_step(self, weights: list[Tensor]) -> OneStep:
        """Return the layer as one step of a loop that trains it; `weights`: what `draw` gave.

        One way only. It computes what `forward` does with inputs of one step; the gradient of the
        weights is taken once for all steps of a pass.
        """
        return _STEPS[self.cell](weights)

    def zero_state(self, inputs: Tensor) -> LayerState:
        """Return the state before the first input; `inputs`: (B, T, any size)."""
        directions = 2 if self.bidirectional else 1
        zeros = inputs.new_zeros(directions, inputs.size(0), self.hidden_size)
        return zeros, zeros

    def forward(
        self,
        inputs: Tensor,
        state: LayerState | None = None,
        *,
        lengths: Tensor | None = None,
        weights: list[Tensor] | None = None,
    ) -> tuple[Tensor, LayerState]:
        """Run over the inputs.

        Args:
            inputs: What the layer reads, (B, T, input size).
            state: Before the first input; None is zero.
            lengths: Real inputs of each row, all >= 1, (B,), int64, on the CPU; None is all.
            weights: What `draw` gave; None draws.

        Returns:
            The outputs, zero at padding, (B, T, H or 2H), and the state after each row's last real
            input.
        """
        hidden, cell = self.zero_state(inputs) if state is None else state
        weights = self.draw() if weights is None else weights
        if lengths is None:
            return self._run(inputs, None, (hidden, cell), weights)
        order = lengths.argsort(descending=True)
        back = order.argsort().to(inputs.device)
        sorted_lengths, order = lengths[order], order.to(inputs.device)
        packed = pack_padded_sequence(inputs[order], sorted_lengths, batch_first=True)
        state = hidden[:, order], cell[:, order]
        data, (hidden, cell) = self._run(packed.data, packed.batch_sizes, state, weights)
        outputs, _ = pad_packed_sequence(
            PackedSequence(data, packed.batch_sizes),
            batch_first=True,
            total_length=inputs.size(1),
        )
        return outputs[back], (hidden[:, back], cell[:, back])

    def _run(
        self,
        inputs: Tensor,
        batch_sizes: Tensor | None,
        state: LayerState,
        weights: list[Tensor],
    ) -> tuple[Tensor, LayerState]:
        """Call the kernel, for padded (B, T, size) or for packed inputs (N, size)."""
        kernel: Any = _KERNELS[self.cell]
        start = state if self.cell == "lstm" else state[0]
        sequences = (inputs,) if batch_sizes is None else (inputs, batch_sizes)
        batch_first = (True,) if batch_sizes is None else ()
        layers, dropout = 1, 0.0
        outputs, *after = kernel(
            *sequences,
            start,
            weights,
            True,
            layers,
            dropout,
            self.training,
            self.bidirectional,
            *batch_first,
        )
        return outputs, (after[0], after[1] if self.cell == "lstm" else state[1])


class LayerNormLSTM(nn.Module):
    """An LSTM whose gates are normalised one by one before their non-linearity.

    The equations are in `nmt.model.cells`. Chen et al. 2018 normalise per gate too. Ba et al. 2016
    (eqs. 20-22) normalise W x and U h apart, all gates together, and the cell state before the last
    tanh.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bidirectional: bool = False,
        weight_drop: float = 0.0,
    ) -> None:
        """Make the layer, see `recurrent_layer`; the forget gate's bias starts at one."""
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_drop = weight_drop
        self.directions = 2 if bidirectional else 1
        bound = 1 / math.sqrt(hidden_size)

        def uniform(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(self.directions, *shape).uniform_(-bound, bound))

        self.weight_ih = uniform(4 * hidden_size, input_size)
        self.weight_hh = uniform(4 * hidden_size, hidden_size)
        self.gain = nn.Parameter(torch.ones(self.directions, 4, hidden_size))
        self.bias = nn.Parameter(torch.zeros(self.directions, 4, hidden_size))
        with torch.no_grad():
            self.bias[:, 1] = 1.0  # gate order: in, forget, cell, out

    def draw(self) -> list[Tensor]:
        """Return the weights between hidden states for one pass, thinned while training."""
        around: Tensor = self.weight_hh
        if self.training and self.weight_drop > 0:
            around = around * keep_mask(tuple(around.shape), self.weight_drop, around)
        return [around]

    def one_step(self, weights: list[Tensor]) -> OneStep:
        """Return the layer as one step of a loop, see `RecurrentLayer.one_step`."""
        ((around,),), gain, bias = weights, self.gain[0], self.bias[0]
        linear = RepeatedLinear(torch.cat((self.weight_ih[0], around), dim=1))

        def step(inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
            (hidden,), (cell,) = state
            gates = linear(torch.cat((inputs.squeeze(1), hidden.to(inputs)), dim=1))
            hidden, cell = lstm(normalised(gates, gain, bias), cell)
            return hidden[:, None], (hidden[None], cell[None])

        return step

    def forward(
        self,
        inputs: Tensor,
        state: LayerState | None = None,
        *,
        lengths: Tensor | None = None,
        weights: list[Tensor] | None = None,
    ) -> tuple[Tensor, LayerState]:
        """Run over the inputs, see `RecurrentLayer.forward`."""
        (around,) = self.draw() if weights is None else weights
        if state is None:
            zeros = inputs.new_zeros(self.directions, inputs.size(0), self.hidden_size)
            state = zeros, zeros
        mask = None if lengths is None else real_steps(inputs, lengths)
        runs = []
        for direction in range(self.directions):
            backwards = direction == 1
            read = reverse(inputs, lengths) if backwards else inputs
            start = state[0][direction], state[1][direction]
            outputs, final = self._run(read, start, mask, direction, around[direction])
            runs.append((reverse(outputs, lengths) if backwards else outputs, *final))
        joined = torch.cat([outputs for outputs, _, _ in runs], dim=-1)
        hidden = torch.stack([final for _, final, _ in runs])
        return joined, (hidden, torch.stack([final for _, _, final in runs]))

    def _run(
        self,
        inputs: Tensor,
        state: tuple[Tensor, Tensor],
        mask: Tensor | None,
        direction: int,
        around: Tensor,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read one way; `state`: hidden and cell, (B, H)."""
        into = inputs @ self.weight_ih[direction].T  # (B, T, 4H)
        gain, bias, turn = self.gain[direction], self.bias[direction], RepeatedLinear(around)
        hidden, cell = state
        outputs = []
        for step, entering in enumerate(into.unbind(1)):
            next_hidden, next_cell = lstm(normalised(entering + turn(hidden), gain, bias), cell)
            outputs.append(next_hidden)
            if mask is not None:
                real = mask[:, step, None]  # (B, 1)
                next_hidden = torch.where(real, next_hidden, hidden)
                next_cell = torch.where(real, next_cell, cell)
            hidden, cell = next_hidden, next_cell
        joined = torch.stack(outputs, dim=1)  # (B, T, H)
        return joined if mask is None else joined * mask[:, :, None], (hidden, cell)


def real_steps(like: Tensor, lengths: Tensor) -> Tensor:
    """Return True at real steps, (B, T), bool; `like`: (B, T, any size), `lengths`: (B,)."""
    return torch.arange(like.size(1), device=like.device) < lengths.to(like.device)[:, None]


def reverse(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn the real steps of every row around and leave the padding behind them, (B, T, any size).

    Args:
        values: Rows of steps, (B, T, any size).
        lengths: Real steps of each row, (B,), int64; None is all.
    """
    if lengths is None:
        return values.flip(1)
    places = torch.arange(values.size(1), device=values.device)
    ends = lengths.to(values.device)[:, None]
    turned = torch.where(places < ends, ends - 1 - places, places)  # (B, T)
    return values.gather(1, turned[:, :, None].expand_as(values))
