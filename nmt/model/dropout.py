"""Dropout as masks that are drawn first and applied where they are needed.

A decoder that runs step by step and one that runs a whole target at once can so draw alike, and one
mask can serve all steps.
"""

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

    def draw(self, like: Tensor, width: int) -> Tensor | None:
        """Return a mask for values of some width, or None where nothing is dropped.

        Args:
            like: Anything of the same sentences, steps, type and device, (B, T, any size).
            width: Size of the values.

        Returns:
            Zeros and 1 / (1 - probability), (B, T, width), or (B, 1, width) where one mask serves
            all steps.
        """
        if not self.training or self.probability == 0:
            return None
        batch_size, length, _ = like.shape
        shape = (batch_size, 1 if self.shared_over_time else length, width)
        return keep_mask(shape, self.probability, like)

    def forward(self, values: Tensor) -> Tensor:
        """Return the values thinned while training, unchanged otherwise; (B, T, any size)."""
        return thin(values, self.draw(values, values.size(-1)))


def thin(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return the values under a mask of `Dropout.draw`, (B, T, any size)."""
    return values if mask is None else values * mask


def keep_mask(shape: tuple[int, ...], probability: float, like: Tensor) -> Tensor:
    """Return zeros with the given probability, to 1 / 65536, and elsewhere what keeps the mean."""
    size, kept = math.prod(shape), max(1, round((1 - probability) * 2**16))
    # one random integer for four values: a CPU draws them four times as fast as it draws fractions
    integers = torch.empty((size + 3) // 4, dtype=torch.int64, device=like.device)
    sixteen_bits = integers.random_(-(2**63), None).view(torch.int16)[:size]
    keep = sixteen_bits <= kept - 1 - 2**15  # with < the limit would itself need 17 bits
    return keep.to(like.dtype).mul_(2**16 / kept).view(shape)
