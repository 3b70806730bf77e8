"""Writes the target: LSTMs with the attention between the lowest and the rest.

The shape is that of the second version of GNMT. (Wu et al. 2016 feed the context of the previous
step to the lowest layer; here the context of the same step goes up and nothing is fed back, so that
training runs each layer over the whole target in one call.)

    h1_t = LSTM_1(y_{t-1}, h1_{t-1})
    c_t  = attention(h1_t, encoder states)
    hl_t = LSTM_l([h(l-1)_t; c_t], hl_{t-1})        for the layers l above the lowest
    a_t  = tanh(W [hL_t; c_t])                      the attentional state (Luong et al. 2015, eq. 5)

From the third layer on, what a layer reads from the one below is added to its output.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.attention import Attention
from nmt.model.embedding import Embedding
from nmt.model.layers import Dropout, one_layer_lstm
from nmt.model.state import DecoderState, EncoderOutput


class Decoder(nn.Module):
    """From target tokens to attentional states, over one step or a whole target."""

    def __init__(
        self,
        embedding: Embedding,
        attention: Attention,
        *,
        num_layers: int,
        hidden_size: int,
        state_size: int,
        readout_size: int,
        dropout: Dropout,
        readout_dropout: Dropout,
    ) -> None:
        """Take the target embedding, the attention and the sizes.

        Args:
            embedding: Token ids to vectors.
            attention: Queries of size H over encoder states of size D.
            num_layers: LSTM layers, at least one.
            hidden_size: H.
            state_size: D.
            readout_size: Width of the attentional state.
            dropout: Applied between the layers and to the context.
            readout_dropout: Applied to the attentional state.
        """
        super().__init__()
        self.embedding = embedding
        self.attention = attention
        embedding_size = embedding.table.embedding_dim
        self.bottom = one_layer_lstm(embedding_size, hidden_size)
        self.upper = nn.ModuleList(
            one_layer_lstm(hidden_size + state_size, hidden_size) for _ in range(num_layers - 1)
        )
        self.readout = nn.Linear(hidden_size + state_size, readout_size)
        self.dropout = dropout
        self.readout_dropout = readout_dropout

    def forward(
        self, token_ids: Tensor, state: DecoderState, encoder_output: EncoderOutput
    ) -> tuple[Tensor, DecoderState, Tensor]:
        """Read target tokens and return what the output layer turns into the next ones.

        Args:
            token_ids: BOS and the tokens so far, or only the newest one, (B, T), int64.
            state: After the tokens before these.
            encoder_output: The source.

        Returns:
            The attentional states, (B, T, readout size), the state behind the last token, and the
            attention, (B, T, S).
        """
        embedded: Tensor = self.embedding(token_ids)  # (B, T, E)
        outputs, states = _run(self.bottom, embedded, state, 0)
        hidden: Tensor = self.dropout(outputs)  # (B, T, H)
        context, attention = self.attention(
            hidden, encoder_output.keys, encoder_output.states, encoder_output.mask
        )
        context = self.dropout(context)  # (B, T, D)
        finals = [states]
        for depth, layer in enumerate(self.upper, start=1):
            outputs, states = _run(layer, torch.cat((hidden, context), dim=-1), state, depth)
            finals.append(states)
            # the lowest upper layer starts the residual stack, the next ones add to it
            hidden = self.dropout(outputs) if depth == 1 else hidden + self.dropout(outputs)
        attentional = torch.tanh(self.readout(torch.cat((hidden, context), dim=-1)))
        thinned: Tensor = self.readout_dropout(attentional)
        new_state = DecoderState(
            torch.cat([hidden for hidden, _ in finals]), torch.cat([cell for _, cell in finals])
        )
        return thinned, new_state, attention


def _run(
    layer: nn.Module, inputs: Tensor, state: DecoderState, depth: int
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Run one layer from its own part of the state."""
    start = (
        state.hidden[depth : depth + 1].contiguous(),
        state.cell[depth : depth + 1].contiguous(),
    )
    outputs, final = layer(inputs, start)
    return outputs, final
