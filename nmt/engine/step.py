"""One step of a decoder laid out for the CPU: the equations of `nmt.model.decoder` for one token.

What each weight is multiplied with, and how often, is told in `nmt.engine.folded`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from nmt.engine.carried import FoldedSource, FoldedState
from nmt.engine.units import Lookup, Make, lookup, lstm, lstm_weights, tanh_
from nmt.model import Seq2Seq
from nmt.model.products import Linear
from nmt.model.readout import Readout
from nmt.model.recurrent import RecurrentLayer

# Who reads the context: a layer, by its number from one, `feedback` or `readout`.
_Reader = int | str

# Below so many rows a product takes no less time when some are left out.
_MANY_ROWS = 64


class Step:
    """The equations of `nmt.model.decoder` for one token in every row."""

    def __init__(
        self, model: Seq2Seq, make: Make, *, states_bound: float | None, is_late: bool, shares: bool
    ) -> None:
        """Cut every weight up by what it is multiplied with.

        Args:
            model: The model.
            make: Makes the linear maps.
            states_bound: No encoder state lies outside [-it, it]; None is unknown.
            is_late: Multiply the context of every step, and not the states of every sentence: more
                products where a sentence has several rows, but smaller sums and copies.
            shares: Multiply a state once for all rows that go on from it. Not for integers: W and
                U apart have scales of their own, so that a row would depend on those beside it.
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
        self._around = make(around, None, bound=1.0)  # h and what tanh gives lie in (-1, 1)
        self._layers: list[_Gates] = []
        bound = 1.0  # of a layer's output, with what residual connections add to it
        for number, layer in enumerate(others, start=2):
            [(into, around, bias)] = lstm_weights(layer)
            if number > self._num_lower:
                of_context[number] = into[:, hidden_size:]
            weights = into[:, :hidden_size], around
            self._layers.append(_Gates(*weights, bias, partial(make, bound=bound), shares))
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
        self._is_late, self._shares = is_late, shares

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
        hidden, cell, feedback, places = self._parents(state)
        hiddens, cells = list(hidden.unbind(1)), list(cell.unbind(1))
        found: dict[_Reader, Tensor] = {}
        attention = state.hidden.new_zeros(len(token_ids), source.bias.size(2))
        if self._query == "previous":
            found, attention = self._attend(_each(hiddens[0], places), source)
        gates = self._bottom(token_ids, hiddens[0], feedback, places, found.get("feedback"))
        hiddens[0], cells[0] = lstm(gates, cells[0])
        output = hiddens[0]
        for number, layer in enumerate(self._layers, start=2):
            if number == self._num_lower + 1 and self._query == "bottom":
                found, attention = self._attend(output, source)
            gates = layer(output, hiddens[number - 1], places)
            if number in found:
                gates += found[number]
            hiddens[number - 1], cells[number - 1] = lstm(gates, cells[number - 1])
            is_added = number >= self._residual_from
            output = output + hiddens[number - 1] if is_added else hiddens[number - 1]
        if self._attention is not None and not found:  # no layer is above the attention
            found, attention = self._attend(output, source)
        readout = self._readout(output, found.get("readout"), token_ids)
        fed_back = {None: readout[:, :0], "attentional": readout}.get(self._feedback)
        after = FoldedState(
            torch.stack(hiddens, dim=1),
            torch.stack(cells, dim=1),
            found["feedback"] if fed_back is None else fed_back,
        )
        return readout, after, attention

    def _bottom(
        self,
        token_ids: Tensor,
        hidden: Tensor,
        feedback: Tensor,
        places: Tensor | None,
        context: Tensor | None,
    ) -> Tensor:
        """Return the sums of the lowest layer, (N, 4H).

        Args:
            token_ids: What it reads, (N,), int64.
            hidden: Its hidden states that the rows go on from, (P, H).
            feedback: What is fed back to them, (P, any).
            places: Which of the P each row goes on from, (N,), int64; None is each its own.
            context: What is fed back of this step, (N, 4H); None is what there was before.
        """
        if self._feedback == "attentional":
            hidden = torch.cat((feedback, hidden), dim=1)
        own = self._around(hidden)  # (P, 4H)
        if self._feedback == "context" and context is None:
            own += feedback
        gates = self._entering(token_ids).add_(_each(own, places))
        return gates if context is None else gates.add_(context)

    def _parents(self, state: FoldedState) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return what the rows go on from, each state once where it pays to share it.

        Returns:
            The hidden states, (P, L, H), the cells of each row, (N, L, H), the feedback, (P, any),
            and which of the P each row goes on from, (N,), int64; None is each its own.
        """
        rows = state.origins
        if rows is None:
            return state.hidden, state.cell, state.feedback, None
        cell, places = state.cell.index_select(0, rows), None
        if self._shares and len(rows) >= _MANY_ROWS:
            distinct, places = torch.unique(rows, return_inverse=True)
            rows, places = (distinct, places) if len(distinct) < len(rows) else (rows, None)
        hidden, feedback = (part.index_select(0, rows) for part in (state.hidden, state.feedback))
        return hidden, cell, feedback, places

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


class _Gates:
    """W x + U h + b of one layer, for rows that may share their h; then W and U are held twice."""

    def __init__(
        self,
        into: Tensor,
        around: Tensor,
        bias: Tensor,
        make: Callable[[Tensor, Tensor | None], Linear],
        shares: bool,
    ) -> None:
        """Take W, (4H, K), U, (4H, H), and b, (4H,); `shares`: whether h may be shared."""
        self._together = make(torch.cat((into, around), dim=1), bias)
        self._apart = (make(into, bias), make(around, None)) if shares else None

    def __call__(self, inputs: Tensor, hidden: Tensor, places: Tensor | None) -> Tensor:
        """Return the sums, (N, 4H).

        Args:
            inputs: x, (N, K).
            hidden: h, (P, H).
            places: Which h is each row's, (N,), int64; None is each its own.
        """
        if places is None or self._apart is None:
            return self._together(torch.cat((inputs, hidden), dim=1))
        into, around = self._apart
        return into(inputs).add_(_each(around(hidden), places))


def _each(values: Tensor, places: Tensor | None) -> Tensor:
    """Return the row of values for each place, all of them for None."""
    return values if places is None else values.index_select(0, places)


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
