"""The sections of a recipe that say what the network is like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nmt.recipe.data import PositiveInt, Probability, Section

# Far above what anyone trains; a recipe from elsewhere must not fill memory or run for ever.
Size = Annotated[int, Field(ge=1, le=65_536)]
NumLayers = Annotated[int, Field(ge=1, le=100)]

Cell = Literal["lstm", "gru", "rnn", "layer_norm_lstm"]


class EncoderRecipe(Section):
    """A stack of recurrent layers over the source.

    Attributes:
        hidden_size: Of one direction.
        cell: `lstm`, `gru`, `rnn` (plain tanh units) or `layer_norm_lstm` (Ba et al. 2016).
        directions: Which layers read both ways: `both` all, `bottom` the lowest alone, `forward`
            and `backward` none; `backward` reads the source from its end (Sutskever et al. 2014).
        residual_from: The lowest layer, counted from 1, whose input is added to its output; null
            is none.
    """

    num_layers: NumLayers = 2
    hidden_size: Size = 256
    cell: Cell = "lstm"
    directions: Literal["both", "bottom", "forward", "backward"] = "both"
    residual_from: Annotated[int, Field(ge=2, le=100)] | None = 2

    @property
    def state_size(self) -> int:
        """Width of the encoder states, both directions joined."""
        return self.size_of_layer(self.num_layers)

    def size_of_layer(self, number: int) -> int:
        """Width of what a layer, counted from one, gives, both directions joined."""
        both = self.directions == "both" or (self.directions == "bottom" and number == 1)
        return self.hidden_size * (2 if both else 1)

    @model_validator(mode="after")
    def _residual_sizes_fit(self) -> Self:
        is_uneven = self.directions == "bottom" and self.num_layers > 1
        if is_uneven and self.residual_from == 2:
            raise ValueError(
                "residual_from must be >= 3 or null with directions 'bottom', got 2: the second "
                "layer reads both directions and gives one"
            )
        return self


class AttentionRecipe(Section):
    """Which source positions the decoder looks at.

    Attributes:
        kind: How energies are computed.
        size: Width of the additive kind's hidden layer; null is that of the decoder.
        query: Whose output asks: the `bottom` decoder layer's, the `top` one's, or the bottom one's
            of the `previous` step.
        num_heads: Parts with an attention each.
        window: Positions on each side of a predicted one (local-p, Luong et al. 2015); null is all.
        coverage: Let the energies see what was looked at before (Tu et al. 2016).
        variational: Make each target token from one source position, and learn which by a bound
            (Deng et al. 2018): from one that is `sampled` for each token, or from all of them,
            `enumerated`, which takes an output layer for each source position, as translating
            does. null makes it from their mean.
    """

    kind: Literal["dot", "scaled_dot", "general", "additive"] = "general"
    size: Size | None = None
    query: Literal["bottom", "top", "previous"] = "bottom"
    num_heads: Size = 1
    window: PositiveInt | None = None
    coverage: bool = False
    variational: Literal["sampled", "enumerated"] | None = None

    @model_validator(mode="after")
    def _additive_only(self) -> Self:
        for key in ("size", "coverage"):
            value = getattr(self, key)
            if self.kind != "additive" and value:
                raise ValueError(
                    f"{key} is for additive attention only, got {value} with kind {self.kind!r}"
                )
        return self

    @model_validator(mode="after")
    def _one_position_behind_a_token(self) -> Self:
        if self.variational is not None and (self.num_heads > 1 or self.window is not None):
            raise ValueError(
                "variational needs one head and no window, "
                f"got num_heads {self.num_heads} and window {self.window}"
            )
        return self


class DecoderRecipe(Section):
    """A stack of recurrent layers over the target, and what is made of their output.

    Attributes:
        cell: As the encoder's.
        feedback: What the lowest layer reads beside the token: null nothing, the `context`, or the
            `attentional` state of the step before (input feeding, Luong et al. 2015).
        readout: What the output layer reads: `attentional` (Luong et al. 2015), `maxout` (Bahdanau
            et al. 2015), `direct`, hidden state and context as they are, or `hidden`, the hidden
            state alone.
        readout_size: Width of the first two; null is the embedding size.
        residual_from: The lowest layer, counted from 1, to whose output that of the layer below is
            added; null is none.
    """

    num_layers: NumLayers = 2
    hidden_size: Size = 512
    cell: Cell = "lstm"
    feedback: Literal["context", "attentional"] | None = None
    readout: Literal["attentional", "maxout", "direct", "hidden"] = "attentional"
    readout_size: Size | None = None
    residual_from: Annotated[int, Field(ge=2, le=100)] | None = 3

    @model_validator(mode="after")
    def _readout_has_a_size(self) -> Self:
        if self.readout in ("direct", "hidden") and self.readout_size is not None:
            raise ValueError(
                "readout_size is for the readouts 'attentional' and 'maxout', "
                f"got {self.readout_size} with {self.readout!r}"
            )
        return self


class DropoutRecipe(Section):
    """Where the network is thinned while it trains.

    Attributes:
        embedding: On embeddings.
        layers: Between recurrent layers and on the context.
        readout: On what the output layer reads; for the readouts `direct` and `hidden` on the top
            layer's output, in place of `layers`.
        word: Whole source and target input tokens replaced by zero vectors.
        recurrent: Weights between the hidden states of two steps, the same ones for all steps of a
            batch (weight drop, Merity et al. 2018).
        shared_over_time: One mask for all steps of a sentence (Gal & Ghahramani 2016).
    """

    embedding: Probability = 0.3
    layers: Probability = 0.3
    readout: Probability = 0.3
    word: Probability = 0.0
    recurrent: Probability = 0.0
    shared_over_time: bool = False


class ModelRecipe(Section):
    """The network.

    Attributes:
        attention: null is none: the decoder knows of the source what it starts from.
        bridge: What the decoder starts from: `linear` a projection of the encoder's final states,
            `mean` one of the mean of its states, `copy` the final states themselves, layer by
            layer, `learned` trained vectors, `zero` nothing.
        tied_embeddings: `output` makes the output layer the target embedding (Press & Wolf 2017),
            `all` makes the source embedding the same too (needs a joint tokenizer).
    """

    embedding_size: Size = 512
    encoder: EncoderRecipe = EncoderRecipe()
    attention: AttentionRecipe | None = AttentionRecipe()
    decoder: DecoderRecipe = DecoderRecipe()
    bridge: Literal["linear", "mean", "copy", "learned", "zero"] = "linear"
    dropout: DropoutRecipe = DropoutRecipe()
    tied_embeddings: Literal["output", "all"] | None = "output"

    @model_validator(mode="after")
    def _sizes_and_parts_fit(self) -> Self:
        for complaint in self._misfits():
            raise ValueError(complaint)
        return self

    def _misfits(self) -> Iterator[str]:
        """Say which settings do not go together."""
        encoder, decoder, hidden = self.encoder, self.decoder, self.decoder.hidden_size
        if self.attention is None:
            if decoder.feedback is not None:
                yield f"decoder.feedback must be null without attention, got {decoder.feedback!r}"
            if self.bridge in ("learned", "zero"):
                yield (
                    f"bridge {self.bridge!r} needs attention: without both the decoder would know "
                    "nothing of the source"
                )
        else:
            yield from self._attention_misfits(self.attention)
        if decoder.feedback == "attentional" and decoder.readout != "attentional":
            yield (
                "decoder.feedback 'attentional' needs decoder.readout 'attentional', "
                f"got {decoder.readout!r}"
            )
        if self.bridge == "copy":
            finals = [encoder.size_of_layer(number) for number in range(1, encoder.num_layers + 1)]
            if finals != [hidden] * decoder.num_layers:
                yield (
                    "bridge 'copy' needs one encoder layer for each decoder layer with final "
                    f"states of its hidden_size, got {finals} for {decoder.num_layers} of {hidden}"
                )
        if self.tied_embeddings is not None and self._readout_size() != self.embedding_size:
            yield (
                f"tied_embeddings {self.tied_embeddings!r} needs a readout of the embedding_size "
                f"({self.embedding_size}), got {self._readout_size()} from decoder.readout "
                f"{decoder.readout!r}; use null"
            )

    def _readout_size(self) -> int:
        """Width of what the output layer reads."""
        hidden = self.decoder.hidden_size
        context = 0 if self.attention is None else self.encoder.state_size
        widths = {"hidden": hidden, "direct": hidden + context}
        size = self.decoder.readout_size or self.embedding_size
        return widths.get(self.decoder.readout, size)

    def _attention_misfits(self, attention: AttentionRecipe) -> Iterator[str]:
        states, hidden = self.encoder.state_size, self.decoder.hidden_size
        if attention.kind in ("dot", "scaled_dot") and states != hidden:
            yield (
                f"attention.kind {attention.kind!r} needs encoder states of the decoder's "
                f"hidden_size, got {states} and {hidden}; use 'general'"
            )
        if attention.query == "previous" and self.decoder.feedback != "context":
            yield (
                "attention.query 'previous' needs decoder.feedback 'context', "
                f"got {self.decoder.feedback!r}"
            )
        if attention.variational is not None and self.decoder.feedback == "attentional":
            yield (
                "attention.variational needs decoder.feedback null or 'context', got 'attentional'"
            )
        if attention.variational is not None and self.decoder.readout == "hidden":
            yield (
                "attention.variational needs a decoder.readout that reads the context, got "
                "'hidden'; use 'attentional', 'maxout' or 'direct'"
            )
        is_asked_last = attention.query == "top" or self.decoder.num_layers == 1
        if self.decoder.readout == "hidden" and self.decoder.feedback is None and is_asked_last:
            yield (
                "decoder.readout 'hidden' leaves the context unread: no layer is above the "
                "attention and decoder.feedback is null; use 'attentional' or feed it back"
            )
        key_size = "attention.size" if attention.size else "decoder.hidden_size"
        widths = {key_size: attention.size or hidden, "the width of the encoder states": states}
        for name, width in widths.items():
            if width % attention.num_heads:
                yield f"attention.num_heads must divide {name} ({width}), got {attention.num_heads}"
