"""One LSTM model with its decoding step laid out for translating on the CPU.

What a step computes does not change, only how much of it is left to do. With E the embedding table,
W and U the weights of a layer for what it reads and for its own state, and c = sum_s a_s h_s the
context that an attention a makes of the encoder states h:

    W E[y]               is looked up: the table E W' is made once for the model
    W c = sum_s a_s W h_s    and W h_s is made once for a sentence, for every reader of the context
    W x + U h            is one product with the rows [x; h]

and the beams of a sentence share its keys and its W h_s instead of holding copies. Sums are made in
another order than in `nmt.model`, so log-probabilities differ in their last digits. On request the
weights are rounded to integers of 8 bits, which are read four times as fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from nmt.engine.reading import FoldedEncoder, can_fold_encoder
from nmt.engine.units import Lookup, Make, in_floats, in_int8, lookup, lstm, lstm_weights, tanh_
from nmt.model import Seq2Seq
from nmt.model.encoder import Encoder
from nmt.model.products import Linear
from nmt.model.readout import Readout
from nmt.model.recurrent import RecurrentLayer, real_steps

# Who reads the context: a layer, by its number from one, `feedback` or `readout`.
_Reader = int | str


@dataclass(frozen=True, slots=True)
class FoldedSource:
    """Encoded sentences, each with a number of rows that share it.

    Attributes:
        keys: Encoder states as the attention compares them, (B, A, S).
        values: What every reader of the context makes of each state, side by side, (B, S, G); the
            states, (B, S, D), where the readers get their context by a product at every step.
        bias: 0 at real tokens, minus infinity at padding, (B, 1, S).
        width: W, the rows of each sentence; row i is of sentence i // W.
    """

    keys: Tensor
    values: Tensor
    bias: Tensor
    width: int = 1

    def select(self, rows: Tensor) -> FoldedSource:
        """Return the given rows in the given order, repeats allowed; `rows`: (N,), int64."""
        sentences, counts = torch.unique_consecutive(rows // self.width, return_counts=True)
        width = int(counts[0]) if len(counts) else 1
        if not bool((counts == width).all()):
            sentences, width = rows // self.width, 1
        return FoldedSource(
            self.keys[sentences], self.values[sentences], self.bias[sentences], width
        )

    def repeat(self, times: int) -> FoldedSource:
        """Return every row `times` times, the copies of one row side by side."""
        return FoldedSource(self.keys, self.values, self.bias, self.width * times)


@dataclass(frozen=True, slots=True)
class FoldedState:
    """What is carried from one target step to the next.

    Attributes:
        hidden: Hidden state of every layer, (N, L, H).
        cell: Cell state of every layer, (N, L, H).
        feedback: What the lowest layer reads beside the token and its own state: the attentional
            state, (N, R), or the context, multiplied by its weight already, (N, 4H); else (N, 0).
    """

    hidden: Tensor
    cell: Tensor
    feedback: Tensor

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.hidden)

    def select(self, rows: Tensor) -> FoldedState:
        """Return the given rows in the given order, repeats allowed; `rows`: (N,), int64."""
        return FoldedState(*(part.index_select(0, rows) for part in self._parts()))

    def reorder(self, rows: Tensor) -> FoldedState:
        """Return row `rows[i]` at row i; `rows`: (B,), int64."""
        return self.select(rows)

    def repeat(self, times: int) -> FoldedState:
        """Return every row `times` times, the copies of one row side by side."""
        return FoldedState(*(part.repeat_interleave(times, dim=0) for part in self._parts()))

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.hidden, self.cell, self.feedback


def can_fold(model: Seq2Seq) -> bool:
    """Tell whether a model is of the kind that `FoldedEngine` knows and on the CPU.

    That is: LSTM layers without normalisation, and no attention with heads, window or coverage.
    """
    decoder = model.decoder
    layers = [*decoder.lower, *decoder.upper]
    attention = decoder.attention
    is_plain = attention is None or not (
        attention.num_heads > 1 or attention.window is not None or attention.reads_coverage
    )
    is_lstm = all(isinstance(layer, RecurrentLayer) and layer.cell == "lstm" for layer in layers)
    weight = model.output_layer.weight
    return is_lstm and is_plain and weight.device.type == "cpu" and weight.dtype == torch.float32


class FoldedEngine:
    """A trained model as search knows it, see `Engine`; `can_fold` tells which models it takes."""

    def __init__(self, model: Seq2Seq, *, int8: bool = False, one_row: bool = False) -> None:
        """Take a model and lay it out; later changes of its weights are not seen.

        Args:
            model: On the CPU.
            int8: Round the weights to 8 bits; `has_int8` tells whether that can be.
            one_row: Most sentences will have one row, as in greedy search: W c is then faster than
                W h_s for every s.
        """
        self._model = model.eval()
        self._make: Make = in_int8 if int8 else in_floats
        self._encoder: FoldedEncoder | Encoder = model.encoder
        states_bound = None
        with torch.inference_mode():
            if can_fold_encoder(model.encoder):
                self._encoder = FoldedEncoder(model.encoder, self._make)
                states_bound = self._encoder.bound
            self._step = _Step(model, self._make, states_bound=states_bound, is_late=one_row)
            self._output = self.output_layer(slice(None))

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    @property
    def vocab_size(self) -> int:
        """The number of target tokens."""
        return self._model.output_layer.out_features

    @property
    def has_attention(self) -> bool:
        """Whether the model has attention."""
        return self._model.decoder.attention is not None

    @torch.inference_mode()
    def encode(
        self, source_ids: Tensor, source_lengths: Tensor
    ) -> tuple[FoldedSource, FoldedState]:
        """Read the source once, see `Engine.encode`."""
        self._model.eval()
        states, finals = self._encoder(source_ids, source_lengths)
        mask = real_steps(states, source_lengths)  # (B, S)
        attention = self._model.decoder.attention
        keys = states if attention is None else attention.keys(states)
        hidden, cell = self._model.bridge(states, source_lengths, finals)  # (L, B, H)
        bias = torch.zeros_like(mask, dtype=states.dtype).masked_fill_(~mask, float("-inf"))
        source = FoldedSource(
            keys.transpose(1, 2).contiguous(), self._step.values(states), bias[:, None]
        )
        feedback = hidden.new_zeros(len(source_ids), self._step.feedback_size)
        first = FoldedState(
            hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous(), feedback
        )
        return source, first

    @torch.inference_mode()
    def step(
        self, token_ids: Tensor, state: FoldedState, encoder_output: FoldedSource
    ) -> tuple[Tensor, FoldedState, Tensor]:
        """Score the next token of every row, see `Engine.step`."""
        readouts, state, attention = self.advance(token_ids, state, encoder_output)
        logits = self._output(readouts)  # (N, V)
        return torch.log_softmax(logits, dim=1, out=logits), state, attention

    @torch.inference_mode()
    def advance(
        self, token_ids: Tensor, state: FoldedState, encoder_output: FoldedSource
    ) -> tuple[Tensor, FoldedState, Tensor]:
        """Read the newest token of every row, as `step` does, and score nothing.

        Returns:
            What the output layer reads, (N, R), the new state, and the attention, (N, S).
        """
        if not len(state) == len(token_ids) == len(encoder_output.keys) * encoder_output.width:
            raise ValueError(
                f"state has {len(state)} rows, token_ids has {len(token_ids)}, the source has "
                f"{len(encoder_output.keys)} times {encoder_output.width}"
            )
        return self._step(token_ids, state, encoder_output)

    def output_layer(self, token_ids: Tensor | slice) -> Linear:
        """Return the map from what `advance` gives to the logits of some target tokens.

        Args:
            token_ids: The tokens, (V',), int64, or a slice of all.
        """
        layer = self._model.output_layer
        weight, bias = layer.weight[token_ids], layer.bias[token_ids]
        return self._make(weight, bias, bound=self._step.readout_bound)

    def read(
        self, token_ids: Tensor, state: FoldedState, encoder_output: FoldedSource
    ) -> tuple[Tensor, FoldedState, Tensor]:
        """Score what comes behind each of several tokens, see `ScoringEngine.read`."""
        log_probs, attention = [], []
        for tokens in token_ids.unbind(1):
            scored, state, looked = self.step(tokens, state, encoder_output)
            log_probs.append(scored)
            attention.append(looked)
        return torch.stack(log_probs, dim=1), state, torch.stack(attention, dim=1)


class _Step:
    """The equations of `nmt.model.decoder` for one token in every row."""

    def __init__(
        self, model: Seq2Seq, make: Make, *, states_bound: float | None, is_late: bool
    ) -> None:
        """Cut every weight up by what it is multiplied with.

        Args:
            model: The model.
            make: Makes the linear maps.
            states_bound: No encoder state lies outside [-it, it]; None is unknown.
            is_late: Multiply the context of every step, and not the states of every sentence: more
                products where a sentence has several rows, but smaller sums and copies.
        """
        decoder = model.decoder
        self._query, self._feedback = decoder.query, decoder.feedback
        self._num_lower, self._residual_from = len(decoder.lower), decoder.residual_from
        self._attention = decoder.attention
        bottom, *others = [
            layer for layer in (*decoder.lower, *decoder.upper) if isinstance(layer, RecurrentLayer)
        ]
        hidden_size = bottom.hidden_size
        embeddings = decoder.embedding.table.weight  # (V, E)
        of_context: dict[_Reader, Tensor] = {}

        [(into, around, bias)] = lstm_weights(bottom)
        size = embeddings.size(1)
        into, of_feedback = into[:, :size], into[:, size:]
        self._entering = lookup(embeddings, into, bias)
        if decoder.feedback == "context":
            of_context["feedback"] = of_feedback
        if decoder.feedback == "attentional":
            around = torch.cat((of_feedback, around), dim=1)
        self._layers = [make(around, None, bound=1.0)]  # h and what tanh gives lie in (-1, 1)
        bound = 1.0  # of a layer's output, with what residual connections add to it
        for number, layer in enumerate(others, start=2):
            [(into, around, bias)] = lstm_weights(layer)
            if number > self._num_lower:
                of_context[number] = into[:, hidden_size:]
            weight = torch.cat((into[:, :hidden_size], around), dim=1)
            self._layers.append(make(weight, bias, bound=bound))
            bound = bound + 1 if number >= self._residual_from else 1.0
        project = partial(make, bound=bound)
        self._readout = _Readout(decoder.readout, embeddings, hidden_size, of_context, project)
        bounds = {"attentional": 1.0, "hidden": bound}
        self.readout_bound = bounds.get(decoder.readout.kind)
        sizes = {None: 0, "attentional": decoder.readout.size, "context": 4 * hidden_size}
        self.feedback_size: int = sizes[decoder.feedback]
        self._readers = {reader: len(weight) for reader, weight in of_context.items()}
        nothing = embeddings.new_empty(
            0, 0 if self._attention is None else self._attention.state_size
        )
        of_all = torch.cat([nothing, *of_context.values()])  # (G, D)
        self._of_context = make(of_all, None, bound=states_bound) if len(of_all) else None
        self._is_late = is_late

    def values(self, states: Tensor) -> Tensor:
        """Return what is summed up by the attention, (B, S, G), or the states themselves."""
        if self._of_context is None:
            return states[:, :, :0]
        if self._is_late:
            return states
        return self._of_context(states.flatten(0, 1)).view(*states.shape[:2], -1)

    def __call__(
        self, token_ids: Tensor, state: FoldedState, source: FoldedSource
    ) -> tuple[Tensor, FoldedState, Tensor]:
        """Read a token in every row, see `FoldedEngine.advance`."""
        hiddens, cells = list(state.hidden.unbind(1)), list(state.cell.unbind(1))
        found: dict[_Reader, Tensor] = {}
        attention = state.hidden.new_zeros(len(token_ids), source.bias.size(2))
        if self._query == "previous":
            found, attention = self._attend(hiddens[0], source)
        output = hiddens[0]
        entering = self._entering(token_ids)  # (N, 4H)
        if self._feedback == "attentional":
            output = torch.cat((state.feedback, output), dim=1)
        if self._feedback == "context":
            entering += found.get("feedback", state.feedback)
        for number, layer in enumerate(self._layers, start=1):
            if number == self._num_lower + 1 and self._query == "bottom":
                found, attention = self._attend(output, source)
            place = number - 1
            if number == 1:
                gates = entering.add_(layer(output))
            else:
                gates = layer(torch.cat((output, hiddens[place]), dim=1))
            if number in found:
                gates += found[number]
            hiddens[place], cells[place] = lstm(gates, cells[place])
            is_added = number >= self._residual_from
            output = output + hiddens[place] if is_added else hiddens[place]
        if self._attention is not None and not found:  # no layer is above the attention
            found, attention = self._attend(output, source)
        readout = self._readout(output, found.get("readout"), token_ids)
        feedback = {"attentional": readout, "context": found.get("feedback")}.get(
            self._feedback or ""
        )
        after = FoldedState(
            torch.stack(hiddens, dim=1),
            torch.stack(cells, dim=1),
            state.feedback if feedback is None else feedback,
        )
        return readout, after, attention

    def _attend(self, query: Tensor, source: FoldedSource) -> tuple[dict[_Reader, Tensor], Tensor]:
        """Return what each reader of the context gets, (N, its size), and the attention, (N, S)."""
        assert self._attention is not None
        kind = self._attention.kind
        if kind == "additive":
            query = self._attention.query_projection(query)
        by_sentence = query.view(-1, source.width, query.size(1))  # (B, W, A)
        if kind == "additive":
            hidden = tanh_(by_sentence[:, :, :, None] + source.keys[:, None])  # (B, W, A, S)
            energies = self._attention.energy.weight[0] @ hidden
        else:
            energies = by_sentence @ source.keys
        if kind == "scaled_dot":
            energies = energies / math.sqrt(query.size(1))
        attention = torch.softmax(energies + source.bias, dim=2)  # (B, W, S)
        sums = torch.bmm(attention, source.values).flatten(0, 1)  # (N, G)
        if self._is_late and self._of_context is not None:
            sums = self._of_context(sums)
        parts = torch.split(sums, list(self._readers.values()), dim=1)
        return dict(zip(self._readers, parts, strict=True)), attention.flatten(0, 1)


class _Readout:
    """The equations of `nmt.model.readout`."""

    def __init__(
        self,
        readout: Readout,
        embeddings: Tensor,
        hidden_size: int,
        readers: dict[_Reader, Tensor],
        make: Callable[[Tensor, Tensor], Linear],
    ) -> None:
        """Cut the projection up and leave the part that meets the context with the readers."""
        self._kind = readout.kind
        self._of_token: Lookup | None = None
        if readout.kind == "direct" and readout.size > hidden_size:
            readers["readout"] = torch.eye(readout.size - hidden_size)
        if readout.kind not in ("attentional", "maxout"):
            return
        weight = readout.projection.weight
        embedding_size = 0
        if readout.kind == "maxout":
            embedding_size = embeddings.size(1)
            self._of_token = lookup(embeddings, weight[:, -embedding_size:])
        of_context = weight[:, hidden_size : weight.size(1) - embedding_size]
        if of_context.size(1):
            readers["readout"] = of_context
        self._project = make(weight[:, :hidden_size], readout.projection.bias)

    def __call__(self, hidden: Tensor, found: Tensor | None, token_ids: Tensor) -> Tensor:
        """Return what the output layer reads, (N, R)."""
        if self._kind == "hidden":
            return hidden
        if self._kind == "direct":
            return hidden if found is None else torch.cat((hidden, found), dim=1)
        projected = self._project(hidden)
        if found is not None:
            projected = projected + found
        if self._of_token is None:
            return tanh_(projected)
        pairs = projected + self._of_token(token_ids)
        return pairs.view(len(pairs), -1, 2).amax(dim=2)
