"""The model's equations once more, one number at a time, for tests to compare with."""

import math
from typing import cast

from torch import nn

from nmt.model.attention import Attention
from nmt.model.decoder import Decoder

Vector = list[float]


def linear(layer: nn.Linear, values: Vector) -> Vector:
    rows: list[Vector] = layer.weight.tolist()
    biases: Vector = [0.0] * len(rows) if layer.bias is None else layer.bias.tolist()
    return [dot(row, values) + bias for row, bias in zip(rows, biases, strict=True)]


def dot(first: Vector, second: Vector) -> float:
    return math.fsum(a * b for a, b in zip(first, second, strict=True))


def add(first: Vector, second: Vector) -> Vector:
    return [a + b for a, b in zip(first, second, strict=True)]


def softmax(energies: Vector) -> Vector:
    powers = [math.exp(energy) for energy in energies]
    return [power / math.fsum(powers) for power in powers]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def lstm_step(
    lstm: nn.LSTM, values: Vector, hidden: Vector, cell: Vector, *, direction: str = ""
) -> tuple[Vector, Vector]:
    """One step of the cell that `torch.nn.LSTM` documents.

    i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b), c' = f c + i g, h' = o tanh(c')
    """
    size = len(hidden)
    into_gates, around, into_bias, around_bias = (
        getattr(lstm, f"{name}_l0{direction}").tolist()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    gates = [
        dot(into_gates[row], values) + dot(around[row], hidden) + into_bias[row] + around_bias[row]
        for row in range(4 * size)
    ]
    new_cell, new_hidden = [], []
    for unit in range(size):
        into, forget, new, out = gates[unit::size]
        kept = sigmoid(forget) * cell[unit] + sigmoid(into) * math.tanh(new)
        new_cell.append(kept)
        new_hidden.append(sigmoid(out) * math.tanh(kept))
    return new_hidden, new_cell


def run_lstm(
    lstm: nn.LSTM, inputs: list[Vector], *, direction: str = ""
) -> tuple[list[Vector], Vector]:
    """Hidden states at every step, from zero on, and the last cell state."""
    hidden, cell = [0.0] * lstm.hidden_size, [0.0] * lstm.hidden_size
    outputs = []
    for values in inputs:
        hidden, cell = lstm_step(lstm, values, hidden, cell, direction=direction)
        outputs.append(hidden)
    return outputs, cell


def run_both_ways(lstm: nn.LSTM, inputs: list[Vector]) -> tuple[list[Vector], Vector, Vector]:
    """States of both directions joined at every step, and the joined final hidden and cell."""
    forward, forward_cell = run_lstm(lstm, inputs)
    backward, backward_cell = run_lstm(lstm, inputs[::-1], direction="_reverse")
    states = [ahead + back for ahead, back in zip(forward, backward[::-1], strict=True)]
    return states, forward[-1] + backward[-1], forward_cell + backward_cell


def energy(attention: Attention, query: Vector, state: Vector) -> float:
    """The energy of one query and one encoder state."""
    if attention.kind == "dot":
        return dot(query, state)
    key = linear(cast(nn.Linear, attention.key_projection), state)
    if attention.kind == "general":
        return dot(query, key)
    sums = add(linear(attention.query_projection, query), key)
    return linear(attention.energy, [math.tanh(value) for value in sums])[0]


def attend(attention: Attention, query: Vector, states: list[Vector]) -> tuple[Vector, Vector]:
    """Context and attention of one query over the states of one sentence."""
    weights = softmax([energy(attention, query, state) for state in states])
    context = [dot(weights, list(column)) for column in zip(*states, strict=True)]
    return context, weights


def decoder_step(
    decoder: Decoder, token_id: int, layers: list[tuple[Vector, Vector]], states: list[Vector]
) -> tuple[Vector, list[tuple[Vector, Vector]], Vector]:
    """Attentional state, hidden and cell state of every layer, and attention after one token."""
    embedded: Vector = decoder.embedding.table.weight[token_id].tolist()
    after = [lstm_step(decoder.bottom, embedded, *layers[0])]
    top = after[0][0]
    context, weights = attend(decoder.attention, top, states)
    for depth, layer in enumerate(decoder.upper, start=1):
        after.append(lstm_step(cast(nn.LSTM, layer), top + context, *layers[depth]))
        output = after[-1][0]
        top = output if depth == 1 else add(output, top)
    attentional = [math.tanh(value) for value in linear(decoder.readout, top + context)]
    return attentional, after, weights
