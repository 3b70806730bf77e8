"""The small parts that encoder and decoder share: dropout and one-layer LSTMs."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Inverted dropout, with one mask a step or one a sentence (Gal & Ghahramani 2016)."""

    def __init__(self, probability: float, *, shared_over_time: bool = False) -> None:
        """Take the probability that a value is zeroed, in [0, 1)."""
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"dropout must be in [0, 1), got {probability}")
        self.probability = probability
        self.shared_over_time = shared_over_time

    def forward(self, values: Tensor) -> Tensor:
        """Return the values thinned while training, unchanged otherwise; (B, T, any size)."""
        if not self.training or self.probability == 0:
            return values
        batch_size, length, width = values.shape
        shape = (batch_size, 1 if self.shared_over_time else length, width)
        return values * keep_mask(shape, self.probability, values)


def keep_mask(shape: tuple[int, ...], probability: float, like: Tensor) -> Tensor:
    """Return zeros with the given probability and 1 / (1 - probability) elsewhere."""
    keep = 1 - probability
    # on a CPU two to three times as fast as bernoulli_
    return torch.rand(shape, device=like.device).lt_(keep).div_(keep).to(like.dtype)


def one_layer_lstm(input_size: int, hidden_size: int, *, bidirectional: bool = False) -> nn.LSTM:
    """Return an LSTM of one layer, with weights drawn from U(-1/sqrt(H), 1/sqrt(H)).

    The forget gate's two biases add up to one, so that the cell remembers from the start
    (Jozefowicz et al. 2015); all other biases are zero.
    """
    lstm = nn.LSTM(input_size, hidden_size, batch_first=True, bidirectional=bidirectional)
    bound = 1 / math.sqrt(hidden_size)
    for name, weight in lstm.named_parameters():
        with torch.no_grad():
            if "bias" in name:
                weight.zero_()
                weight[hidden_size : 2 * hidden_size] = 0.5  # gate order: in, forget, cell, out
            else:
                weight.uniform_(-bound, bound)
    return lstm
