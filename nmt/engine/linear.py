"""The linear maps of a trained model, their weights put into the order that the CPU reads fastest.

A step of the search multiplies few rows, often five, with the same matrices again and again. A
matrix that lies in blocks of the processor's width from the start is then read two to three times
as fast, and one of 8-bit integers four times as fast again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import linear

# From rows, (N, K), to W x + b of each, (N, M).
Linear = Callable[[Tensor], Tensor]


class Make(Protocol):
    """Makes the map of W, (M, K), and b, (M,) or None; `bound` is the greatest |x| there can be."""

    def __call__(self, weight: Tensor, bias: Tensor | None, *, bound: float | None) -> Linear:
        """Return the map."""


_ROWS = 64  # for so many rows the blocks are chosen
_STEPS = 127  # of an 8-bit integer on each side of its middle

_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(  # type: ignore[no-untyped-call]
    torch.ops.mkldnn, "_linear_pointwise"
)


def float_linear(weight: Tensor, bias: Tensor | None, *, bound: float | None = None) -> Linear:
    """Return the map in the weight's own precision, in float32 by oneDNN where PyTorch has it."""
    weight = weight.detach().contiguous()
    bias = None if bias is None else bias.detach()
    if not (_HAS_ONEDNN and weight.dtype == torch.float32):
        return lambda rows: linear(rows, weight, bias)
    blocks = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
    product = torch.ops.mkldnn._linear_pointwise
    return lambda rows: product(rows, blocks, bias, "none", [], "")


def int8_linear(weight: Tensor, bias: Tensor | None, *, bound: float | None) -> Linear:
    """Return the map with weights and rows of 8-bit integers, added up in 32 bits.

    Each row of W has a scale of its own. All x have the same one, so that what becomes of a row
    does not hang on the rows beside it: hidden states and what comes out of tanh lie between -1
    and 1 in any case.

    Args:
        weight: W, (M, K).
        bias: b, (M,); None is zero.
        bound: No x lies outside [-bound, bound]; None is unknown, and the map stays in floats.
    """
    if bound is None:
        return float_linear(weight, bias)
    scales = weight.detach().abs().amax(dim=1).clamp(min=1e-12) / _STEPS  # (M,)
    rounded = (weight.detach() / scales[:, None]).round_().to(torch.int8)
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    bias = None if bias is None else bias.detach()
    blocks = torch.ops.onednn.qlinear_prepack(rounded, None)
    product = torch.ops.onednn.qlinear_pointwise
    scale, middle = bound / _STEPS, _STEPS + 1  # of integers from 1 to 255

    def multiply(rows: Tensor) -> Tensor:
        integers = torch.add(middle + 0.5, rows, alpha=1 / scale).to(torch.uint8)
        weights = blocks, scales, zeros, bias
        result: Tensor = product(
            integers, scale, middle, *weights, 1.0, 0, torch.float32, "none", [], ""
        )
        return result

    return multiply
