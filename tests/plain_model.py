"""The papers' equations once more, one number at a time, for tests to compare with.

Weights come by name, as a model saves them, in nested lists; nothing else is known of the model.
Every decoder here is written from its paper's equations, read as the recipe says, and shares no
code with `nmt`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Vector = list[float]
Matrix = list[Vector]
Weights = Mapping[str, Any]

# Hidden and cell state of one layer. Only an LSTM uses the second.
State = tuple[Vector, Vector]
# From weights, input and state, and 0 or 1 for forward or backward, to the next state.
Step = Callable[[Weights, Vector, State, int], State]


class Encoded(NamedTuple):
    """The encoder states of one sentence, and each layer's final state, directions joined."""

    states: Matrix
    finals: list[State]


class Decoded(NamedTuple):
    """What a decoder gives for one target: (T, V) and (T, S), and where its layers end."""

    logits: Matrix
    attention: Matrix
    layers: list[State]


# Vectors


def part(weights: Weights, name: str) -> Weights:
    """The weights of one part, under its own names."""
    return {
        key.removeprefix(f"{name}."): value
        for key, value in weights.items()
        if key.startswith(f"{name}.")
    }


def dot(first: Vector, second: Vector) -> float:
    return math.fsum(a * b for a, b in zip(first, second, strict=True))


def times(matrix: Matrix, values: Vector) -> Vector:
    return [dot(row, values) for row in matrix]


def add(*vectors: Vector) -> Vector:
    return [math.fsum(values) for values in zip(*vectors, strict=True)]


def linear(weights: Weights, values: Vector) -> Vector:
    product = times(weights["weight"], values)
    return add(product, weights["bias"]) if "bias" in weights else product


def tanh(values: Vector) -> Vector:
    return [math.tanh(value) for value in values]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def softmax(energies: Vector) -> Vector:
    powers = [math.exp(energy) for energy in energies]
    return [power / math.fsum(powers) for power in powers]


def weighted_sum(weights: Vector, vectors: Matrix) -> Vector:
    return [dot(weights, list(column)) for column in zip(*vectors, strict=True)]


# Recurrent units


def projections(weights: Weights, values: Vector, hidden: Vector, way: int) -> tuple[Matrix, ...]:
    """W x + b and U h + b', gate by gate, under the names that torch gives a layer's weights."""
    suffix = "_l0_reverse" if way else "_l0"
    into = add(times(weights[f"weight_ih{suffix}"], values), weights[f"bias_ih{suffix}"])
    around = add(times(weights[f"weight_hh{suffix}"], hidden), weights[f"bias_hh{suffix}"])
    return by_gate(into, len(hidden)), by_gate(around, len(hidden))


def by_gate(values: Vector, size: int) -> Matrix:
    return [values[start : start + size] for start in range(0, len(values), size)]


def lstm_update(gates: Matrix, cell: Vector) -> State:
    """Take c' = f c + i g and h' = o tanh(c'), gates as sums, in the order i, f, g, o."""
    new_cell = [
        sigmoid(f) * old + sigmoid(i) * math.tanh(g)
        for i, f, g, old in zip(*gates[:3], cell, strict=True)
    ]
    return [sigmoid(o) * math.tanh(c) for o, c in zip(gates[3], new_cell, strict=True)], new_cell


def lstm_step(weights: Weights, values: Vector, state: State, way: int = 0) -> State:
    """The LSTM that `torch.nn.LSTM` documents."""
    hidden, cell = state
    into, around = projections(weights, values, hidden, way)
    return lstm_update([add(*pair) for pair in zip(into, around, strict=True)], cell)


def layer_norm_lstm_step(weights: Weights, values: Vector, state: State, way: int = 0) -> State:
    """An LSTM, each gate's sums normalised over its units; no other biases."""
    hidden, cell = state
    sums = add(times(weights["weight_ih"][way], values), times(weights["weight_hh"][way], hidden))
    gates = []
    for number, gate in enumerate(by_gate(sums, len(hidden))):
        mean = math.fsum(gate) / len(gate)
        variance = math.fsum((value - mean) ** 2 for value in gate) / len(gate)
        gains, biases = weights["gain"][way][number], weights["bias"][way][number]
        gates.append(
            [
                gain * (value - mean) / math.sqrt(variance + 1e-5) + bias
                for value, gain, bias in zip(gate, gains, biases, strict=True)
            ]
        )
    return lstm_update(gates, cell)


