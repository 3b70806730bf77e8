"""Products of rows with a weight matrix: of many rows at once, and of a few at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# oneDNN's product, which torch.compile calls too, with the weight in the order of its blocks. Of 64
# rows it is half as fast again as the BLAS behind torch.mm on some processors, on others alike.
_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(  # type: ignore[no-untyped-call]
    torch.ops.mkldnn, "_linear_pointwise"
)

_ROWS = 64  # for so many rows oneDNN chooses the blocks of a weight that stays
_STEPS = 127  # of an 8-bit integer on each side of its middle

# From rows, (N, K), to W x + b of each, (N, M).
Linear = Callable[[Tensor], Tensor]


def multiply(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return W x + b for every row x, (N, M); no gradient goes through it.

    Args:
        rows: The x, (N, K).
        weight: W, (M, K), with strides of any order.
        bias: b, (M,); None is zero.
    """
    is_on = _HAS_ONEDNN and torch.backends.mkldnn.enabled
    if is_on and rows.device.type == "cpu" and rows.dtype == torch.float32 and len(rows):
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
        return product
    return torch.nn.functional.linear(rows, weight, bias)


def fixed_linear(weight: Tensor, bias: Tensor | None = None) -> Linear:
    """Return the map from rows, (N, K), to W x + b of each, (N, M), of weights that stay.

    Of few rows, a weight that lies in oneDNN's blocks from the start is multiplied two to three
    times as fast as one in rows. No gradient goes through it, and a change of the weight afterwards
    is not seen.

    Args:
        weight: W, (M, K), on the CPU.
        bias: b, (M,); None is zero.
    """
    weight = weight.detach().contiguous()
    bias = None if bias is None else bias.detach()
    if not (_HAS_ONEDNN and weight.dtype == torch.float32):
        return lambda rows: torch.nn.functional.linear(rows, weight, bias)
    blocks = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
    product = torch.ops.mkldnn._linear_pointwise
    return lambda rows: product(rows, blocks, bias, "none", [], "")


def has_int8() -> bool:
    """Tell whether `int8_linear` can be had here."""
    return "onednn" in torch.backends.quantized.supported_engines


def int8_linear(weight: Tensor, bias: Tensor | None = None, *, bound: float) -> Linear:
    """Return the map from rows to W x + b, with weights and rows of 8-bit integers.

    Products are added up in 32 bits. Each row of W has a scale of its own. All x have the same one,
    so that what becomes of a row does not hang on the rows beside it: hidden states and what comes
    out of tanh lie between -1 and 1 in any case. A change of the weight afterwards is not seen.

    Args:
        weight: W, (M, K), float32 on the CPU.
        bias: b, (M,); None is zero.
        bound: No x lies outside [-bound, bound].
    """
    weight = weight.detach()
    bias = None if bias is None else bias.detach()
    scales = weight.abs().amax(dim=1).clamp(min=1e-12) / _STEPS  # (M,)
    rounded = (weight / scales[:, None]).round_().to(torch.int8)
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    blocks = torch.ops.onednn.qlinear_prepack(rounded, None)
    product = torch.ops.onednn.qlinear_pointwise
    scale, middle = bound / _STEPS, _STEPS + 1  # of integers from 1 to 255

    def linear(rows: Tensor) -> Tensor:
        integers = torch.add(middle + 0.5, rows, alpha=1 / scale).to(torch.uint8)
        weights = blocks, scales, zeros, bias
        result: Tensor = product(
            integers, scale, middle, *weights, 1.0, 0, torch.float32, "none", [], ""
        )
        return result

    return linear


class RepeatedLinear:
    """A linear map W x + b at every step of a loop over time.

    Left to itself, the gradient of W is one product for each step, of few rows, and as many
    additions of matrices of the size of W. Here every step only keeps its x and the gradient dy of
    what it gave. When the last step has come back, the gradient is one product over all steps,

        dW = sum over steps of dy^T x = [dy_1; ...; dy_T]^T [x_1; ...; x_T]

    An object serves one pass.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Take W, (M, K), and b, (M,)."""
        device = weight.device.type
        if torch.is_autocast_enabled(device):
            weight = weight.to(torch.get_autocast_dtype(device))
            bias = None if bias is None else bias.to(weight.dtype)
        self._weight, self._bias = weight.detach(), None if bias is None else bias.detach()
        self._tape = _Tape()
        # Every step depends on the anchor: its gradient is asked for when all steps have theirs.
        self._anchor: Tensor = _GradientAfterLoop.apply(weight, bias, self._tape)  # type: ignore[no-untyped-call]

    def __call__(self, rows: Tensor) -> Tensor:
        """Return W x + b for the rows of one step, (N, M); `rows`: (N, K)."""
        rows = rows.to(self._weight.dtype)
        if not torch.is_grad_enabled():
            return multiply(rows, self._weight, self._bias)
        once = self._weight, self._bias, self._tape
        product: Tensor = _Step.apply(rows, self._anchor, *once)  # type: ignore[no-untyped-call]
        return product


class _Tape:
    """The x and dy of the steps that one backward pass has come through so far."""

    def __init__(self) -> None:
        self._pass: int | None = None
        self._inputs: list[Tensor] = []
        self._gradients: list[Tensor] = []

    def note(self, rows: Tensor, gradient: Tensor) -> None:
        """Take down a step."""
        current = torch._C._current_graph_task_id()
        if current != self._pass:  # a pass before this one may not have come to the weight
            self.wipe()
            self._pass = current
        self._inputs.append(rows)
        self._gradients.append(gradient)

    def joined(self) -> tuple[Tensor, Tensor]:
        """Return the rows of all steps, (T*N, K), and their gradients, (T*N, M)."""
        return torch.cat(self._inputs), torch.cat(self._gradients)

    def wipe(self) -> None:
        """Forget all steps."""
        self._inputs.clear()
        self._gradients.clear()


class _Step(torch.autograd.Function):
    """One step: its own gradient goes to its rows alone."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        anchor: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        tape: _Tape,
    ) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.weight, ctx.tape = weight, tape
        return multiply(rows, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (rows,) = ctx.saved_tensors
        _, is_learned, *_ = ctx.needs_input_grad
        if is_learned:
            ctx.tape.note(rows, gradient)
        return multiply(gradient, ctx.weight.T), None, None, None, None


class _GradientAfterLoop(torch.autograd.Function):
    """Gives an anchor, whose backward pass is the weight's, after that of all steps."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor | None, tape: _Tape) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.has_bias, ctx.tape = bias is not None, tape
        return weight.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: None) -> tuple[Tensor, Tensor | None, None]:
        inputs, gradients = ctx.tape.joined()
        ctx.tape.wipe()
        return gradients.T @ inputs, gradients.sum(dim=0) if ctx.has_bias else None, None
