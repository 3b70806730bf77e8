"""Writes the target: recurrent layers below the attention, recurrent layers above it, a readout.

With y the tokens, s the encoder states, [;] joining vectors and t the step, the default is the
shape of the second version of GNMT:

    h1_t = LSTM_1(y_{t-1}, h1_{t-1})                 the lower layers, here one
    c_t  = attention(h1_t, s)                        the query is the bottom layer's output
    hl_t = LSTM_l([h(l-1)_t; c_t], hl_{t-1})         the upper layers
    a_t  = tanh(W [hL_t; c_t])                       the readout, here the attentional state

Three settings make the shapes of the papers out of it:

    query     bottom    as above: one layer below the attention, all others above it
              top       h_t, c_t = attention(hL_t, s): all layers are below     (Luong et al. 2015)
              previous  c_t = attention(h1_{t-1}, s), read by layer 1 too       (Bahdanau et al.
                        2015, eq. 6; Wu et al. 2016, eq. 4)
    feedback  what layer 1 reads beside the token: nothing, the context c_{t-1} (c_t itself where
              the query is `previous`), or the attentional state a_{t-1}, which is input feeding
              (Luong et al. 2015, section 3.3)
    no attention at all: every layer is below, nothing is asked             (Sutskever et al. 2014)

What is not fed back needs no loop over the steps: without feedback every part runs over the whole
target in one call; with the context fed back the layers above the attention still do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from nmt.model.attention import Attention
from nmt.model.cells import LayerState, OneStep
from nmt.model.dropout import Dropout, thin
from nmt.model.embedding import Embedding
from nmt.model.readout import Readout
from nmt.model.recurrent import Cell, recurrent_layer
from nmt.model.state import DecoderState, EncoderOutput

Query = Literal["bottom", "top", "previous"]
Feedback = Literal["context", "attentional"]


class Decoder(nn.Module):
    """From target tokens to what the output layer reads, over one step or a whole target."""

    def __init__(
        self,
        embedding: Embedding,
        attention: Attention | None,
        readout: Readout,
        *,
        num_layers: int,
        hidden_size: int,
        state_size: int,
        cell: Cell = "lstm",
        query: Query = "bottom",
        feedback: Feedback | None = None,
        residual_from: int | None = 3,
        dropout: Dropout,
        readout_dropout: Dropout,
        weight_drop: float = 0.0,
    ) -> None:
        """Take the parts and the sizes.

        Args:
            embedding: Token ids to vectors.
            attention: Queries of size H over encoder states of size D; None looks at nothing.
            readout: To what the output layer reads.
            num_layers: L, at least one.
            hidden_size: H.
            state_size: D.
            cell: What the layers are made of.
            query: Which hidden state asks the attention; heeded with attention only.
            feedback: What the lowest layer reads beside the token; `context` with the query
                `previous`, always.
            residual_from: The lowest layer, counted from one and above the first, to whose output
                what it reads from the layer below is added; None is no layer.
            dropout: Applied to the output of every layer and to the context.
            readout_dropout: Applied to what the readout gives; where that passes the top layer's
                output on as it is, to this output in place of `dropout`.
            weight_drop: See `recurrent_layer`.
        """
        super().__init__()
        self.embedding = embedding
        self.attention = attention
        self.readout = readout
        self.query = query
        self.feedback = feedback
        self.feedback_size = {None: 0, "context": state_size, "attentional": readout.size}[feedback]
        num_lower = num_layers if attention is None or query == "top" else 1

        def layers(input_sizes: list[int]) -> nn.ModuleList:
            return nn.ModuleList(
                recurrent_layer(cell, size, hidden_size, weight_drop=weight_drop)
                for size in input_sizes
            )

        bottom_size = embedding.table.embedding_dim + self.feedback_size
        self.lower = layers([bottom_size] + [hidden_size] * (num_lower - 1))
        self.upper = layers([hidden_size + state_size] * (num_layers - num_lower))
        self.residual_from = residual_from or num_layers + 1
        self.dropout = dropout
        self.readout_dropout = readout_dropout

    def start(self, hidden: Tensor, cell: Tensor, encoder_output: EncoderOutput) -> DecoderState:
        """Return the state before the first token; `hidden` and `cell`: (L, B, H)."""
        batch_size, length, _ = encoder_output.states.shape
        reads_coverage = self.attention is not None and self.attention.reads_coverage
        return DecoderState(
            hidden,
            cell,
            feedback=hidden.new_zeros(batch_size, self.feedback_size),
            coverage=hidden.new_zeros(batch_size, length if reads_coverage else 0),
        )

    def forward(
        self, token_ids: Tensor, state: DecoderState, encoder_output: EncoderOutput
    ) -> tuple[Tensor, DecoderState, Tensor]:
        """Read target tokens and return what the output layer turns into the next ones.

        Args:
            token_ids: BOS and the tokens so far, or only the newest one, (B, T), int64.
            state: After the tokens before these.
            encoder_output: The source.

        Returns:
            The readouts, (B, T, readout size), the state behind the last token, and the attention,
            (B, T, S), all zero without attention.
        """
        embedded: Tensor = self.embedding(token_ids)  # (B, T, E)
        drawn = self._draw(embedded)
        carried = _Carried.unpack(state)
        if self.feedback == "attentional":
            found, carried = _over_time(self._whole_step, embedded, carried, encoder_output, drawn)
            return found.output, carried.pack(), found.attention
        found, carried = self._attend_throughout(embedded, carried, encoder_output, drawn)
        readout, carried = self._upper_and_readout(found, embedded, carried, drawn)
        return readout, carried.pack(), found.attention

    def up_to_readout(
        self, token_ids: Tensor, state: DecoderState, encoder_output: EncoderOutput
    ) -> tuple[Callable[[Tensor], Tensor], DecoderState, Tensor]:
        """Do as `forward` does, but leave open what the readout looks at.

        The attentional state is not fed back then: it would have to be known.

        Args:
            token_ids: See `forward`.
            state: See `forward`.
            encoder_output: See `forward`.

        Returns:
            What makes readouts, (B, T, readout size), of anything in the context's place,
            (B, T, D); the state behind the last token, and the attention, (B, T, S).
        """
        embedded: Tensor = self.embedding(token_ids)  # (B, T, E)
        drawn = self._draw(embedded)
        carried = _Carried.unpack(state)
        found, carried = self._attend_throughout(embedded, carried, encoder_output, drawn)
        hidden, carried = self._run_upper(found, carried, drawn)

        def read(context: Tensor) -> Tensor:
            readout = self.readout(hidden, thin(context, drawn.context), embedded)
            return thin(readout, drawn.readout)

        return read, carried.pack(), found.attention

    def _attend_throughout(
        self, embedded: Tensor, carried: _Carried, source: EncoderOutput, drawn: _Drawn
    ) -> tuple[_Found, _Carried]:
        """Run the lower layers and the attention over all steps."""
        part = self._lower_and_attend
        if self.feedback == "context":
            return _over_time(part, embedded, carried, source, drawn)
        return part(embedded, carried, source, drawn)

    def _whole_step(
        self, embedded: Tensor, carried: _Carried, source: EncoderOutput, drawn: _Drawn
    ) -> tuple[_Found, _Carried]:
        """Go from a token to its attentional state, which the next step reads."""
        found, carried = self._lower_and_attend(embedded, carried, source, drawn)
        attentional, carried = self._upper_and_readout(found, embedded, carried, drawn)
        carried = carried._replace(feedback=attentional.squeeze(1))
        return found._replace(output=attentional), carried

    def _lower_and_attend(
        self, embedded: Tensor, carried: _Carried, source: EncoderOutput, drawn: _Drawn
    ) -> tuple[_Found, _Carried]:
        """Run the lower layers and the attention; one step where the context is fed back."""
        if self.attention is None:
            output, carried = self._run_lower(embedded, carried, drawn)
            nowhere = output.new_zeros(*output.shape[:2], source.mask.size(1))  # (B, T, S)
            return _Found(output, None, nowhere), carried
        if self.query == "previous":
            (hidden, _), *_ = carried.layers
            before = hidden.transpose(0, 1)  # (B, 1, H)
            context, attention, carried = self._attend(before, carried, source, drawn)
            output, carried = self._run_lower(embedded, carried, drawn)
        else:
            output, carried = self._run_lower(embedded, carried, drawn)
            context, attention, carried = self._attend(output, carried, source, drawn)
        return _Found(output, context, attention), carried

    def _run_lower(
        self, embedded: Tensor, carried: _Carried, drawn: _Drawn
    ) -> tuple[Tensor, _Carried]:
        """Run the layers below the attention, (B, T, H)."""
        inputs = embedded
        if self.feedback is not None:
            inputs = torch.cat((embedded, carried.feedback[:, None]), dim=-1)
        for number in range(1, len(self.lower) + 1):
            output, carried = _run(number, inputs, carried, drawn)
            inputs = output + inputs if number >= self.residual_from else output
        return inputs, carried

    def _attend(
        self, query: Tensor, carried: _Carried, source: EncoderOutput, drawn: _Drawn
    ) -> tuple[Tensor, Tensor, _Carried]:
        """Return context, (B, T, D), and attention, (B, T, S); `query`: (B, T, H)."""
        assert self.attention is not None
        context, attention, coverage = self.attention(query, source, carried.coverage)
        context = thin(context, drawn.context)
        carried = carried._replace(coverage=coverage)
        if self.feedback == "context":  # here T is 1
            carried = carried._replace(feedback=context.squeeze(1))
        return context, attention, carried

    def _upper_and_readout(
        self, found: _Found, embedded: Tensor, carried: _Carried, drawn: _Drawn
    ) -> tuple[Tensor, _Carried]:
        """Run the layers above the attention and the readout, (B, T, readout size)."""
        hidden, carried = self._run_upper(found, carried, drawn)
        readout = self.readout(hidden, found.context, embedded, project=drawn.project)
        return thin(readout, drawn.readout), carried

    def _run_upper(
        self, found: _Found, carried: _Carried, drawn: _Drawn
    ) -> tuple[Tensor, _Carried]:
        """Run the layers above the attention, (B, T, H)."""
        hidden = found.output
        for number in range(len(self.lower) + 1, len(drawn.layers) + 1):
            assert found.context is not None  # without attention every layer is below
            inputs = torch.cat((hidden, found.context), dim=-1)
            output, carried = _run(number, inputs, carried, drawn)
            hidden = output + hidden if number >= self.residual_from else output
        return hidden, carried

    def _draw(self, embedded: Tensor) -> _Drawn:
        """Draw all that chance decides in one pass over a target, and set the layers to run."""
        layers = [*self.lower, *self.upper]
        masks = [self.dropout.draw(embedded, layer.hidden_size) for layer in layers]
        readout = self.readout_dropout.draw(embedded, self.readout.size)
        if self.readout.passes_hidden_on:  # nothing is thinned twice
            masks[-1] = self.readout_dropout.draw(embedded, layers[-1].hidden_size)
            readout = None
        context_size = 0 if self.attention is None else self.attention.state_size
        num_in_loop = {None: 0, "context": len(self.lower), "attentional": len(layers)}
        is_loop = embedded.size(1) > 1
        return _Drawn(
            layers=tuple(
                layer.one_step(layer.draw())
                if is_loop and place < num_in_loop[self.feedback]
                else partial(layer, weights=layer.draw())
                for place, layer in enumerate(layers)
            ),
            masks=tuple(masks),
            context=self.dropout.draw(embedded, context_size),
            project=self.readout.one_step() if is_loop and self.feedback == "attentional" else None,
            readout=readout,
        )


def _run(number: int, inputs: Tensor, carried: _Carried, drawn: _Drawn) -> tuple[Tensor, _Carried]:
    """Run one layer, counted from one, from its part of what is carried."""
    place = number - 1
    output, after = drawn.layers[place](inputs, carried.layers[place])
    layers = (*carried.layers[:place], after, *carried.layers[place + 1 :])
    return thin(output, drawn.masks[place]), carried._replace(layers=layers)


class _Found(NamedTuple):
    """What some steps give: output of the layers so far, context and attention, (B, T, ...)."""

    output: Tensor
    context: Tensor | None
    attention: Tensor


class _Carried(NamedTuple):
    """A `DecoderState` by layer."""

    layers: tuple[LayerState, ...]
    feedback: Tensor
    coverage: Tensor

    @classmethod
    def unpack(cls, state: DecoderState) -> _Carried:
        layers = zip(torch.split(state.hidden, 1), torch.split(state.cell, 1), strict=True)
        return cls(tuple(layers), state.feedback, state.coverage)

    def pack(self) -> DecoderState:
        hidden, cell = zip(*self.layers, strict=True)
        return DecoderState(torch.cat(hidden), torch.cat(cell), self.feedback, self.coverage)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One pass: the layers with the weights that weight drop has left, and dropout's masks.

    In a loop over steps, `layers` and `project` take one step each and share the gradient's work.
    """

    layers: tuple[OneStep, ...]
    masks: tuple[Tensor | None, ...]
    context: Tensor | None
    project: Callable[[Tensor], Tensor] | None
    readout: Tensor | None

    def at(self, step: int) -> _Drawn:
        """Return what was drawn for one step."""
        return replace(
            self,
            masks=tuple(_at(mask, step) for mask in self.masks),
            context=_at(self.context, step),
            readout=_at(self.readout, step),
        )


def _at(mask: Tensor | None, step: int) -> Tensor | None:
    if mask is None or mask.size(1) == 1:  # one mask serves all steps
        return mask
    return mask[:, step : step + 1]


_Part = Callable[[Tensor, _Carried, EncoderOutput, _Drawn], tuple[_Found, _Carried]]


def _over_time(
    part: _Part, embedded: Tensor, carried: _Carried, source: EncoderOutput, drawn: _Drawn
) -> tuple[_Found, _Carried]:
    """Run a part of the decoder step by step, each reading what the one before has left."""
    steps = []
    for step, token in enumerate(torch.split(embedded, 1, dim=1)):
        found, carried = part(token, carried, source, drawn.at(step))
        steps.append(found)
    outputs, contexts, attentions = zip(*steps, strict=True)
    context = None if contexts[0] is None else torch.cat(contexts, dim=1)
    return _Found(torch.cat(outputs, dim=1), context, torch.cat(attentions, dim=1)), carried