def gru_step(weights: Weights, values: Vector, state: State, way: int = 0) -> State:
    """The GRU that `torch.nn.GRU` documents: r, z, n; h' = (1 - z) n + z h."""
    hidden, cell = state
    into, around = projections(weights, values, hidden, way)
    reset, update = ([sigmoid(total) for total in add(into[gate], around[gate])] for gate in (0, 1))
    new = [math.tanh(x + r * h) for x, r, h in zip(into[2], reset, around[2], strict=True)]
    return [(1 - z) * n + z * h for z, n, h in zip(update, new, hidden, strict=True)], cell


def rnn_step(weights: Weights, values: Vector, state: State, way: int = 0) -> State:
    """The units that `torch.nn.RNN` documents: h' = tanh(W x + b + U h + b')."""
    hidden, cell = state
    (into,), (around,) = projections(weights, values, hidden, way)
    return tanh(add(into, around)), cell


STEPS: Mapping[str, Step] = {
    "lstm": lstm_step,
    "gru": gru_step,
    "rnn": rnn_step,
    "layer_norm_lstm": layer_norm_lstm_step,
}


def width_of(weights: Weights) -> int:
    """Units of a recurrent layer."""
    around = weights["weight_hh"][0] if "weight_hh" in weights else weights["weight_hh_l0"]
    return len(around[0])


def run(
    step: Step, weights: Weights, inputs: Matrix, *, start: State | None = None, way: int = 0
) -> tuple[Matrix, State]:
    """The hidden state at every input, read from the first to the last, and the last state."""
    size = width_of(weights)
    state = start or ([0.0] * size, [0.0] * size)
    outputs = []
    for values in inputs:
        state = step(weights, values, state, way)
        outputs.append(state[0])
    return outputs, state


def run_both_ways(step: Step, weights: Weights, inputs: Matrix) -> tuple[Matrix, State]:
    """States of both directions joined at every input, and their final states joined."""
    forward, ahead = run(step, weights, inputs)
    backward, back = run(step, weights, inputs[::-1], way=1)
    states = [a + b for a, b in zip(forward, backward[::-1], strict=True)]
    return states, (ahead[0] + back[0], ahead[1] + back[1])


# Attention


def attend(energies: Vector, states: Matrix) -> tuple[Vector, Vector]:
    """Context and attention."""
    attention = softmax(energies)
    return weighted_sum(attention, states), attention


def additive_energy(
    attention: Weights, query: Vector, state: Vector, *, coverage: float | None = None
) -> float:
    """Take v . tanh(U q + W s + b), with u C in the sum where a coverage C is given."""
    (scorer,) = attention["energy.weight"]
    sums = [
        times(attention["query_projection.weight"], query),
        linear(part(attention, "key_projection"), state),
    ]
    if coverage is not None:
        sums.append([row[0] * coverage for row in attention["coverage_projection.weight"]])
    return dot(scorer, tanh(add(*sums)))


def multi_head(
    attention: Weights, kind: str, num_heads: int, query: Vector, states: Matrix
) -> tuple[Vector, Matrix]:
    """The context, each head's part behind the other's, and the attention of every head."""
    if kind == "additive":
        asked = times(attention["query_projection.weight"], query)
        keys = [linear(part(attention, "key_projection"), state) for state in states]
    else:
        asked = query
        general = part(attention, "key_projection")
        keys = [linear(general, state) if kind == "general" else state for state in states]
    width, part_size = len(asked) // num_heads, len(states[0]) // num_heads
    context: Vector = []
    of_heads = []
    for head in range(num_heads):
        units = slice(head * width, (head + 1) * width)
        if kind == "additive":
            scorer = attention["energy.weight"][head]
            energies = [dot(scorer, tanh(add(asked[units], key[units]))) for key in keys]
        else:
            energies = [dot(asked[units], key[units]) for key in keys]
        if kind == "scaled_dot":
            energies = [energy / math.sqrt(width) for energy in energies]
        found, weights = attend(energies, states)
        rows = attention["value_projection.weight"][head * part_size : (head + 1) * part_size]
        context += times(rows, found)
        of_heads.append(weights)
    return context, of_heads


