"""One LSTM model with its decoding step laid out for translating on the CPU.

What a step computes does not change, only how much of it is left to do. With E the embedding table,
W and U the weights of a layer for what it reads and for its own state, and c = sum_s a_s h_s the
context that an attention a makes of the encoder states h:

    W E[y]               is looked up: the table E W' is made once for the model
    W c = sum_s a_s W h_s    and W h_s is made once for a sentence, for every reader of the context
    W x + U h            is one product with the rows [x; h]; of many rows, where several beams went
                         on from one, U h is made once for all of them

and the beams of a sentence share its keys and its W h_s instead of holding copies. Sums are made in
another order than in `nmt.model`, so log-probabilities differ in their last digits. On request the
weights are rounded to integers of 8 bits, which are read four times as fast.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nmt.engine.carried import FoldedSource, FoldedState
from nmt.engine.reading import FoldedEncoder, can_fold_encoder
from nmt.engine.step import Step
from nmt.engine.units import Make, in_floats, in_int8
from nmt.model import Seq2Seq, VariationalSeq2Seq
from nmt.model.encoder import Encoder
from nmt.model.products import Linear
from nmt.model.recurrent import RecurrentLayer, real_steps


def can_fold(model: Seq2Seq) -> bool:
    """Tell whether a model is of the kind that `FoldedEngine` knows and on the CPU.

    That is: LSTM layers without normalisation, and no attention with heads, window or coverage, nor
    a variational one.
    """
    decoder = model.decoder
    layers = [*decoder.lower, *decoder.upper]
    attention = decoder.attention
    is_plain = attention is None or not (
        attention.num_heads > 1
        or attention.window is not None
        or attention.reads_coverage
        or isinstance(model, VariationalSeq2Seq)
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
            self._step = Step(
                model,
                self._make,
                states_bound=states_bound,
                is_late=one_row,
                shares=not (int8 or one_row),
            )
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
