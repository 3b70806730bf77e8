"""What the laid-out parts of a model are made of: linear maps, lookups, and one unit's step.

The logistic function is several times as fast as tanh here, and tanh(x) = 2 sigmoid(2 x) - 1. So an
LSTM's weights for the gate g are doubled, and all four gates are one call:

    i, f, s, o = sigmoid(W x + U h + b)   g = 2 s - 1
    c' = f c + i g = f c + 2 i s - i      h' = o tanh(c') = 2 o sigmoid(2 c') - o
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from nmt.model.products import Linear, fixed_linear, int8_linear
from nmt.model.recurrent import RecurrentLayer

# From token ids of any shape to rows for each, (..., M).
Lookup = Callable[[Tensor], Tensor]

# From sums, (D, B, M), which it changes, and rows for each of D weights, (D, B, K).
AddProducts = Callable[[Tensor, Tensor], object]

# Numbers that a table of products may have: a quarter of a gigabyte.
_MOST_NUMBERS = 2**26
# A weight of no more is read in less time than it takes to begin a product of integers.
_FEW_NUMBERS = 2**16


class Make(Protocol):
    """Makes the map of W, (M, K), and b, (M,).

    `bound` is the greatest |x| that there can be, None where there is none.
    """

    def __call__(self, weight: Tensor, bias: Tensor | None, *, bound: float | None) -> Linear:
        """Return the map."""


def in_floats(weight: Tensor, bias: Tensor | None, *, bound: float | None) -> Linear:
    """Return the map in float32."""
    del bound  # floats have room for any
    return fixed_linear(weight, bias)


def in_int8(weight: Tensor, bias: Tensor | None, *, bound: float | None) -> Linear:
    """Return the map in integers of 8 bits, in floats where nothing is known of its x."""
    return fixed_linear(weight, bias) if bound is None else int8_linear(weight, bias, bound=bound)


def add_products(weights: list[Tensor], make: Make) -> AddProducts:
    """Return what adds W_d x to the sums, for each weight W_d and every row x that is its own.

    Small weights stay floats, and all of them are one call, whatever else is made of integers: of
    one sentence, a step of the encoder is hardly more than its calls.

    Args:
        weights: The D of one shape, (M, K).
        make: How the map of a larger one is made; no |x| is greater than 1.
    """
    if weights[0].numel() <= _FEW_NUMBERS:
        together = torch.stack([weight.detach().T for weight in weights])  # (D, K, M)
        return lambda sums, rows: sums.baddbmm_(rows, together)
    products = [make(weight, None, bound=1.0) for weight in weights]

    def add(sums: Tensor, rows: Tensor) -> None:
        for sum_, product, own in zip(sums, products, rows, strict=True):
            sum_ += product(own)

    return add


def lookup(embeddings: Tensor, weight: Tensor, bias: Tensor | None = None) -> Lookup:
    """Return the map from tokens y to W E[y] + b: from a table, or where that is large, a product.

    Args:
        embeddings: E, (V, K).
        weight: W, (M, K).
        bias: b, (M,); None is zero.
    """
    if len(embeddings) * len(weight) > _MOST_NUMBERS:
        product = fixed_linear(weight, bias)
        rows = embeddings.detach()
        return lambda token_ids: product(rows[token_ids].flatten(0, -2)).view(
            *token_ids.shape, len(weight)
        )
    table = torch.nn.functional.linear(embeddings, weight, bias).detach()
    return lambda token_ids: table[token_ids]


def lstm_weights(layer: RecurrentLayer) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return W, (4H, K), U, (4H, H), and b, (4H,), of each direction, the gate g's doubled."""
    weights = layer.draw()
    factors = weights[0].new_ones(4, layer.hidden_size)
    factors[2] = 2  # of i, f, g, o
    factors = factors.flatten()
    return [
        (
            into * factors[:, None],
            around * factors[:, None],
            (bias_into + bias_around) * factors,
        )
        for into, around, bias_into, bias_around in zip(
            *(weights[k::4] for k in range(4)), strict=True
        )
    ]


def lstm(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return h' and c', (B, H) both, of W x + U h + b, (B, 4H), which is used up; see above."""
    enter, forget, new, leave = gates.sigmoid_().chunk(4, dim=1)
    cell = (forget * cell).addcmul_(enter, new, value=2).sub_(enter)
    hidden = (2 * cell).sigmoid_().mul_(2).sub_(1).mul_(leave)
    return hidden, cell


def tanh_(values: Tensor) -> Tensor:
    """Return tanh of values in their own place."""
    return values.mul_(2).sigmoid_().mul_(2).sub_(1)