def luong_energy(attention: Weights, kind: str, query: Vector, state: Vector) -> float:
    """Luong et al. 2015, eq. 8, and the scaled product of Vaswani et al. 2017, eq. 1."""
    if kind == "dot":
        return dot(query, state)
    if kind == "scaled_dot":
        return dot(query, state) / math.sqrt(len(state))
    if kind == "general":
        return dot(query, times(attention["key_projection.weight"], state))
    return additive_energy(attention, query, state)  # `concat`


def luong_local(
    attention: Weights, kind: str, query: Vector, states: Matrix, *, window: int
) -> tuple[Vector, Vector]:
    """Context and attention of Luong et al. 2015, section 3.1, local-p (eqs. 9 and 10)."""
    hidden = tanh(times(attention["window_projection.weight"], query))
    (centre_row,) = attention["window_centre.weight"]
    centre = len(states) * sigmoid(dot(centre_row, hidden))
    seen = [s for s in range(len(states)) if centre - window <= s <= centre + window]
    aligned = softmax([luong_energy(attention, kind, query, states[s]) for s in seen])
    sigma = window / 2
    weights = [0.0] * len(states)
    for place, probability in zip(seen, aligned, strict=True):
        weights[place] = probability * math.exp(-((place - centre) ** 2) / (2 * sigma**2))
    return weighted_sum(weights, states), weights


# What the translators share: token vectors, start, output layer


def embed(weights: Weights, side: str, token_ids: Sequence[int]) -> Matrix:
    table: Matrix = weights[f"{side}.embedding.table.weight"]
    return [table[token_id] for token_id in token_ids]


def linear_start(weights: Weights, final: State) -> list[State]:
    """tanh(W h) and W' c, cut into one part for each decoder layer; c only where there is a W'."""
    hidden = tanh(linear(part(weights, "bridge.projections.0"), final[0]))
    cell = [0.0] * len(hidden)
    if "bridge.projections.1.weight" in weights:
        cell = linear(part(weights, "bridge.projections.1"), final[1])
    size = width_of(part(weights, "decoder.lower.0"))
    return list(zip(by_gate(hidden, size), by_gate(cell, size), strict=True))


def attentional_state(weights: Weights, hidden: Vector, context: Vector) -> Vector:
    """Tanh(W [h; c]), Luong et al. 2015, eq. 5."""
    return tanh(linear(part(weights, "decoder.readout.projection"), hidden + context))


def score(weights: Weights, readout: Vector) -> Vector:
    return linear(part(weights, "output_layer"), readout)


def layers_of(weights: Weights, name: str, count: int) -> list[Weights]:
    return [part(weights, f"{name}.{number}") for number in range(count)]


# Sutskever et al. 2014: the source from its end into one stack of LSTMs, whose states write


def backward_stack(weights: Weights, source_ids: Sequence[int], depth: int) -> Encoded:
    """The states stand at the tokens that were read last before them."""
    values, finals = embed(weights, "encoder", source_ids)[::-1], []
    for layer in layers_of(weights, "encoder.layers", depth):
        values, final = run(lstm_step, layer, values)
        finals.append(final)
    return Encoded(values[::-1], finals)


def sutskever_encoder(weights: Weights, source_ids: Sequence[int]) -> Encoded:
    return backward_stack(weights, source_ids, 2)


def sutskever_decoder(weights: Weights, source: Encoded, target_ids: Sequence[int]) -> Decoded:
    values, ends = embed(weights, "decoder", target_ids), []
    for layer, start in zip(layers_of(weights, "decoder.lower", 2), source.finals, strict=True):
        values, end = run(lstm_step, layer, values, start=start)
        ends.append(end)
    nowhere = [[0.0] * len(source.states) for _ in target_ids]
    return Decoded([score(weights, hidden) for hidden in values], nowhere, ends)


