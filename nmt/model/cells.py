"""The equations of one recurrent unit, from one step to the next, for loops that feed back.

Here x is the input of a step and h, c are the states of the step before, with W for x, U for h and
b; i, f, o are the gates. What an LSTM, a GRU and tanh units compute is what PyTorch's kernels do.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from nmt.model.products import RepeatedLinear

# Hidden and cell state of one layer, both (directions, B, H). Only an LSTM uses the second.
LayerState = tuple[Tensor, Tensor]

# One step: inputs, (B, 1, input size), and state, to outputs, (B, 1, H), and state.
OneStep = Callable[[Tensor, LayerState], tuple[Tensor, LayerState]]


def lstm(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return h' and c', (B, H) both.

        i, f, o = sigmoid(W x + U h + b)   g = tanh(W x + U h + b)
        c' = f c + i g                     h' = o tanh(c')

    Args:
        gates: What stands in the brackets, in the order i, f, g, o, (B, 4H).
        cell: c, (B, H).
    """
    enter, forget, new, leave = gates.chunk(4, dim=1)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
    return torch.sigmoid(leave) * torch.tanh(cell), cell


def gru(entering: Tensor, around: Tensor, hidden: Tensor) -> Tensor:
    """Return h', (B, H).

        r, z = sigmoid(W x + b + U h + b')   n = tanh(W x + b + r (U h + b'))
        h' = (1 - z) n + z h

    Args:
        entering: W x + b in the order r, z, n, (B, 3H).
        around: U h + b' in the same order, (B, 3H).
        hidden: h, (B, H).
    """
    reset_in, update_in, new_in = entering.chunk(3, dim=1)
    reset_around, update_around, new_around = around.chunk(3, dim=1)
    new = torch.tanh(new_in + torch.sigmoid(reset_in + reset_around) * new_around)
    # a bridge may start in full precision where autocast makes the rest half
    return torch.lerp(new, hidden.to(new), torch.sigmoid(update_in + update_around))


def normalised(gates: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """Return the gates normalised one by one, (B, 4H).

    With n(z) = gain (z - mean(z)) / std(z) + bias over the H units of a gate (Ba et al. 2016,
    eq. 4), the gates of a layer-normalised LSTM are n(W x + U h) in place of W x + U h + b.

    Args:
        gates: W x + U h, (B, 4H).
        gain: Of each unit of each gate, (4, H).
        bias: Likewise.
    """
    by_gate = gates.view(len(gates), *gain.shape)  # (B, 4, H)
    return (layer_norm(by_gate, (gain.size(1),)) * gain + bias).flatten(1)  # (B, 4H)


def lstm_step(weights: list[Tensor]) -> OneStep:
    """Return one step of an LSTM; `weights`: W, U, b of W and b of U."""
    into, around, *biases = weights
    linear = RepeatedLinear(torch.cat((into, around), dim=1), sum(biases))  # type: ignore[arg-type]

    def step(inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        (hidden,), (cell,) = state
        gates = linear(torch.cat((inputs.squeeze(1), hidden.to(inputs)), dim=1))
        hidden, cell = lstm(gates, cell)
        return hidden[:, None], (hidden[None], cell[None])

    return step


def gru_step(weights: list[Tensor]) -> OneStep:
    """Return one step of a GRU; `weights`: W, U, b of W and b of U."""
    into, around, bias_into, bias_around = weights
    enter, turn = RepeatedLinear(into, bias_into), RepeatedLinear(around, bias_around)

    def step(inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        (hidden,), unused = state
        hidden = gru(enter(inputs.squeeze(1)), turn(hidden), hidden)
        return hidden[:, None], (hidden[None], unused)

    return step


def rnn_step(weights: list[Tensor]) -> OneStep:
    """Return one step of tanh units, h' = tanh(W x + U h + b); `weights`: as of an LSTM."""
    into, around, *biases = weights
    linear = RepeatedLinear(torch.cat((into, around), dim=1), sum(biases))  # type: ignore[arg-type]

    def step(inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        (hidden,), unused = state
        hidden = torch.tanh(linear(torch.cat((inputs.squeeze(1), hidden.to(inputs)), dim=1)))
        return hidden[:, None], (hidden[None], unused)

    return step