# Bahdanau et al. 2015


def bahdanau_encoder(weights: Weights, source_ids: Sequence[int], cell: str = "lstm") -> Encoded:
    (layer,) = layers_of(weights, "encoder.layers", 1)
    states, final = run_both_ways(STEPS[cell], layer, embed(weights, "encoder", source_ids))
    return Encoded(states, [final])


def bahdanau_decoder(
    weights: Weights,
    source: Encoded,
    target_ids: Sequence[int],
    cell: str = "lstm",
    *,
    covers: bool = False,
) -> Decoded:
    """c_i of s_{i-1} (eqs. 5 and 6), s_i of y_{i-1} and c_i (eq. 4), a maxout layer (A.2.2)."""
    attention = part(weights, "decoder.attention")
    (state,) = linear_start(weights, source.finals[-1])
    logits, attentions = [], []
    coverage = [0.0] * len(source.states)
    for token in embed(weights, "decoder", target_ids):
        energies = [
            additive_energy(attention, state[0], annotation, coverage=seen if covers else None)
            for annotation, seen in zip(source.states, coverage, strict=True)
        ]
        context, alphas = attend(energies, source.states)
        coverage = add(coverage, alphas)
        state = STEPS[cell](part(weights, "decoder.lower.0"), token + context, state, 0)
        wide = linear(part(weights, "decoder.readout.projection"), state[0] + context + token)
        maxout = [max(pair) for pair in zip(wide[::2], wide[1::2], strict=True)]
        logits.append(score(weights, maxout))
        attentions.append(alphas)
    return Decoded(logits, attentions, [state])


# Luong et al. 2015


def luong_encoder(weights: Weights, source_ids: Sequence[int]) -> Encoded:
    return backward_stack(weights, source_ids, 2)


def luong_decoder(
    weights: Weights,
    source: Encoded,
    target_ids: Sequence[int],
    *,
    kind: str = "general",
    window: int | None = None,
    input_feeding: bool = True,
) -> Decoded:
    """A stack of LSTMs, attention of its top, eq. 5; with input feeding that joins the token."""
    attention = part(weights, "decoder.attention")
    first, second = layers_of(weights, "decoder.lower", 2)
    state1, state2 = source.finals
    attentional = [0.0] * len(weights["decoder.readout.projection.weight"])
    logits, alignments = [], []
    for token in embed(weights, "decoder", target_ids):
        state1 = lstm_step(first, token + attentional if input_feeding else token, state1)
        state2 = lstm_step(second, state1[0], state2)
        top = state2[0]
        if window is None:
            energies = [luong_energy(attention, kind, top, state) for state in source.states]
            context, alignment = attend(energies, source.states)
        else:
            context, alignment = luong_local(attention, kind, top, source.states, window=window)
        attentional = attentional_state(weights, top, context)
        logits.append(score(weights, attentional))
        alignments.append(alignment)
    return Decoded(logits, alignments, [state1, state2])


# Wu et al. 2016


def gnmt_encoder(weights: Weights, source_ids: Sequence[int]) -> Encoded:
    """The bottom layer both ways, the second forward, the third forward and residual."""
    layers = layers_of(weights, "encoder.layers", 3)
    states1, final1 = run_both_ways(lstm_step, layers[0], embed(weights, "encoder", source_ids))
    states2, final2 = run(lstm_step, layers[1], states1)
    states3, final3 = run(lstm_step, layers[2], states2)
    residual = [add(*pair) for pair in zip(states3, states2, strict=True)]
    return Encoded(residual, [final1, final2, final3])


def gnmt_decoder(weights: Weights, source: Encoded, target_ids: Sequence[int]) -> Decoded:
    """The bottom layer's last output asks (eq. 4); the context goes to every layer of the step."""
    attention = part(weights, "decoder.attention")
    bottom = part(weights, "decoder.lower.0")
    second, third = layers_of(weights, "decoder.upper", 2)
    nothing = [0.0] * width_of(bottom)
    state1 = state2 = state3 = (nothing, nothing)
    logits, attentions = [], []
    for token in embed(weights, "decoder", target_ids):
        energies = [additive_energy(attention, state1[0], state) for state in source.states]
        context, alphas = attend(energies, source.states)
        state1 = lstm_step(bottom, token + context, state1)
        state2 = lstm_step(second, state1[0] + context, state2)
        state3 = lstm_step(third, state2[0] + context, state3)
        logits.append(score(weights, add(state3[0], state2[0])))
        attentions.append(alphas)
    return Decoded(logits, attentions, [state1, state2, state3])


# Chen et al. 2018


def rnmt_plus_encoder(weights: Weights, source_ids: Sequence[int]) -> Encoded:
    """Every layer both ways, the third residual."""
    layers = layers_of(weights, "encoder.layers", 3)
    states, finals = [embed(weights, "encoder", source_ids)], []
    for layer in layers:
        found, final = run_both_ways(layer_norm_lstm_step, layer, states[-1])
        states.append(found)
        finals.append(final)
    residual = [add(*pair) for pair in zip(states[3], states[2], strict=True)]
    return Encoded(residual, finals)


def rnmt_plus_decoder(weights: Weights, source: Encoded, target_ids: Sequence[int]) -> Decoded:
    """The bottom output asks with four heads; its context goes up, to the softmax and back down."""
    attention = part(weights, "decoder.attention")
    bottom = part(weights, "decoder.lower.0")
    second, third = layers_of(weights, "decoder.upper", 2)
    state1, state2, state3 = linear_start(weights, source.finals[-1])
    context = [0.0] * len(source.states[0])
    logits, attentions = [], []
    for token in embed(weights, "decoder", target_ids):
        state1 = layer_norm_lstm_step(bottom, token + context, state1)
        context, of_heads = multi_head(attention, "additive", 4, state1[0], source.states)
        state2 = layer_norm_lstm_step(second, state1[0] + context, state2)
        state3 = layer_norm_lstm_step(third, state2[0] + context, state3)
        logits.append(score(weights, add(state3[0], state2[0]) + context))
        attentions.append([value / len(of_heads) for value in add(*of_heads)])
    return Decoded(logits, attentions, [state1, state2, state3])


# The default, known as the second version of GNMT


def default_encoder(weights: Weights, source_ids: Sequence[int]) -> Encoded:
    """Every layer both ways, residual from the second on."""
    first, second, third = layers_of(weights, "encoder.layers", 3)
    states1, final1 = run_both_ways(lstm_step, first, embed(weights, "encoder", source_ids))
    found, final2 = run_both_ways(lstm_step, second, states1)
    states2 = [add(*pair) for pair in zip(found, states1, strict=True)]
    found, final3 = run_both_ways(lstm_step, third, states2)
    states3 = [add(*pair) for pair in zip(found, states2, strict=True)]
    return Encoded(states3, [final1, final2, final3])


def default_decoder(weights: Weights, source: Encoded, target_ids: Sequence[int]) -> Decoded:
    """The bottom output of this step asks, its context goes up at once; nothing is fed back."""
    attention = part(weights, "decoder.attention")
    bottom = part(weights, "decoder.lower.0")
    second, third = layers_of(weights, "decoder.upper", 2)
    state1, state2, state3 = linear_start(weights, source.finals[-1])
    logits, attentions = [], []
    for token in embed(weights, "decoder", target_ids):
        state1 = lstm_step(bottom, token, state1)
        energies = [luong_energy(attention, "general", state1[0], s) for s in source.states]
        context, alphas = attend(energies, source.states)
        state2 = lstm_step(second, state1[0] + context, state2)
        state3 = lstm_step(third, state2[0] + context, state3)
        top = add(state3[0], state2[0])
        logits.append(score(weights, attentional_state(weights, top, context)))
        attentions.append(alphas)
    return Decoded(logits, attentions, [state1, state2, state3])
